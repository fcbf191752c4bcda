"""Looks what a run's outage has left in the database: sessions, rows, access. It never guesses (R18, R19)."""

from __future__ import annotations

import time
from typing import Any, Mapping, NamedTuple, Sequence

from ..access.base import LEFT_CLOSED, record_file
from ..access.postgres import access as access_of
from ..connection import RolloutError, connect, message, require_primary, session_names
from ..standbys import left_paused
from ..work.kinds import work_of
from .answer import NO_OUTAGE
from .progress import measured
from .worker_file import opening_command

_SESSIONS = """
    SELECT pid, application_name, coalesce(state, 'no state'), coalesce(left(query, 60), '')
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY (%s) ORDER BY application_name, pid"""
_STOP_WAITING = """
    SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY (%s) AND wait_event = 'SyncRep'"""
_LOOK_SECONDS = 0.02
_THEN = "./runbook.py run, or by hand playbooks/outage_undo.yml"


class Session(NamedTuple):
    """One session of the run; `patches` tells the one that patches from the one that closes access."""

    pid: int
    name: str
    state: str
    query: str

    @property
    def patches(self) -> bool:
        """Return True if it is the session whose transaction has the patches."""
        return not self.name.endswith(" access")

    @property
    def text(self) -> str:
        """Return the session as a line for people."""
        return f"session {self.pid} ({self.name}), {self.state}: {' '.join(self.query.split())}"


class Remains:
    """A look at an outage's database, over a connection that belongs to no run.

    `access` is access as that connection sees it.
    """

    def __init__(self, params: Mapping[str, Any], run_id: str) -> None:
        """Connect; `params` are those of the outage: dsn, patches, pools, state_directory.

        Raises RolloutError if the database cannot be asked.
        """
        self.params = params
        self.connection = connect(params["dsn"], f"look {run_id}"[:63])
        require_primary(self.connection)
        self._names = list(session_names(run_id))
        self.access = access_of(self.connection, params["dsn"], params["state_directory"], params["pools"])

    def sessions(self) -> list[Session]:
        """Return the run's sessions."""
        return [Session(*row) for row in self.connection.execute(_SESSIONS, [self._names]).fetchall()]

    def sessions_after(self, seconds: float) -> list[Session]:
        """Return the run's sessions that are still there after `seconds`; at once if there is none."""
        deadline = time.monotonic() + seconds
        while (left := self.sessions()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return left

    def signal(self, function: str, sessions: Sequence[Session]) -> None:
        """Call pg_cancel_backend or pg_terminate_backend for each session."""
        query = f"SELECT {function}(pid) FROM pg_stat_activity WHERE pid = ANY (%s) AND application_name = ANY (%s)"  # noqa: S608
        self.connection.execute(query, [[session.pid for session in sessions], self._names])

    def cancel_wait_for_standby(self) -> int:
        """End the wait of a COMMIT that only waits for a synchronous standby; return how many there were.

        That undoes nothing: it is committed here, and the server warns the session that the standby may lack it.
        """
        return len(self.connection.execute(_STOP_WAITING, [self._names]).fetchall())


def found(remains: Remains, state: Mapping[str, Any] | None, left: Sequence[Session]) -> dict[str, Any]:
    """Return `committed` (None: it cannot be known), and `access` and `told` in words.

    `state` is the progress that the worker told, `left` are sessions that are still there.
    """
    at_work = any(session.patches for session in left)
    work = work_of(state or remains.params)
    committed, told = work.found(remains.params, remains.connection, state, at_work=at_work)
    access = remains.access.state()[0]
    irreversible = bool(committed) and work.irreversible
    return {
        "committed": committed,
        "irreversible": irreversible,
        "access": access,
        "told": f"{told}; access is {access}",
    }


def lost(remains: Remains, state: Mapping[str, Any] | None, left: Sequence[Session], said: str) -> dict[str, Any]:
    """Return the result of an outage whose worker is gone without an answer, by what the database says.

    `said` are the worker's last words, or what has been done about it.
    """
    so = found(remains, state, left)
    at = f"at {state['steps'][-1]['step']!r}" if state and state["steps"] else "before access closed"
    told = f"E-outage-lost  the outage's worker is gone without an answer, {at}: {so['told']}."
    if so["access"] == LEFT_CLOSED:
        told = f"{told}\nUSERS ARE LOCKED OUT. OPEN IT ON THIS HOST:  {remains.access.opening_command()}"
    paused = left_paused(remains.params["state_directory"], remains.access.database)
    if paused:
        told = f"{told}\nThe replay of {len(paused['standbys'])} standbys is paused."
    return failed(f"{told}{said}\nThen: {_THEN}", state, so, locked_out=so["access"] == LEFT_CLOSED)


def silent(
    params: Mapping[str, Any], database: str, state: Mapping[str, Any] | None, error: Exception
) -> dict[str, Any]:
    """Return the result of an outage whose worker is gone without an answer, if the database cannot be asked either."""
    told = "E-outage-lost  the outage's worker is gone without an answer, and the database cannot be asked."
    closed = record_file(params["state_directory"], database).exists()
    if closed:
        opens = opening_command(params["state_directory"], database) or "playbooks/outage_undo.yml"
        told = f"{told}\nUSERS ARE LOCKED OUT as soon as it runs again. OPEN IT ON THIS HOST:  {opens}"
    return failed(f"{told}\n{message(error)}\nThen: {_THEN}", state, {"committed": None}, locked_out=closed)


def failed(told: str, state: Mapping[str, Any] | None, so: Mapping[str, Any], *, locked_out: bool) -> dict[str, Any]:
    """Return the result of a lost outage, with the steps that are known to have ended."""
    steps = measured(state)
    return {
        **NO_OUTAGE,
        "failed": True,
        "msg": message(RolloutError(told)),
        "committed": so["committed"],
        "irreversible": so.get("irreversible", False),
        "locked_out": locked_out,
        "outage_seconds": round(sum(step["seconds"] for step in steps), 3),
        "steps": steps,
        "facts": {"outage_steps": steps},
    }
