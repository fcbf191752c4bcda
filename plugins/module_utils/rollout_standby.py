"""How far standbys are behind, asked of the standbys themselves: the primary only knows what they last reported."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Sequence

from .rollout_database import RolloutError, connect

with suppress(ImportError):  # rollout_database.PSYCOPG_IMPORT_ERROR says so
    import psycopg

_BEHIND = """
    SELECT pg_last_wal_replay_lsn() >= %(lsn)s::pg_lsn,
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float
    WHERE pg_is_in_recovery()"""
_SOON = 2.0  # seconds


def written(primary: psycopg.Connection[Any]) -> str:
    """Return the position up to which the primary has written its log (a pg_lsn)."""
    return str(primary.execute("SELECT pg_current_wal_lsn()::text").fetchone()[0])


def lag(standby_dsn: str, lsn: str) -> float | None:
    """Seconds by which a standby is behind `lsn` of its primary; None if it has replayed no transaction yet.

    A standby that gets there soon is that far behind. Only for one that does not, the age of the last transaction
    tells: on a quiet primary that is old however fast the standby is. Raises RolloutError `E-no-connection`, or
    `E-not-a-standby`.
    """
    with connect(standby_dsn, "lag") as standby:
        begun = time.monotonic()
        while True:
            row = standby.execute(_BEHIND, {"lsn": lsn}).fetchone()
            if row is None:
                raise RolloutError(f"E-not-a-standby  the server of {standby_dsn!r} is not in recovery")
            replayed, age = row
            waited = time.monotonic() - begun
            if replayed:
                return waited
            if waited > _SOON:
                return age
            time.sleep(0.01)


def seconds_until_replayed(
    standby_dsns: Sequence[str], primary: psycopg.Connection[Any], seconds: float = 10
) -> float | None:
    """Wait until every standby has replayed what the primary has written by now.

    Returns how long that took, None if it was not within `seconds` or if it could not be found out.
    """
    begun = time.monotonic()
    with suppress(psycopg.Error, RolloutError):
        lsn = written(primary)
        for dsn in standby_dsns:
            with connect(dsn, "replayed") as standby:
                while standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [lsn]).fetchone() != (True,):
                    if time.monotonic() - begun > seconds:
                        return None
                    time.sleep(0.01)
        return round(time.monotonic() - begun, 3)
    return None
