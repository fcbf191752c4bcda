"""The lock files of a host's cron jobs: which are held, and which were left by a job that is gone (R5).

A lock file holds a pid, and a pid is given again: a process that began after the file was written is another one.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from ...rollout_core.site import process_identity as core
from . import processes

_PREFIX, _SUFFIX = "launchpad-", ".lock"
_PID = re.compile(r"\s*([0-9]{1,10})\s*", re.ASCII)
_LONGEST = 4096  # bytes of a lock file that are looked at


class JobLock(NamedTuple):
    """A lock file: `pid` None when it does not name one; `stale` says why nobody holds it, empty when somebody may."""

    job: str
    pid: int | None
    command: str
    lock: str
    stale: str

    @property
    def text(self) -> str:
        """It in a line for people."""
        if self.stale:
            return f"{self.job}: its lock is stale, and not waited for: {self.stale} ({self.command}).  rm {self.lock}"
        return f"{self.job}: it runs, pid {self.pid or 'unknown'}: {self.command} ({self.lock})"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a module answers it."""
        told = {"job": self.job, "pid": self.pid, "command": self.command, "lock": self.lock}
        return {**told, "text": self.text}


def look(lock_directory: str, jobs: list[str] | None) -> list[JobLock]:
    """Return the lock files of these jobs (None: of all)."""
    found = []
    for path in sorted(Path(lock_directory).glob(f"{_PREFIX}*{_SUFFIX}")):
        job = path.name[len(_PREFIX) : -len(_SUFFIX)]
        if jobs is None or job in jobs:
            found += list(_read(job, path))
    return found


def held(lock_directory: str, jobs: list[str] | None) -> list[JobLock]:
    """Return those that somebody holds, as far as can be told."""
    return [each for each in look(lock_directory, jobs) if not each.stale]


def _read(job: str, path: Path) -> Iterator[JobLock]:
    """Give the lock, nothing if it is gone. What cannot be read is taken for held."""
    pid, written = None, 0.0
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name must not be waited for
        try:
            written = os.fstat(handle).st_mtime
            named = _PID.fullmatch(os.read(handle, _LONGEST).decode("ascii", "replace"))
        finally:
            os.close(handle)
        pid = int(named.group(1)) if named else None
    except FileNotFoundError:
        return
    except OSError:  # another user's, or no file at all
        pass
    stale = "" if pid is None else _stale(pid, path, written)
    yield JobLock(job, pid, processes.command(pid) if pid is not None else "unknown", str(path), stale)


def _stale(pid: int, path: Path, written: float) -> str:
    """Return why the process with that number does not hold the lock; empty when it may."""
    if not processes.exists(pid):
        return f"there is no process {pid}"
    began = processes.began(pid)
    if began is None or not core.began_after(began, written) or pid in _lockers(path):
        return ""
    return f"process {pid} began {_clock(began)}, after the lock was written ({_clock(written)}): it is another one"


def _lockers(path: Path) -> list[int]:
    """Return who has locked the file itself: that is proof, whatever became of the host's clock."""
    try:
        there, locks = path.stat(), Path("/proc/locks").read_text(encoding="utf-8")
        return core.holders(locks, (os.major(there.st_dev), os.minor(there.st_dev)), there.st_ino)
    except OSError:
        return []


def _clock(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(instant))
