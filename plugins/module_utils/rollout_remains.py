"""What a run's outage has left in the database: its sessions, its rows, the gate. Looks, never guesses (R18, R19)."""

from __future__ import annotations

import time
from typing import Any, NamedTuple, Sequence

from .rollout_core.patches import PatchName
from .rollout_database import connect, require_primary, revision_rows, session_names
from .rollout_gate import Gate

_SESSIONS = """
    SELECT pid, application_name, coalesce(state, 'no state'), coalesce(left(query, 60), '')
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY (%s) ORDER BY application_name, pid"""
_LOOK_SECONDS = 0.02


class Session(NamedTuple):
    """One session of the run; `patches` tells the one that patches from the one that holds lock and gate."""

    pid: int
    name: str
    state: str
    query: str

    @property
    def patches(self) -> bool:
        """Whether it is the one whose transaction has the patches."""
        return not self.name.endswith(" gate")

    @property
    def text(self) -> str:
        """It in a line for people."""
        return f"session {self.pid} ({self.name}), {self.state}: {' '.join(self.query.split())}"


class Remains:
    """A look at the database of `dsn`, over a connection of its own that is neither the run's nor the next one's."""

    def __init__(self, dsn: str, run_id: str, patches: Sequence[str], state_directory: str) -> None:
        """`patches` are the names that the plan pinned. Raises RolloutError when the database cannot be asked."""
        self.connection = connect(dsn, f"look {run_id}"[:63])
        require_primary(self.connection)
        self._names = list(session_names(run_id))
        self._pinned = {PatchName.parse(name).row for name in patches}
        self._gate = Gate(self.connection, dsn, state_directory)

    def sessions(self) -> list[Session]:
        """Return the run's sessions."""
        return [Session(*row) for row in self.connection.execute(_SESSIONS, [self._names]).fetchall()]

    def sessions_after(self, seconds: float) -> list[Session]:
        """Return the run's sessions that are still there after some seconds; at once when there is none."""
        deadline = time.monotonic() + seconds
        while (left := self.sessions()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return left

    def signal(self, function: str, sessions: Sequence[Session]) -> None:
        """Call pg_cancel_backend or pg_terminate_backend for each."""
        query = f"SELECT {function}(pid) FROM pg_stat_activity WHERE pid = ANY (%s) AND application_name = ANY (%s)"  # noqa: S608
        self.connection.execute(query, [[session.pid for session in sessions], self._names])

    def rows(self) -> tuple[int, int]:
        """Return how many of the pinned patches are in the revision table, and how many there are."""
        there = {row[:3] for row in revision_rows(self.connection)}
        return len(self._pinned & there), len(self._pinned)

    def gate(self) -> str:
        """Return `open`, `left closed` (by a run of ours) or `closed by someone else`."""
        return self._gate.state()[0]


def found(remains: Remains, left: Sequence[Session]) -> dict[str, Any]:
    """Return `committed` (None: not to be known), `gate` and `told`, both in words; `left` are sessions still there."""
    applied, pinned = remains.rows()
    if applied == pinned > 0:
        committed, rows = True, "the patches are committed"
    elif any(session.patches for session in left):
        committed, rows = None, "whether it commits is open: its session is still at work"
    elif applied:
        committed, rows = None, f"{applied} of {pinned} rows are in the table, which no outage of ours leaves behind"
    else:
        committed, rows = False, "nothing was kept: the rows are as before"
    gate = remains.gate()
    return {"committed": committed, "gate": gate, "told": f"{rows}; the gate is {gate}"}
