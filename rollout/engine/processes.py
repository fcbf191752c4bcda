"""Finds processes by a mark in their environment, which everything they start inherits, new sessions included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

GRACE = 5.0  # seconds between SIGTERM and SIGKILL


def marked(variable: str, prefix: str) -> list[psutil.Process]:
    """Return every living process but this one in whose environment `variable` begins with `prefix`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(variable, "").startswith(prefix):
                found.append(process)
        except psutil.Error:  # gone meanwhile, a zombie, or another user's
            continue
    return found


def stop(processes: Iterable[psutil.Process], grace: float = GRACE) -> None:
    """Send SIGTERM to all, and SIGKILL to those still there after `grace` seconds; return when none is left."""
    alive = list(processes)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            with suppress(psutil.NoSuchProcess):  # psutil compares start times before it signals
                end(process)
        deadline = time.monotonic() + grace
        while (alive := [process for process in alive if lives(process)]) and time.monotonic() < deadline:
            time.sleep(0.01)


def freeze(processes: Iterable[psutil.Process]) -> None:
    """Stop all of them with SIGSTOP, until they are thawed or killed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()


def thaw(processes: Iterable[psutil.Process]) -> None:
    """Let frozen processes go on."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def kill(processes: Iterable[psutil.Process]) -> None:
    """Send SIGKILL to all; a frozen process ends, too."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def lives(process: psutil.Process) -> bool:
    """Return True if a process still runs; a zombie has ended, even if its parent has not noticed.

    A zombie with other threads still runs: until the last of them has ended, its sockets are open.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def told(process: psutil.Process) -> str:
    """Return a process as a line for people: `pid 4711: ansible-playbook playbooks/outage.yml …`."""
    with suppress(psutil.Error):
        return f"pid {process.pid}: {' '.join(process.cmdline())[:100]}"
    return f"pid {process.pid}"
