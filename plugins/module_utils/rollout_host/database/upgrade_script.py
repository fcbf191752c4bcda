"""Runs the site's own upgrade script in bounded time, its output in a file, its last success on record (R12)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, Sequence

from .. import whole_file
from ..services import processes
from .connection import RolloutError

GRACE_SECONDS = 5.0  # each for SIGINT and SIGTERM
STOPPING_SECONDS = 1.0
_LOOK_SECONDS = 0.05


class ScriptEnd(NamedTuple):
    """The end of a command: its exit code (negative: by a signal; None: at the deadline), and its seconds."""

    exit_code: int | None
    seconds: float


def run(argv: Sequence[str], directory: str | None, log: Path, deadline: float, setting: str) -> ScriptEnd:
    """Run a command in a process group of its own, its output into `log`; at the deadline (seconds) the group is ended.

    The group is also ended if this process is told to end. Raises RolloutError `E-upgrade-command` if it cannot be
    started; `setting` is the variable that names the command.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # so that the group is ended first
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    begun = time.monotonic()
    try:
        process = start(argv, directory, log)
    except OSError as error:
        raise RolloutError(not_startable(argv, directory, error, setting)) from error
    code = None
    try:
        code = process.wait(timeout=deadline)
    except subprocess.TimeoutExpired:
        end_group(process.pid)
    except BaseException:  # whoever ends us (playbooks/stop.yml) has most likely told it as well
        _wait_for_group(process.pid, STOPPING_SECONDS)
        end_group(process.pid)
        raise
    return ScriptEnd(code, min(deadline, time.monotonic() - begun))


def start(argv: Sequence[str], directory: str | None, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own, its output into `log`. Raises OSError."""
    with open(log, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        return subprocess.Popen(
            argv,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def refuse_missing(argv: Sequence[str], directory: str | None, setting: str) -> None:
    """Raise RolloutError `E-upgrade-command` if the command could not be started, before anybody is locked out."""
    found = Path(directory or "", argv[0]) if "/" in argv[0] else Path(shutil.which(argv[0]) or "/nowhere")
    if not found.is_file():
        raise RolloutError(not_startable(argv, directory, FileNotFoundError(2, "No such file or directory"), setting))
    if not os.access(found, os.X_OK):
        raise RolloutError(not_startable(argv, directory, PermissionError(13, "it may not be executed"), setting))


def not_startable(argv: Sequence[str], directory: str | None, error: OSError, setting: str) -> str:
    """Return the message for a command that could not be started."""
    return (
        f"E-upgrade-command  {' '.join(argv)} cannot be run in {directory or Path.cwd()}: {error.strerror}.\n"
        f"Nothing was touched. Then: correct {setting} in the inventory, and ./runbook.py run"
    )


def end_group(group: int) -> None:
    """End a command and all that it started in its group: SIGINT first, so that it can open what it has closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if _wait_for_group(group, 0):
            return
        with suppress(ProcessLookupError, PermissionError):  # what is left of it may be another user's, by sudo
            os.killpg(group, number)
        _wait_for_group(group, GRACE_SECONDS)


def end_group_of_run(group: int, run_id: str) -> None:
    """End a group that another process has started, if it is still that run's: the number may have been reused."""
    for process in processes.marked(run_id):
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                end_group(group)
                return


def _wait_for_group(group: int, seconds: float) -> bool:
    """Wait until the group has ended, for `seconds` at most; return True if it has."""
    until = time.monotonic() + seconds
    while _lives(group) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return not _lives(group)


def _lives(group: int) -> bool:
    """Return True if a process of the group is at work. A zombie has ended, even if its parent has not noticed."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of_group = path.read_text(errors="replace").rpartition(") ")[2].split()[:3]
            if int(of_group) == group and state not in ("Z", "X"):
                return True
    return False


def new_log(directory: str, database: str, what: str = "upgrade") -> Path:
    """Return a new file for one run's output, for its user only; its name says when, in the host's UTC."""
    whole_file.private_directory(Path(directory))
    when = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    descriptor, path = tempfile.mkstemp(prefix=f"{what}-{database}-{when}-", suffix=".log", dir=directory)
    os.close(descriptor)
    return Path(path)


def last_success(directory: str, database: str) -> dict[str, Any] | None:
    """Return what `record_success` wrote last for this database; None if there is nothing that can be read."""
    with suppress(OSError, ValueError):
        return whole_file.read_object(_record(directory, database))
    return None


def record_success(directory: str, database: str, success: dict[str, Any]) -> None:
    """Record a run that ended well, because no row tells of it: it sets permissions too."""
    whole_file.replace(_record(directory, database), json.dumps(success).encode())


def _record(directory: str, database: str) -> Path:
    return Path(directory) / f"upgraded-{database}.json"
