"""Commands for a person at a terminal of the database host, without Ansible: end an outage, look at it (R19)."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...services import processes
from ..access.base import read_record, record_file
from ..connection import RolloutError, message
from ..driver import psycopg
from ..standbys import left_paused
from .guardian import let_users_in
from .progress import path, read, running, worker

_ANSWERS = 10.0  # seconds, in which a worker that is asked rolls back and opens access
_TRIES = 15.0  # seconds, in which its guardian does, if it has one
_LOOK = 0.05


def end_outage(directory: Path, database: str) -> int:
    """End an outage: ask the worker to stop, or do without it; open access, resume standbys, print what became of it.

    Returns 0 if users are in and nothing is left open.
    """
    where = str(directory), database
    closed, paused = read_record(record_file(*where)), left_paused(*where)
    left = closed or paused
    if left is None:
        _say(f"access to {database} was not closed by us: there is no {record_file(*where)}")
        return 0
    state = read(*where, left["run_id"])
    if closed:
        _ask(directory, database, left["run_id"])
    elif alive := worker(state):
        _say(f"users are in; {alive.text} is letting the standbys catch up")
        return 0
    spec = {"pools": [], "patches": [], "standbys": [], **(state or {}), **(closed or {}), "state_directory": where[0]}
    until = time.monotonic() + _TRIES
    while _left(where):
        try:
            result = let_users_in(spec, left["run_id"], state)
        except (RolloutError, psycopg.Error, OSError, KeyError) as error:
            if time.monotonic() > until:
                _say(message(error))
                return 1
            time.sleep(_LOOK)
        else:
            _say(result["msg"])
            return _still(where)
    answer = (read(*where, left["run_id"]) or {}).get("answer")
    _say(f"access to {database} is open; its outage {left['run_id']} ended: {answer or 'without a word'}")
    return 0


def _left(where: tuple[str, str]) -> bool:
    return record_file(*where).exists() or left_paused(*where) is not None


def _still(where: tuple[str, str]) -> int:
    """Print what is still left open, and return the exit code."""
    paused = left_paused(*where)
    if paused:
        standbys = "; ".join(standby["dsn"] for standby in paused["standbys"])
        _say(f"STILL NOT AS BEFORE, type this again once they answer: {standbys}")
    return 1 if _left(where) else 0


def status(directory: Path) -> int:
    """Print what this host knows of outages, one a line. Returns 1 while anything of ours is left."""
    for file in sorted(directory.glob("progress-*.json")):
        with suppress(OSError, ValueError):
            _say(_told(directory, json.loads(file.read_text()), file.stem.partition("-")[2]))
    closed = sorted(directory.glob("access-*.json"))
    for file in closed:
        record = read_record(file)
        if record is not None:
            _say(f"{record['database']}: CLOSED by {record['run_id']}")
    paused = sorted(directory.glob("standbys-*.json"))
    for file in paused:
        record = read_record(file)
        if record is not None:
            _say(f"{record['database']}: the replay of {len(record['standbys'])} standbys PAUSED by {record['run_id']}")
    return 1 if closed or paused else 0


def _told(directory: Path, state: dict[str, Any], database: str) -> str:
    alive = worker(state)
    step = running(state)
    doing = f"{step['step']} for {step['running_seconds']:.0f} s" if step else "no step"
    lives = alive.text if alive else "its worker is gone"
    answer = state["answer"] or "no answer yet"
    return f"{database}: {state['run_id']}, {answer}, {doing}, {lives} ({path(str(directory), database)})"


def _ask(directory: Path, database: str, run_id: str) -> None:
    """Ask the worker to stop, if it lives, and wait for its answer; kill it if it gives none."""
    asked = worker(read(str(directory), database, run_id))
    if asked is None:
        return
    _say(f"asked {asked.text} to stop")
    processes.ask([asked], signal.SIGTERM)
    if processes.wait([asked], _ANSWERS):
        processes.ask([asked], signal.SIGKILL)
        processes.wait([asked], _ANSWERS)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
