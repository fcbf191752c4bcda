"""The progress of the outage's worker, in a small file on its host, for whoever watches or stops it (R19).

Instants are CLOCK_MONOTONIC in seconds, which all processes of a host share. The file is replaced, never rewritten, so
a reader sees one whole state. It is not synced: it describes a process, and is worth nothing after a reboot.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Mapping

from ... import whole_file
from ...services import processes

COMMITTED, ROLLED_BACK, LOCKED_OUT, REFUSED = "committed", "rolled_back", "locked_out", "refused"


class Progress:
    """Writes the worker's progress. No error in that reaches the outage."""

    def __init__(
        self,
        state_directory: str,
        database: str,
        run_id: str,
        work: str = "patches",
        tell: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Write that this process is the worker, and has begun no step. `state_directory` is made if it is not there.

        `tell` gets every state as well: it is the way to the guardian, who must know even if the disk is full.
        """
        self._file = path(state_directory, database)
        self._tell = tell
        self._state: dict[str, Any] = {"run_id": run_id, "pid": os.getpid(), "work": work, "steps": []}
        self._state["started"] = processes.started(os.getpid())
        self._state.update(transaction=None, answer=None, finished=False)
        self._write()

    def note(self, **facts: Any) -> None:
        """Keep facts for whoever finds us dead, such as the `transaction` before its COMMIT is sent."""
        self._state.update(facts)
        self._write()

    def begin(self, step: str) -> None:
        """Write that a step begins now."""
        self._state["steps"].append({"step": step, "since": time.monotonic()})
        self._write()

    def answer(self, answer: str, *, finished: bool = False) -> None:
        """Write what became of the outage: COMMITTED (or the work's own word), ROLLED_BACK, LOCKED_OUT, REFUSED.

        REFUSED means before anything was touched. `finished`: nothing more comes.
        """
        self._state.update(answer=answer, finished=finished)
        self._write()

    def _write(self) -> None:
        with suppress(OSError):
            self._tell(self._state)
        with suppress(OSError):
            _replace(self._file, self._state)


def close(state_directory: str, database: str, state: Mapping[str, Any], answer: str | None) -> None:
    """Write, for a worker that is gone, what became of its outage; None: it is not known."""
    with suppress(OSError):
        _replace(path(state_directory, database), {**state, "answer": answer, "finished": True}, ".closed")


def _replace(file: Path, state: Mapping[str, Any], suffix: str = ".new") -> None:
    whole_file.private_directory(file.parent)
    new = file.with_suffix(suffix)
    content = json.dumps(state).encode()
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as written:
        os.fchmod(written.fileno(), 0o600)
        with suppress(OSError):  # ext4 writes a file out that replaces another one, unless it has its blocks already
            os.posix_fallocate(written.fileno(), 0, len(content))
        written.write(content)
    new.replace(file)


def path(state_directory: str, database: str) -> Path:
    """Return the path of the progress file for a database."""
    return Path(state_directory) / f"progress-{database}.json"


def read(state_directory: str, database: str, run_id: str) -> dict[str, Any] | None:
    """Return the progress of that run, None if no worker of it has begun or another came after it."""
    state = last(state_directory, database)
    return state if state and state.get("run_id") == run_id else None


def last(state_directory: str, database: str) -> dict[str, Any] | None:
    """Return the progress of the last run on that database, whichever it was; None without one."""
    try:
        return whole_file.read_object(path(state_directory, database))
    except (OSError, ValueError):
        return None


def worker(state: Mapping[str, Any] | None) -> processes.Process | None:
    """Return the worker if it lives, began when it says and carries its run's mark: a number alone may be another's."""
    found = processes.process_of(state["pid"], state["run_id"]) if state else None
    return found if found and found.started == (state or {}).get("started", found.started) else None


def running(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the step that runs now, {step, running_seconds}, or None."""
    if not state or state["finished"] or not state["steps"]:
        return None
    step = state["steps"][-1]
    return {"step": step["step"], "running_seconds": round(time.monotonic() - step["since"], 3)}


def measured(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the steps that have ended, [{step, seconds}]; only the worker knows how long the last one took."""
    steps = state["steps"] if state else []
    pairs = zip(steps, steps[1:])
    return [{"step": step["step"], "seconds": round(then["since"] - step["since"], 3)} for step, then in pairs]
