"""The preflight's checks of the database host: disk, clock, backup, state directory and worker (R18)."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any, Iterator

from ...rollout_core.preflight import findings as judge
from ...rollout_core.preflight.findings import Finding
from ..database.outage.bundle import bring
from .base import Inspection

_STATE_BYTES = 16_000_000  # the worker, records, answers, and the output of a site's own scripts
_SIZES = """
    SELECT current_setting('data_directory') AS data_directory, pg_tablespace_location(dattablespace) AS location,
        pg_database_size(oid) AS bytes
    FROM pg_database WHERE datname = current_database()"""
_OTHER_TABLESPACES = """
    SELECT pg_tablespace_location(tablespace.oid) AS location, sum(pg_relation_size(class.oid))::bigint AS bytes
    FROM pg_class AS class JOIN pg_tablespace AS tablespace ON tablespace.oid = class.reltablespace
    WHERE pg_tablespace_location(tablespace.oid) <> '' GROUP BY 1 ORDER BY 1"""
_ARCHIVER = """
    SELECT extract(epoch FROM clock_timestamp() - last_archived_time)::float AS seconds,
        CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_wal ELSE '' END
            AS failed
    FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'"""


def state(inspection: Inspection) -> Iterator[Finding]:
    """Check that the outage's records can be kept, and copy its program here while users are still in."""
    path = Path(inspection.params["state_directory"])
    existing = _existing(path)
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    yield judge.state_directory(str(path), "" if writable else f"{existing} is not writable")
    if writable and inspection.brings_worker:
        yield judge.worker(str(bring(path)))


def disk(inspection: Inspection) -> list[Finding]:
    """Check that each volume has room for what the outage may write to it."""
    sizes, factor = inspection.rows(_SIZES)[0], inspection.params["rewrite_factor"]
    others = inspection.rows(_OTHER_TABLESPACES)
    elsewhere = sum(each["bytes"] for each in others)
    data_directory = sizes["data_directory"]
    needs = [
        _need("of tables written anew", sizes["location"] or data_directory, factor * (sizes["bytes"] - elsewhere)),
        *(_need("of tables written anew", each["location"], factor * each["bytes"]) for each in others),
        _need("of WAL", os.path.realpath(Path(data_directory) / "pg_wal"), factor * sizes["bytes"]),
        _need("of state", str(_existing(Path(inspection.params["state_directory"]))), _STATE_BYTES),
    ]
    return judge.volumes(needs)


def clock(inspection: Inspection) -> list[Finding]:
    """Check that the host's clock agrees with the control machine's."""
    given = inspection.params["clock"] or {"asked": None, "host": None, "answered": None}
    return [judge.clock(limit=inspection.params["max_clock_difference_seconds"], **given)]


def backups(inspection: Inspection) -> list[Finding]:
    """Check that there is a backup to go back to."""
    marker = inspection.params["backup_marker"]
    path = Path(marker or os.devnull)
    age = time.time() - path.stat().st_mtime if path.exists() else None
    archiver = inspection.rows(_ARCHIVER)
    return judge.backups(
        marker or "", age, archiver[0] if archiver else None, inspection.params["max_backup_age_hours"]
    )


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


def _need(what: str, path: str, size: float) -> dict[str, Any]:
    return {
        "what": what,
        "path": path,
        "bytes": size,
        "device": Path(path).stat().st_dev,
        "free": shutil.disk_usage(path).free,
    }
