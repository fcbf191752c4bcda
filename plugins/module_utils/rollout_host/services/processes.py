"""Finds and ends the processes of one run on this host, known by ROLLOUT_RUN in their environment (R19).

Whatever a marked process starts inherits the mark, new sessions included. Linux: this reads /proc, and sees the
processes whose environment its user may read. All durations are seconds.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple

from ...rollout_core.site import process_identity as core

MARK = "ROLLOUT_RUN"
DATABASE = "ROLLOUT_DATABASE"  # beside the mark of an outage's worker: a host may have several services' databases
BY_HAND = "by hand"  # how the marks of what people play by hand begin; by itself it is the mark of nobody's run
_PROC = Path("/proc")
_LOOK_SECONDS = 0.02


class Process(NamedTuple):
    """One process; `started` (clock ticks since boot) tells it from a later one with the same number."""

    pid: int
    started: int
    command: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the process as a line for people: `pid 4711: python3 …`."""
        return f"pid {self.pid}: {' '.join(self.command)[:100]}"


def marked(run: str, database: str | None = None) -> list[Process]:
    """Return every living process that carries `run`, but for this one and those that started it.

    With `database`: but for those that carry another one's name.
    """
    ours = set(_line_of_descent())
    found = (process_of(pid, run, database) for pid in _pids() if pid not in ours)
    return [process for process in found if process]


def marks_by_hand() -> dict[str, list[Process]]:
    """Return the marks of what was played by hand and is at work on this host, each with its processes."""
    ours = set(_line_of_descent())
    found: dict[str, list[Process]] = {}
    for pid in _pids():
        mark = _environment(pid).get(MARK, "")
        if mark.startswith(BY_HAND) and pid not in ours:
            found.setdefault(mark, []).extend(filter(None, [process_of(pid, mark)]))
    return found


def process_of(pid: int, run: str, database: str | None = None) -> Process | None:
    """Return the process with that number if it lives and carries `run`, and no other database's name, else None."""
    environment = _environment(pid)
    elsewhere = database is not None and environment.get(DATABASE, database) != database
    if environment.get(MARK) != run or elsewhere:
        return None
    with suppress(OSError):
        command = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "replace")
        began_at = started(pid)
        if began_at is not None:
            return Process(pid, began_at, tuple(command.split("\0")))
    return None


def lives(process: Process) -> bool:
    """Return True if it still runs. A zombie has ended, even if its parent has not noticed."""
    return started(process.pid) == process.started


def ask(processes: Iterable[Process], number: signal.Signals) -> None:
    """Send a signal to those that still live, and wake those that were stopped: they could not hear it."""
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):
            if lives(process):
                os.kill(process.pid, number)
                os.kill(process.pid, signal.SIGCONT)


def wait(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Wait until all have ended, for `seconds` at most; return those that have not."""
    deadline = time.monotonic() + seconds
    while True:
        left = [process for process in processes if lives(process)]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(_LOOK_SECONDS)


def exists(pid: int) -> bool:
    """Tell whether there is a process with that number that has not ended; also one that we may not see."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    stat = _stat(pid)
    return stat is None or not stat.ended


def started(pid: int) -> int | None:
    """Return when the process with that number started, in clock ticks since boot; None when it has ended."""
    stat = _stat(pid)
    return stat.started if stat and not stat.ended else None


def began(pid: int) -> float | None:
    """Return when the process with that number began, in seconds since 1970; None when that cannot be seen."""
    ticks = started(pid)
    if ticks is None:
        return None
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")


def command(pid: int) -> str:
    """Return the beginning of a process's command line, as far as it can be read; its name where it has none."""
    for file in ("cmdline", "comm"):
        with suppress(OSError):
            words = (_PROC / str(pid) / file).read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").split()
            if words:
                return " ".join(words)[:80]
    return "unknown"


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _environment(pid: int) -> dict[str, str]:
    """Return the process's environment; empty when it has ended, or we may not see it."""
    with suppress(OSError):
        pairs = (_PROC / str(pid) / "environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return dict(reversed([(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]))
    return {}


def _line_of_descent() -> Iterator[int]:
    """Yield the pid of this process, of its parent, and so on."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        stat = _stat(pid)
        pid = stat.parent if stat else 0


def _stat(pid: int) -> core.Stat | None:
    """What /proc/PID/stat says; None when there is no such process, or we may not see it."""
    try:
        return core.stat((_PROC / str(pid) / "stat").read_text(errors="replace"))
    except OSError:
        return None
