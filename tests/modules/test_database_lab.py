"""The lab's PostgreSQL and its staging restore: secrets stay in files, directories are given back, numbers are real."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from lab import lab, layout, postgres, staging
from plugins.module_utils.rollout_core.schema import budget
from tests.modules.database_servers import BASELINE, SCHEMA, Database, both_versions, new_servers

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as another user")


def enterable(directory: Path) -> bool:
    return bool(directory.stat().st_mode & stat.S_IXOTH)


def test_every_connection_wants_its_password(database: Database) -> None:
    for user in ("postgres", "launchpad", "cron", "replicator"):
        for host in (database.servers.primary, database.servers.standby):
            with pytest.raises(psycopg.OperationalError, match="no password supplied"):
                psycopg.connect(f"host={host} user={user} dbname={database.name} passfile=/dev/null")
    with database.user() as user:
        assert user.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_no_password_in_an_argv_a_setting_or_a_readable_file(database: Database) -> None:
    passwords = postgres.pgpass(database.servers, "postgres", "launchpad", "cron", "replicator").split("\n")
    secrets = {line.rsplit(":", 1)[1] for line in passwords if line}
    assert len(secrets) == 4
    pids = {server["pid"] for server in postgres.status(database.servers).values()}
    shown = [psutil.Process(pid).cmdline() for pid in pids] + database.ask("SELECT setting FROM pg_settings")
    assert not [secret for secret in secrets if secret in str(shown)]
    for path in database.servers.directory.rglob("*"):
        content = path.read_text(errors="replace") if path.is_file() and path.stat().st_size < 100_000 else ""
        if any(secret in content for secret in secrets):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


@as_root
def test_parents_are_open_while_a_server_needs_them(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    first = new_servers(private / "first")
    try:
        assert stat.S_IMODE(private.stat().st_mode) == 0o701
        second = new_servers(private / "second")
        try:
            postgres.stop(first)
            assert enterable(private), "the second server still has to pass"
            with psycopg.connect(second.dsn("postgres")) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
        finally:
            postgres.remove(second)
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        postgres.start(first)
        assert enterable(private)
    finally:
        postgres.remove(first)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert list(private.iterdir()) == []


def test_restore_log_holds_an_earlier_restore_that_is_not_counted(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "2026-12-07-staging_restore.log"
    staging.write_restore_log(database.servers, SCHEMA, log, source=BASELINE)
    text = log.read_text()
    restore = budget.last_restore(text)
    assert sorted(restore.seconds) == sorted(path.name for path in SCHEMA.glob("patch-????-??-?.sql"))
    assert sum(restore.seconds.values()) > 0
    assert text.count("applied just now") == len(restore.seconds) + 3
    assert database.ask("SELECT 1 FROM pg_database WHERE datname = 'launchpad_staging'") == []


def test_a_patch_that_the_lab_cannot_apply_is_named(database: Database, tmp_path: Path) -> None:
    schema = tmp_path / "labs_schema"
    shutil.copytree(SCHEMA, schema)
    broken = sorted(schema.glob("patch-????-??-?.sql"))[-1]
    broken.write_text(f"SELECT 1;\nSELECT no;\n{broken.read_text()}")
    with pytest.raises(layout.LabError) as error, lab._postgres_errors():
        staging.write_restore_log(database.servers, schema, tmp_path / "log", source=BASELINE)
    assert str(error.value).startswith(f"E-patch-failed  launchpad_staging did not take {broken.name}, line 2: ")
    assert str(error.value).endswith("Start afresh:  ./runbook.py lab down && ./runbook.py lab up")
    assert database.ask("SELECT 1 FROM pg_database WHERE datname = 'launchpad_staging'") == []


@both_versions
def test_both_versions_are_what_they_are_called(request: pytest.FixtureRequest, database: Database) -> None:
    ((version,),) = database.ask("SHOW server_version")
    debian = "debian" in request.node.callspec.id
    assert version.startswith(f"{postgres.DEBIAN_VERSION}." if debian else f"{postgres.VERSION}."), version
