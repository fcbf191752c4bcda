"""The preflight's checks of the standbys (R18)."""

from __future__ import annotations

import time
from typing import Any, Iterator, Mapping

from ...rollout_core.preflight import standbys as judge
from ...rollout_core.preflight.findings import Finding
from ..database.connection import RolloutError
from ..database.driver import psycopg
from ..database.standbys import Standby, all_standbys_of, left_paused, written
from .base import Inspection, asking, host_of, not_made, rows

# pg_receivewal replays nothing, and a logical subscriber is no standby.
_STREAMING = """
    SELECT application_name || coalesce(' at ' || host(client_addr), '') AS who FROM pg_stat_replication AS sender
    WHERE state = 'streaming' AND replay_lsn IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND active_pid = sender.pid)
    ORDER BY who"""
_STANDBY = """
    SELECT pg_is_in_recovery() AS recovering, current_setting('primary_slot_name') AS slot,
        CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END AS replay,
        (SELECT status FROM pg_stat_wal_receiver) AS receiver,
        has_function_privilege('pg_wal_replay_pause()', 'EXECUTE') AS may_pause,
        (SELECT setting::float / 1000 FROM pg_settings WHERE name = 'recovery_min_apply_delay') AS delay"""
_SLOT = "SELECT active, wal_status FROM pg_replication_slots WHERE slot_name = %(slot)s"
_REPLAYED = """
    SELECT coalesce(CASE WHEN %(late)s THEN pg_last_wal_receive_lsn() ELSE pg_last_wal_replay_lsn() END
            >= %(lsn)s::pg_lsn, false) AS reached,
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float AS age"""


def standbys(inspection: Inspection) -> Iterator[Finding]:
    """Check that all standbys stream, are close behind, and can catch up with the primary."""
    streaming = [row["who"] for row in inspection.rows(_STREAMING)]
    given = all_standbys_of(inspection.params)
    yield judge.standby_count(streaming, len(given))
    for standby in given:
        try:
            facts = _facts(inspection, standby)
        except (RolloutError, psycopg.Error) as error:
            yield not_made("standby can sync", error)
            continue
        if facts["recovering"] and facts["lag"] is not None and not facts["delay"]:
            inspection.lag = max(inspection.lag or 0, facts["lag"])
        params = inspection.params
        yield from judge.standby(host_of(standby.dsn), facts, params["max_lag_seconds"], params["max_sync_seconds"])


def left_by(inspection: Inspection, dsn: str) -> str | None:
    """Return the killed run of ours that left this standby's replay paused or its pools closed, or None."""
    left = left_paused(inspection.params["state_directory"], inspection.connection.info.dbname) or {"standbys": []}
    return left["run_id"] if dsn in [standby["dsn"] for standby in left["standbys"]] else None


def _facts(inspection: Inspection, standby: Standby) -> dict[str, Any]:
    """Return the facts about a standby that `judge.standby` judges."""
    position = written(inspection.connection)
    with asking(standby.dsn) as connection:
        facts = rows(connection, _STANDBY)[0]
        if not facts["recovering"]:
            return facts
        slot = inspection.rows(_SLOT, slot=facts["slot"])
        facts["slot_active"] = slot[0]["active"] if slot else None
        facts["left_by"] = left_by(inspection, standby.dsn)
        facts["delayed"] = standby.delayed
        facts["wal_status"] = slot[0]["wal_status"] if slot else None
        moves = facts["replay"] == "not paused" and facts["receiver"] == "streaming"
        patience = inspection.params["max_sync_seconds"] if moves else 0
        return {**facts, **_behind(connection, position, patience, late=bool(facts["delay"]))}


def _behind(connection: psycopg.Connection[Any], position: str, patience: float, *, late: bool) -> Mapping[str, Any]:
    """Wait for a standby to replay up to `position`, or to receive it if it replays `late`: {reached, lag}.

    If it gets there, its lag is the time that this takes. If not, its lag is the age of the last transaction that it
    has replayed (None: there is none); that age says nothing of a standby on a quiet primary.
    """
    begun = time.monotonic()
    while True:
        row = rows(connection, _REPLAYED, lsn=position, late=late)[0]
        waited = time.monotonic() - begun
        if row["reached"]:
            return {"reached": True, "lag": waited}
        if waited >= patience:
            return {"reached": False, "lag": row["age"]}
        time.sleep(0.01)
