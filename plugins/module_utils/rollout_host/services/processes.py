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

MARK = "ROLLOUT_RUN"
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


def marked(run: str) -> list[Process]:
    """Return every living process that carries `run`, but for this one and those that started it."""
    ours = set(_line_of_descent())
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    found = (process_of(pid, run) for pid in pids if pid not in ours)
    return [process for process in found if process]


def process_of(pid: int, run: str) -> Process | None:
    """Return the process with that number if it lives and carries `run`, else None."""
    with suppress(OSError):
        environment = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        if f"{MARK}={run}".encode() in environment:
            command = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "replace")
            started = _started(pid)
            if started is not None:
                return Process(pid, started, tuple(command.split("\0")))
    return None


def lives(process: Process) -> bool:
    """Tell whether it still runs. A zombie has ended, whenever its parent takes note."""
    return _started(process.pid) == process.started


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


def _line_of_descent() -> Iterator[int]:
    """This process, its parent, and so on."""
    pid = os.getpid()
    while pid > 0:
        yield pid
        stat = _stat(pid)
        pid = int(stat[1]) if stat else 0


def _started(pid: int) -> int | None:
    """When it started, in clock ticks since boot; None when it has ended."""
    stat = _stat(pid)
    return int(stat[19]) if stat and stat[0] not in ("Z", "X") else None


def _stat(pid: int) -> list[str] | None:
    """What /proc/PID/stat says from the state on (proc(5)); the name before that may contain anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(") ")[2].split()
    except OSError:
        return None
