"""Who holds a lock of ours, and how far that can be believed.

A lock is a file that somebody has flocked, and what stands in it is what its last owner wrote. Whoever may read the
file can hold it, and the writer may be gone: only a process that lives, is the one that wrote, and is ours is believed,
and only then is there a pid to end.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rollout import process_identity
from rollout.outcomes import LockedError

ATTEMPTS = 5  # to take it: whoever asks for its owner holds it for a moment
PAUSE = 0.05  # seconds between two
LONGEST = 4096  # bytes of a lock that are looked at


@dataclass(frozen=True)
class LockOwner:
    """The owner of the lock at `path`: who says to hold it, and `doubt`, why that cannot be believed; empty: it can.

    `holders` are the pids that the system shows to hold it.
    """

    path: Path
    pid: int | None
    host: str
    terminal: str
    doubt: str
    holders: tuple[int, ...]

    @property
    def proven(self) -> bool:
        """Whether a runbook of ours holds it, for certain."""
        return not self.doubt

    def __str__(self) -> str:
        """Return it in words."""
        if self.pid is None:
            return "somebody who has left no name"
        return f"pid {self.pid} on {self.host} (terminal {self.terminal})"

    def lines(self) -> list[str]:
        """Return what is known of an owner that cannot be believed, and what to type."""
        seen = [process_identity.told(pid) for pid in self.holders]
        pids = ",".join(map(str, self.holders))
        ours = self.holders and all(map(process_identity.is_ours, self.holders))
        end = f"kill {' '.join(map(str, self.holders))}" if ours else "its owner, or root, ends it"
        look = f"  Look:  ps -fp {pids}   It is no runbook at work? Then:  {end}"
        return [
            f"  It names {self}: {self.doubt}.",
            f"  It is held by {'; '.join(seen)}" if seen else "  Who holds it cannot be seen from here.",
            look if seen else f"  Look, as root:  fuser -v {self.path}",
        ]

    def refusal(self, what: str) -> LockedError:
        """Return the error for somebody who wants the lock of `what`, such as a rollout's name."""
        if self.proven:
            return LockedError(f"E-locked  {what} is being rolled out already, by {self}.")
        told = f"E-locked  The lock of {what} is held, and not by a runbook that can be proven to be at work."
        return LockedError("\n".join([told, *self.lines()]))


def open_lock(path: Path) -> IO[str]:
    """Open the lock's file, which only we may read: whoever can, can hold it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with suppress(PermissionError):  # another user's: what follows will say so
        os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")


def take(file: IO[str], path: Path, what: str) -> None:
    """Take the lock of `what`, and leave our name in it. Raises LockedError, which says who holds it, and OSError."""
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as error:
            if attempt + 1 == ATTEMPTS:
                raise _believed(path).refusal(what) from error
            time.sleep(PAUSE)
    try:
        file.seek(0)
        file.truncate(0)
        file.write(json.dumps(_here()))
        file.flush()
    except OSError as error:
        error.filename = str(path)
        raise


def owner(path: Path) -> LockOwner | None:
    """Return who holds the lock, None when nobody does. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _believed(path)
    finally:
        os.close(descriptor)
    return None


def _believed(path: Path) -> LockOwner:
    """Look again for a moment: whoever has just taken it has not written yet."""
    for _ in range(ATTEMPTS):
        found = _look(path)
        if found.proven:
            break
        time.sleep(PAUSE)
    return found


def _look(path: Path) -> LockOwner:
    said = _said(path)
    holders = tuple(process_identity.lock_holders(path))
    pid, began, host = said.get("pid"), said.get("started"), _plain(said.get("host", "an unknown host"))
    if not isinstance(pid, int) or isinstance(pid, bool):
        pid = None
    doubt = _doubt(pid, began, host, holders)
    return LockOwner(path, pid, host, _plain(said.get("terminal", "unknown")), doubt, holders)


def _said(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            said = json.loads(os.read(descriptor, LONGEST))
        finally:
            os.close(descriptor)
        if isinstance(said, dict):
            return said
    return {}


def _plain(text: object) -> str:
    """Return what somebody may have written there as a short text without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text)[:80])


def _doubt(pid: int | None, began: object, host: str, holders: tuple[int, ...]) -> str:
    """Return why the owner that the lock names is not believed; empty when it is."""
    if pid is None:
        return "that is no name of a runbook's"
    if host != os.uname().nodename:
        return "another machine, whose processes cannot be seen from here"
    now = process_identity.started(pid)
    if now is None:
        return "that process has ended"
    if now != began:
        return "a later process has that number now"
    if not process_identity.is_ours(pid):
        return "that is another user's process"
    if holders and pid not in holders:
        return "that process does not hold it"
    return ""


def _here() -> dict[str, Any]:
    """Return how this process names itself in a lock."""
    try:
        terminal = os.ttyname(0)
    except OSError:
        terminal = "none"
    pid = os.getpid()
    return {
        "pid": pid,
        "started": process_identity.started(pid),
        "host": os.uname().nodename,
        "terminal": terminal,
    }
