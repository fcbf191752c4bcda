"""Processes of this machine, told from later ones with their number by when they began."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from plugins.module_utils.rollout_core.site import process_identity as core

_PROC = Path("/proc")


def started(pid: int) -> int | None:
    """Return when the process with that number began, in clock ticks since boot; None when there is none that lives.

    Not psutil's time of creation: that is of the system's clock, and moves with it.
    """
    try:
        stat = core.stat((_PROC / str(pid) / "stat").read_text(errors="replace"))
    except OSError:
        return None
    return stat.started if stat and not stat.ended else None


def lives(pid: int, began: int) -> bool:
    """Return True if the process with that number that began then still lives."""
    return started(pid) == began


def is_ours(pid: int) -> bool:
    """Return True if this process's user owns the one with that number."""
    with suppress(psutil.Error):
        return psutil.Process(pid).uids().real == os.getuid()
    return False


def told(pid: int) -> str:
    """Return the process in a line for people: `pid 4711 of tom: sleep 999`."""
    owner, command = "an unknown user", ""
    with suppress(psutil.Error, KeyError):
        owner = psutil.Process(pid).username()
    with suppress(psutil.Error):
        command = " ".join(psutil.Process(pid).cmdline())[:100]
    return f"pid {pid} of {owner}: {command or 'its command cannot be read'}"


def lock_holders(path: Path) -> list[int]:
    """Return the pids that hold a lock on the file, as far as the system shows them, and as far as they live.

    The system shows who took it: that may have ended and left it to a process that it had started.
    """
    try:
        there, locks = path.stat(), Path("/proc/locks").read_text(encoding="utf-8")
        found = core.holders(locks, (os.major(there.st_dev), os.minor(there.st_dev)), there.st_ino)
    except OSError:
        return []
    return [pid for pid in found if started(pid) is not None]
