"""Makes the staging restore and its log (R9): production's database is copied, really patched, and dropped again."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lab import postgres
from plugins.module_utils.rollout_host.database.connection import Provenance, connect, pending_patches, revision_rows
from plugins.module_utils.rollout_host.database.upgrade import upgrade

COPY = "launchpad_staging"


def write_restore_log(
    servers: postgres.Servers, schema_directory: Path, log_file: Path, *, source: str = "launchpad_prod"
) -> None:
    """Restore staging twice from `source`, and let both upgrades append to `log_file`.

    The first restore stands for last week's, when only half of the patches in `schema_directory` were on db-stable: its
    numbers must not be counted. The second applies them all. Nobody may be connected to `source`.
    """
    patches = sorted(schema_directory.glob("patch-????-??-?.sql"))
    with tempfile.TemporaryDirectory(dir=log_file.parent) as last_week:
        for patch in patches[: len(patches) // 2]:
            shutil.copy(patch, last_week)
        _restore(servers, Path(last_week), log_file, source)
    _restore(servers, schema_directory, log_file, source)


def _restore(servers: postgres.Servers, schema_directory: Path, log_file: Path, source: str) -> None:
    postgres.drop_database(servers, COPY)
    postgres.copy_database(servers, source, COPY)
    try:
        with connect(servers.dsn(COPY), "staging") as connection:
            rows = revision_rows(connection)
            pending = pending_patches(str(schema_directory), rows)
            upgrade(connection, rows, pending, Provenance("db-stable"), str(log_file))
    finally:
        postgres.drop_database(servers, COPY)
