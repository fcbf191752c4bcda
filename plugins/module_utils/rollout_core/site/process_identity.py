"""Which process a number stands for: a pid is given again, so when it began tells one process from the next.

Facts in (the text of /proc/PID/stat, /proc/locks, instants in seconds), an answer out; files are the caller's.
"""

from __future__ import annotations

from typing import NamedTuple

CLOCK_ERROR = 2.0  # seconds that a file's time and the begin of a process may be apart, both told by the same machine


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
    found = [line.split() for line in locks.splitlines() if " -> " not in line]
    held = [(fields[-3].split(":"), int(fields[-4])) for fields in found if len(fields) >= 8]
    same = [(place, pid) for place, pid in held if len(place) == 3 and place[2] == str(inode)]
    exact = [pid for place, pid in same if (int(place[0], 16), int(place[1], 16)) == tuple(device)]
    return sorted({pid for pid in exact or [pid for _, pid in same] if pid > 0})


def began_after(began: float, written: float) -> bool:
    """Return True if a process that began then cannot have written a file that was written then."""
    return began > written + CLOCK_ERROR
