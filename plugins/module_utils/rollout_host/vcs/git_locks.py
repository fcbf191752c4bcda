"""Removes locks that a killed git has left in a repository: each blocks later commands until somebody removes it.

A lock is removed if it is certain that nobody holds it: it belongs to our user, is in the tree's own repository, and no
git of that user is at work there. Any other lock is reported, with its age.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Iterable

from .base import LockedError, VcsError

_NAMED = re.compile(
    r"Unable to create '(?P<lock>[^'\n]+\.lock)': File exists"
    r"|could not lock config file (?P<config>[^\n:]+): File exists"
)
_PROC = Path("/proc")
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def clear(error: VcsError, workdir: str, repository: Iterable[Path]) -> None:
    """Remove the lock at which a command failed. `repository` are the directories of the tree's own repository.

    Raises LockedError if it may not be removed, and the error itself if it tells of no lock.
    """
    found = _NAMED.search(error.stderr)
    if found is None:
        raise error
    lock = Path(workdir, found["lock"] or f"{found['config']}.lock")
    inside = [directory for directory in repository if directory in lock.resolve().parents]
    if not inside or not _ours(lock) or _somebody_works([Path(workdir).resolve(), *inside]):
        raise LockedError(error.command, error.exit_code, told(lock)) from error
    with suppress(FileNotFoundError):  # whoever held it has just gone
        lock.unlink()


def told(lock: Path) -> str:
    """Return a message about a lock: how old it is, and what to do."""
    try:
        age = f"is there for {_long(time.time() - lock.stat().st_mtime)}"
    except OSError:  # on another host
        age = "is there, on the host of that repository"
    return (
        f"{lock} {age}: a git that was killed left it, or one is at work.\n"
        f"  If no git is at work there:  rm {shlex.quote(str(lock))}"
    )


def _long(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), (1, "s"))
    return f"{max(seconds, 0) / size:.0f} {unit}"


def _ours(lock: Path) -> bool:
    """Return True if the lock belongs to our own user, so that no other user's git has made it."""
    try:
        return lock.lstat().st_uid == os.geteuid()
    except OSError:
        return False


def _somebody_works(places: Iterable[Path]) -> bool:
    """Return True if a git of our user is at work there: inside a directory, with a file open in it, or naming it."""
    return any(_works_in(process, place) for process in _PROC.glob("[0-9]*") for place in places)


def _works_in(process: Path, place: Path) -> bool:
    try:
        if not (process / "comm").read_text().startswith("git"):
            return False
        used = [Path(os.readlink(process / "cwd"))]
        for descriptor in (process / "fd").iterdir():
            used.append(Path(os.readlink(descriptor)))
        words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:  # it has ended, or is another user's
        return False
    return str(place) in words or any(place == path or place in path.parents for path in used)
