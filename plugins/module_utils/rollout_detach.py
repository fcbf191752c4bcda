"""Work that goes on whatever becomes of whoever started it: a process in a session of its own, its answer in a file.

Ansible's `async` copies the module to the host first, which fails where one unprivileged user becomes another (unless
there are POSIX ACLs), and its wrapper stays for 5 s after the end. This works wherever modules are piped.
"""

from __future__ import annotations

import json
import os
import select
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable


def detach(directory: str, work: Callable[[], dict[str, Any]], seconds: float) -> tuple[int, str]:
    """Begin `work` in a process of its own and return its pid and the file in which its result will be.

    Waits for its end, but at most for some seconds. By the time this returns, nothing that is sent to this process or
    its terminal reaches the other. The code of `work` must be imported already: Ansible removes the module's files when
    this process ends. Raises OSError.
    """
    Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, answer_file = tempfile.mkstemp(prefix="answer-", suffix=".json", dir=directory)
    os.close(descriptor)
    told, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.waitpid(child, 0)
        pid = int(os.read(told, 20))
        select.select([told], [], [], seconds)  # it tells no more than that: at its end, this is the end of the pipe
        os.close(told)
        return pid, answer_file
    try:  # from here on in the child, which must never get back to the caller
        os.close(told)
        os.setsid()
        if os.fork() == 0:
            _begin(tell)
            _write(Path(answer_file), _result(work))
    finally:
        os._exit(0)


def result(answer_file: str) -> dict[str, Any] | None:
    """Return what the work came to; None as long as it has said nothing."""
    with suppress(OSError, ValueError):
        read: dict[str, Any] = json.loads(Path(answer_file).read_text())
        return read
    return None


def _begin(tell: int) -> None:
    """Let go of the terminal or the connection, and say that we are here; our end closes the pipe."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.write(tell, str(os.getpid()).encode())


def _result(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return work()
    except Exception:
        return {"failed": True, "crashed": traceback.format_exc()}


def _write(path: Path, answer: dict[str, Any]) -> None:
    """Write it so that a reader sees all of it or nothing."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(answer))
    new.replace(path)
