"""Which process a number stands for: a pid is given again, so when it began tells one process from the next.

Facts in (the text of /proc/PID/stat, /proc/locks, instants in seconds), an answer out; files are the caller's.
"""

from __future__ import annotations

import re
from typing import NamedTuple

CLOCK_ERROR = 2.0  # seconds that a file's time and the begin of a process may be apart, both told by the same machine


# "1: FLOCK  ADVISORY  WRITE 812 08:01:4711 0 EOF", proc_locks(5); one that waits has "->" after its number.
_HELD = re.compile(
    r"^\d+: +(?:[A-Z*]+ +)+(?P<pid>-?\d{1,19}) (?P<major>[0-9a-f]{1,8}):(?P<minor>[0-9a-f]{1,8}):(?P<inode>\d{1,20})"
    r" \S+ \S+$",
    re.MULTILINE | re.ASCII,
)


class Stat(NamedTuple):
    """What /proc/PID/stat says: `state` is one letter, `started` is in clock ticks since the machine started."""

    state: str
    parent: int
    started: int

    @property
    def ended(self) -> bool:
        """Whether it has ended; a zombie has, whenever its parent takes note."""
        return self.state in ("Z", "X")


def stat(text: str) -> Stat | None:
    """Return what the text of /proc/PID/stat says (proc(5)), None if it says nothing.

    The name of the program, which comes before the state, may contain anything.
    """
    fields = text.rpartition(") ")[2].split()
    try:
        return Stat(fields[0], int(fields[1]), int(fields[19]))
    except (IndexError, ValueError):
        return None


def holders(locks: str, device: tuple[int, int], inode: int) -> list[int]:
    """Return the pids that hold a lock on a file, by the text of /proc/locks; those that only wait for one do not.

    `device` is the major and minor number of the file's device.

    Where no line has the file's device (some file systems show another there), the inode's number decides.
    """
    same = [held for held in _HELD.finditer(locks) if int(held["inode"]) == inode]
    exact = [held for held in same if (int(held["major"], 16), int(held["minor"], 16)) == tuple(device)]
    return sorted({pid for pid in (int(held["pid"]) for held in exact or same) if pid > 0})


def began_after(began: float, written: float) -> bool:
    """Return True if a process that began then cannot have written a file that was written then."""
    return began > written + CLOCK_ERROR
