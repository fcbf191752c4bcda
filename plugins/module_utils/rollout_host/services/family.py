"""The family of a run on this host: all that its marked processes started, even without the mark (R19).

sudo gives what it starts another environment and another user, whose environment nobody else may read. Such a process
is known by descent as long as its parents live, and then by its number and its start. A stop writes down what it cannot
end before it ends the parents, so that a later look knows it too. Linux: this reads /proc.
"""

from __future__ import annotations

import json
import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Any, Iterable, NamedTuple

from ..whole_file import read_object, replace
from . import processes
from .processes import Process

_PROC = Path("/proc")
_STATE = "~/.rollout"
_HIDDEN = -1  # the start of a process that this host does not show us (hidepid): only that it lives can be asked


class Relative(NamedTuple):
    """A process of the family that belongs to another user."""

    process: Process
    user: str

    @property
    def text(self) -> str:
        """Return the process as a line for people: `pid 4711: sleep 277 (of root)`."""
        return f"{self.process.text} (of {self.user})"

    @property
    def lives(self) -> bool:
        """Return True if the process still runs."""
        if self.process.started != _HIDDEN:
            return processes.lives(self.process)
        return _exists(self.process.pid)

    def record(self) -> dict[str, Any]:
        """Return the process for JSON, with `text` for people; `relative` reads it back."""
        return {**self.process._asdict(), "user": self.user, "text": self.text}


class _Seen(NamedTuple):
    """A living process as /proc shows it to everybody; `owner` is its real user."""

    parent: int
    started: int
    owner: int

    @property
    def ours(self) -> bool:
        """Return True if we may end it; root may end everything."""
        return os.getuid() in (0, self.owner)


def relative(record: dict[str, Any]) -> Relative:
    """Return the process of a `Relative.record`. Raises KeyError, TypeError, ValueError, OverflowError."""
    return Relative(Process(int(record["pid"]), int(record["started"]), tuple(record["command"])), str(record["user"]))


def unmarked(run: str, marked: Iterable[Process]) -> list[Process]:
    """Return the descendants of these processes that we may end and that lack the mark of `run`."""
    table = _table()
    found = _descendants(table, marked)
    return [each for each in found if table[each.pid].ours and processes.process_of(each.pid, run) is None]


def relatives(run: str, marked: Iterable[Process]) -> list[Relative]:
    """Return the living descendants that belong to other users, and those that an earlier stop wrote down."""
    table, roots = _table(), list(marked)
    family = _descendants(table, roots)
    found = [Relative(each, _user(table[each.pid].owner)) for each in family if not table[each.pid].ours]
    found += _hidden(table, [*roots, *family])
    numbers = {each.process.pid for each in found}
    return [*found, *(each for each in _written_down(run) if each.lives and each.process.pid not in numbers)]


def write_down(run: str, found: Iterable[Relative]) -> None:
    """Write these processes into the user's home for a later look, if there is one; without any, delete the file."""
    path, records = _path(run), [each.record() for each in found]
    with suppress(OSError):
        if records:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace(path, json.dumps({"boot": _boot(), "processes": records}).encode())
        else:
            path.unlink()


def _written_down(run: str) -> list[Relative]:
    with suppress(OSError, ValueError, KeyError, TypeError, OverflowError):  # not there, or not as we wrote it
        kept = read_object(_path(run))
        if kept["boot"] == _boot():
            return [relative(record) for record in kept["processes"]]
    return []


def _path(run: str) -> Path:
    return Path(os.path.expanduser(_STATE)) / f"left-{run.replace('/', '-')}.json"  # noqa: PTH111 - raises nothing


def _boot() -> str:
    """Return the id of this start of the host: after another one, processes have new numbers and starts."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _descendants(table: dict[int, _Seen], marked: Iterable[Process]) -> list[Process]:
    """Return the descendants of these processes, parents first; never this process or its own parents."""
    left = [process.pid for process in marked]
    passed = {*left, *_line(table)}
    found: list[Process] = []
    while left:
        parent = left.pop(0)
        for pid in [pid for pid, seen in table.items() if seen.parent == parent and pid not in passed]:
            passed.add(pid)
            left.append(pid)
            found.append(Process(pid, table[pid].started, _command(pid)))
    return found


def _line(table: dict[int, _Seen]) -> set[int]:
    """Return the numbers of this process, its parent, and so on."""
    line, pid = set(), os.getpid()
    while pid in table:
        line.add(pid)
        pid = table[pid].parent
    return line


def _hidden(table: dict[int, _Seen], family: Iterable[Process]) -> list[Relative]:
    """Return the living children of these processes that /proc does not show to us."""
    found: list[Relative] = []
    for process in family:
        for children in (_PROC / str(process.pid) / "task").glob("*/children"):
            with suppress(OSError):
                pids = [int(word) for word in children.read_text().split()]
                unseen = [pid for pid in pids if pid not in table and _exists(pid)]
                command = ("started by", *process.command)
                found += [Relative(Process(pid, _HIDDEN, command), "a user whom this host hides") for pid in unseen]
    return found


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _table() -> dict[int, _Seen]:
    """Return every living process by its number."""
    found: dict[int, _Seen] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError, StopIteration):  # it has ended meanwhile
                stat = (entry / "stat").read_text(errors="replace").rpartition(") ")[2].split()  # proc(5)
                lines = (entry / "status").read_text(errors="replace").splitlines()
                owner = next(line.split()[1] for line in lines if line.startswith("Uid:"))
                if stat[0] not in ("Z", "X"):
                    found[int(entry.name)] = _Seen(int(stat[1]), int(stat[19]), int(owner))
    return found


def _command(pid: int) -> tuple[str, ...]:
    with suppress(OSError):
        words = (_PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode("utf-8", "replace")
        return tuple(words.split("\0"))
    return ()


def _user(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"
