"""Runs work in a process of its own, which outlives whoever started it; its answer is in a file.

Ansible's `async` copies the module to the host first, which fails where one unprivileged user becomes another (unless
there are POSIX ACLs), and its wrapper stays for 5 s after the end. This works wherever modules are piped.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping

from ... import whole_file
from ...services.processes import DATABASE
from ..conninfo import database_name
from .worker_file import command

_RESERVED = 65536  # bytes for an answer, so that a disk that gets full does not keep it from being told


def start(pyz: Path, params: Mapping[str, Any], seconds: float) -> tuple[int, str]:
    """Start the guardian of an outage with these parameters; return its pid and the file in which the result will be.

    Waits for its end, but for `seconds` at most. When this returns, no signal to this process or its terminal reaches
    the guardian. Raises OSError.
    """
    directory = pyz.parent
    descriptor, answer_file = tempfile.mkstemp(prefix="answer-", suffix=".json", dir=directory)
    with suppress(OSError):  # not every file system can
        os.posix_fallocate(descriptor, 0, _RESERVED)
    os.close(descriptor)
    spec = _beside(answer_file, "spec-", ".json")
    spec.touch(mode=0o600)
    spec.write_text(json.dumps({**params, "answer_file": answer_file}))
    log = _beside(answer_file, "log-", ".txt")
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        guardian = subprocess.Popen(
            command(pyz, "guard", str(spec)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=directory,
            env={**os.environ, DATABASE: database_name(params["dsn"])},
            start_new_session=True,
        )
    with suppress(subprocess.TimeoutExpired):
        guardian.wait(seconds)
    return guardian.pid, answer_file


def result(answer_file: str) -> dict[str, Any] | None:
    """Return the result of the work; None as long as there is none."""
    with suppress(OSError, ValueError):
        return whole_file.read_object(Path(answer_file))
    return None


def write_result(answer_file: str, answer: Mapping[str, Any]) -> None:
    """Write the result so that a reader sees all of it or nothing. Raises OSError.

    On a full disk it goes into the space that was reserved for it.
    """
    content = json.dumps(answer).encode()
    try:
        whole_file.replace(Path(answer_file), content, durable=False)
    except OSError:
        with Path(answer_file).open("r+b") as file:
            file.write(content + b" " * (_RESERVED - len(content)))


def crashed(error: BaseException) -> dict[str, Any]:
    """Return the result for work that ended by an unexpected exception; what became of the outage is not known."""
    told = traceback.format_exception(type(error), error, error.__traceback__)
    return {"failed": True, "crashed": "".join(told)}


def clean_up(answer_file: str) -> None:
    """Delete the files that only the guardian needed: the parameters, and its log if it is empty."""
    with suppress(OSError):
        _beside(answer_file, "spec-", ".json").unlink()
    log = _beside(answer_file, "log-", ".txt")
    with suppress(OSError):
        if log.stat().st_size == 0:
            log.unlink()


def _beside(answer_file: str, prefix: str, suffix: str) -> Path:
    path = Path(answer_file)
    return path.with_name(prefix + path.stem.replace("answer-", "", 1) + suffix)
