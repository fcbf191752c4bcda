"""The preflight's checks of access: it is open, pgbouncer obeys, and nobody else changes it (R18)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterator, Mapping, Sequence

from ...rollout_core.preflight import access as judge
from ...rollout_core.preflight import database
from ...rollout_core.preflight.findings import Finding
from ..database.access.console import Pool, pools_of
from ..database.access.postgres import access
from ..database.connection import RolloutError, lock_holder
from ..database.standbys import standbys_of
from .base import Inspection, not_made
from .standbys import left_by

_RUNS = """
    SELECT application_name AS application, pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'rollout %' AND pid <> pg_backend_pid()"""


def access_is_open(inspection: Inspection) -> Iterator[Finding]:
    """Check that every pool exists, is open and can be closed by us, and that access is open."""
    params, connection = inspection.params, inspection.connection
    ours = access(connection, params["dsn"], params["state_directory"], params["pools"])
    saved = ours.saved()
    left = saved["run_id"] if saved else None
    of_the_access = [_pool(pool, left) for pool in pools_of(params["pools"])]
    yield from of_the_access
    for standby in standbys_of(params):
        for pool in pools_of(standby.pools):
            yield _pool(pool, left_by(inspection, standby.dsn))
    try:
        state, _ = ours.state()
    except RolloutError as error:
        if all(found.ok for found in of_the_access):  # otherwise that is told already
            yield not_made("access", error)
        return
    yield judge.access(state, ours.opening_command())


def other_runs(inspection: Inspection) -> list[Finding]:
    """Check that nobody else is patching this database."""
    return [database.other_runs(inspection.rows(_RUNS), lock_holder(inspection.connection) or "")]


def clients(pools: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, Any]], set[int]]:
    """Return who is connected to these pools, as sessions, and the pids of the pools' own sessions at PostgreSQL.

    An idle client may have no session there, and a session may have no client any more.
    """
    found: list[dict[str, Any]] = []
    pids: set[int] = set()
    for pool in pools_of(pools):
        with suppress(RolloutError):  # access_is_open reports it
            pids |= pool.connected()[1]
            for row in pool.console.ask("SHOW CLIENTS"):
                if row["database"] == pool.database:
                    at = f"{row['addr']}:{row['port']} in {pool.console.name}"
                    session = {"user": row["user"], "application": row.get("application_name", ""), "pid": at}
                    found.append({**session, "backend": "client backend", "seconds": None, "query": ""})
        pool.console.close()
    return found, pids


def _pool(pool: Pool, left: str | None) -> Finding:
    try:
        state, refusal = pool.look(), pool.console.refusal()
    except RolloutError as error:
        return not_made("pgbouncer", error)
    finally:
        pool.console.close()
    command = "" if state.open else pool.opening_command()
    resume = pool.console.by_hand("RESUME")
    return judge.pool(pool.name, state.text, command, left, refusal.value if refusal else None, resume)
