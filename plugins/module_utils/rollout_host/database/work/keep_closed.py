"""The work of a partial downtime: access is kept closed until we are told to open it (R18).

Meanwhile the site's own playbook works, and may restart PostgreSQL: then we connect again and look whether access is
still closed. At the deadline access opens by itself, whatever became of those who began it (R19).
"""
# ruff: noqa: ARG002, ARG004 - every work is asked the same, and of this one little depends on it

from __future__ import annotations

import time
from typing import Any, Mapping, NamedTuple

from ...services import processes
from ..access.base import LEFT_CLOSED, Access
from ..connection import RolloutError, take_lock
from ..driver import psycopg
from ..outage.detached import result
from ..outage.progress import last, worker
from ..outage.run import Interruption, Outage, OutageWork, WorkError

WORK = "keep_closed"  # as the option `work` names it
STEP = "keep access closed"
_LOOK_SECONDS = 0.5
_DEADLINE = "SIGALRM"


class KeepClosed(OutageWork):
    """Keeps access closed. It ends by SIGTERM (good), at the deadline, or because somebody else opened access."""

    done_word = "opened"
    irreversible = False

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Keep the access; this work is never refused."""
        self.access = access
        self.answer_file = params.get("answer_file")

    @property
    def wanted(self) -> bool:
        """Return True: there is always something to do."""
        return True

    def checked(self) -> dict[str, Any]:
        """Return what the module would answer: that access would be closed."""
        return {"changed": True, "committed": False, "summary": "no outage: check mode, access would be closed"}

    def run(self, outage: Outage) -> None:
        """Wait, and look again and again whether access is closed. Raises WorkError."""
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
                told = "E-keep-closed-deadline  the deadline came and nobody had said that the site's work was done."
                then = "see how far that work came: users were let in meanwhile. Undo the window's stages (R19)"
                raise WorkError(told, then, verdict="abort") from None
            outage.interruptible.received = None  # told to open access: that is the end of it, not an interruption

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Return that nothing is kept or rolled back."""
        return False, "What was done while access was closed stands as it is."

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Return that it changed; whoever opened access has looked at it, and nothing else is there to be verified."""
        return {"changed": True, "committed": False}

    @staticmethod
    def found(
        params: Mapping[str, Any],
        connection: psycopg.Connection[Any],
        state: Mapping[str, Any] | None,
        *,
        at_work: bool,
    ) -> tuple[bool | None, str]:
        """Return that nothing is committed, ever."""
        return False, "what was done while access was closed stands as it is"

    def _look(self) -> None:
        """Check that access is closed by us. A server that does not answer is being restarted, and is asked again."""
        try:
            if self.access.connection.closed:
                self.access.reconnect()
                take_lock(self.access.connection)
            self.access.connection.execute("SELECT 1")  # PgbouncerAccess asks only pgbouncer
            state, _ = self.access.state()
        except (psycopg.Error, RolloutError):
            return
        if state != LEFT_CLOSED:
            told = f"E-access-opened  somebody opened access to {self.access.database} meanwhile: users are in."
            raise WorkError(told, "find out who, and see how far the site's work came", verdict="abort")


class Keeper(NamedTuple):
    """The worker that kept, or keeps, access closed last, by its progress file."""

    state: Mapping[str, Any]

    @classmethod
    def last(cls, state_directory: str, database: str) -> Keeper | None:
        """Return the last worker of that database; None if it kept nothing closed, or there was none."""
        state = last(state_directory, database)
        return cls(state) if state and state.get("work") == WORK else None

    @property
    def run_id(self) -> str:
        """Return the id of the run that closed access."""
        return str(self.state["run_id"])

    @property
    def process(self) -> processes.Process | None:
        """Return the worker's process; None once it has ended."""
        return worker(self.state)

    @property
    def keeps(self) -> bool:
        """Return True if it keeps access closed: users are out, and it was not told yet to open it."""
        steps = self.state["steps"]
        return bool(steps and steps[-1]["step"] == STEP and not self.state["answer"] and self.process)

    @property
    def seconds(self) -> float:
        """Return for how many seconds access has been closed."""
        return time.monotonic() - float(self.state["steps"][0]["since"])

    @property
    def seconds_left(self) -> float:
        """Return for how many seconds access stays closed until it opens by itself."""
        return float(self.state["left_seconds"]) - (time.monotonic() - float(self.state["steps"][-1]["since"]))

    @property
    def result(self) -> dict[str, Any] | None:
        """Return the worker's result; None as long as there is none."""
        return result(self.state.get("answer_file") or "")
