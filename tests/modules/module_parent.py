"""The parent of modules under test: a Python that has loaded what they import, and forks for each one that is started.

A module so started is a process as ever, with a number, signals, arguments on its stdin and an environment of its own,
also in /proc. Only Python's start and the imports, nine tenths of a module's time, are had once.

    python -m tests.modules.module_parent DESCRIPTOR     a SOCK_SEQPACKET socket; see module_process.py
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import plugins.module_utils

FOREIGN = (
    "ansible.module_utils.basic",
    "ansible.module_utils.urls",
    "dateutil.rrule",
    "launchpadlib.launchpad",
    "psycopg",
    "yaml",
)
ROOM = "ROLLOUT_ROOM"  # a variable that makes room for the environments of children
ROOM_BYTES = 65536
_STAT_ENV_START = 47  # among the fields of /proc/self/stat behind the command's name (proc(5), field 50)


def preload() -> None:
    """Import what modules import, but not the modules: each runs its own code, as `__main__`."""
    for name in FOREIGN:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(plugins.module_utils.__path__, "plugins.module_utils."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # children write to none of it


def serve(connection: socket.socket) -> str | None:
    """Fork for each request. Return the module's name in the child; None here, once nobody asks any more."""
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is not connection:
                selector.unregister(key.fd)
                _report_end(key.fd, *key.data)
                continue
            message, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 4)
            if not message:
                return None
            request, (*streams, told) = json.loads(message), descriptors
            child = os.fork()
            if not child:
                selector.close()  # or it closes that number later, when it is a database connection's
                connection.close()
                return _become(request, streams)
            for descriptor in streams:
                os.close(descriptor)
            selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, told))
            connection.send(str(child).encode())


def _report_end(descriptor: int, child: int, told: int) -> None:
    """Tell how the child ended, to whoever has started it and may be gone."""
    os.close(descriptor)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(told)


def _become(request: Mapping[str, Any], streams: list[int]) -> str:
    """Make this child the process that was asked for, up to its code, and return the module's name."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for number in request["ignored"]:  # that, and what is blocked, goes on to what is started
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    _show_environment(request["environment"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["cwd"])
    return str(request["name"])


def _show_environment(environment: Mapping[str, str]) -> None:
    """Have /proc/PID/environ tell it, where a run's processes are looked for: overwrite what exec has put there."""
    with open("/proc/self/stat") as stat:  # noqa: PTH123
        start, end = map(int, stat.read().rpartition(") ")[2].split()[_STAT_ENV_START : _STAT_ENV_START + 2])
    block = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items())
    assert len(block) < end - start, f"the environment is larger than {ROOM_BYTES} bytes"
    ctypes.memmove(start, block.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    preload()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked:
        sys.argv[1:] = []
        runpy.run_module(f"plugins.modules.{asked}", run_name="__main__")
