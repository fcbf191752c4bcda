"""The work behind the gate of a partial downtime: nothing but to keep it closed until we are told to open it (R18).

Meanwhile the site's own playbook works, and may restart PostgreSQL: then we connect again and look whether the gate is
still closed. At the deadline the gate opens by itself, whatever became of those who began it (R19).
"""
# ruff: noqa: ARG002, ARG004 - every work is asked the same, and of this one little depends on it

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any, Mapping, NamedTuple

from ...services import processes
from ..access.base import LEFT_CLOSED, Gate
from ..connection import RolloutError, take_lock
from ..outage.detached import result
from ..outage.progress import path, worker
from ..outage.run import Interruption, Outage, Work, WorkError

with suppress(ImportError):  # connection.PSYCOPG_IMPORT_ERROR says so
    import psycopg

WORK = "hold"  # as the option `work` names it
STEP = "hold"
_LOOK_SECONDS = 0.5
_DEADLINE = "SIGALRM"


class Hold(Work):
    """Keep the gate closed. It ends by SIGTERM (good), by the deadline, or because somebody else opened the gate."""

    done_word = "opened"
    irreversible = False

    def __init__(self, params: Mapping[str, Any], gate: Gate) -> None:
        """Nothing of it can be refused."""
        self.gate = gate
        self.answer_file = params.get("answer_file")

    @property
    def wanted(self) -> bool:
        """Always."""
        return True

    def checked(self) -> dict[str, Any]:
        """Return that the gate would be closed."""
        return {"changed": True, "committed": False, "summary": "no outage: check mode, the gate would be closed"}

    def run(self, outage: Outage) -> None:
        """Wait, and look. Raises WorkError."""
        ended = outage.ended_sessions
        outage.note(answer_file=self.answer_file, left_seconds=outage.seconds_left(), ended_sessions=ended)
        outage.begin(STEP)
        try:
            with outage.interruptible():
                while True:
                    self._look()
                    time.sleep(_LOOK_SECONDS)
        except Interruption:
            if outage.interruptible.received == _DEADLINE:
                told = "E-hold-deadline  the deadline came and nobody had said that the work behind the gate was done."
                then = "see how far that work came: users were let in meanwhile. Undo the window's stages (R19)"
                raise WorkError(told, then, verdict="abort") from None
            outage.interruptible.received = None  # told to open the gate: that is the end of it, not an interruption

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Nothing here is kept or rolled back."""
        return False, "What was done behind the gate stands as it is."

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Nothing is there to be verified but the gate, which whoever opened it has looked at."""
        return {"changed": True, "committed": False}

    @staticmethod
    def found(
        params: Mapping[str, Any],
        connection: psycopg.Connection[Any],
        state: Mapping[str, Any] | None,
        *,
        at_work: bool,
    ) -> tuple[bool | None, str]:
        """Nothing here is committed, ever."""
        return False, "what was done behind the gate stands as it is"

    def _look(self) -> None:
        """See that it is closed, by us. A server that does not answer is being restarted: there is another look."""
        try:
            if self.gate.connection.closed:
                self.gate.reconnect()
                take_lock(self.gate.connection)
            self.gate.connection.execute("SELECT 1")  # pgbouncer's gate asks only pgbouncer
            state, _ = self.gate.state()
        except (psycopg.Error, RolloutError):
            return
        if state != LEFT_CLOSED:
            told = f"E-gate-opened  somebody opened the gate of {self.gate.database} while it was held: users are in."
            raise WorkError(told, "find out who, and see how far the work behind it came", verdict="abort")


class Holder(NamedTuple):
    """The worker that held, or holds, a gate last, as its progress file tells it."""

    state: Mapping[str, Any]

    @classmethod
    def last(cls, state_directory: str, database: str) -> Holder | None:
        """Return the last worker of that database, None if it was no hold's, or there was none."""
        try:
            state = json.loads(path(state_directory, database).read_text())
        except (OSError, ValueError):
            return None
        return cls(state) if state.get("work") == WORK else None

    @property
    def run_id(self) -> str:
        """The run that closed the gate."""
        return str(self.state["run_id"])

    @property
    def process(self) -> processes.Process | None:
        """The worker, None once it has ended."""
        return worker(self.state)

    @property
    def holds(self) -> bool:
        """Whether it keeps the gate closed: users are out, and it has been told nothing yet."""
        steps = self.state["steps"]
        return bool(steps and steps[-1]["step"] == STEP and not self.state["answer"] and self.process)

    @property
    def seconds(self) -> float:
        """How long the gate has been closed."""
        return time.monotonic() - float(self.state["steps"][0]["since"])

    @property
    def seconds_left(self) -> float:
        """How long until it opens by itself."""
        return float(self.state["left_seconds"]) - (time.monotonic() - float(self.state["steps"][-1]["since"]))

    @property
    def result(self) -> dict[str, Any] | None:
        """What it came to, None as long as it has said nothing."""
        return result(self.state.get("answer_file") or "")
