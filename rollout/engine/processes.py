"""Processes known by a mark in their environment, which whatever they start inherits, sessions of its own included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

GRACE = 5.0  # seconds between SIGTERM and SIGKILL


def marked(variable: str, prefix: str) -> list[psutil.Process]:
    """Every living process, but this one, in whose environment the value of `variable` begins with `prefix`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(variable, "").startswith(prefix):
                found.append(process)
        except psutil.Error:  # gone meanwhile, a zombie, or another user's
            continue
    return found


def stop(processes: Iterable[psutil.Process], grace: float = GRACE) -> None:
    """SIGTERM to all, SIGKILL to those still there after `grace` seconds; returns when none is left."""
    alive = list(processes)
    for end in (psutil.Process.terminate, psutil.Process.kill):
        for process in alive:
            with suppress(psutil.NoSuchProcess):  # psutil compares start times before it signals
                end(process)
        deadline = time.monotonic() + grace
        while (alive := [process for process in alive if lives(process)]) and time.monotonic() < deadline:
            time.sleep(0.01)


def freeze(processes: Iterable[psutil.Process]) -> None:
    """Let none of them do anything more, until they are thawed or killed."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()


def thaw(processes: Iterable[psutil.Process]) -> None:
    """Let them go on."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def kill(processes: Iterable[psutil.Process]) -> None:
    """SIGKILL to all: also what is frozen ends."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def lives(process: psutil.Process) -> bool:
    """Whether it still runs; a zombie has ended, whenever its parent takes note.

    One whose other threads are still ending has not: until the last of them is gone its sockets are open.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


def told(process: psutil.Process) -> str:
    """It in a line for people: `pid 4711: ansible-playbook playbooks/outage.yml …`."""
    with suppress(psutil.Error):
        return f"pid {process.pid}: {' '.join(process.cmdline())[:100]}"
    return f"pid {process.pid}"
