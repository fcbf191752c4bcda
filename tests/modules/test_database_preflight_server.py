"""Module database_preflight against servers in the states that it warns of: sessions, settings, standbys (R18)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from lab import postgres
from tests.modules.database_servers import Database, wait_for
from tests.modules.preflighting import NewRun, Run, failed, found, new_run

STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn IS NOT NULL"


@pytest.fixture
def run(run_module: NewRun, database: Database) -> Run:
    """Run the preflight: `run(check=False, **arguments)`."""
    return new_run(run_module, database)


def do(database: Database, statement: str) -> None:
    """Have the superuser do something."""
    with database.admin() as dba:
        dba.execute(statement.encode())


@contextmanager
def setting(database: Database, name: str, value: str, *, host: str | None = None) -> Iterator[None]:
    """A server with another setting, and afterwards as it was."""
    conninfo = database.servers.dsn("postgres", host=host)
    show, statement = f"SELECT setting FROM pg_settings WHERE name = '{name}'", sql.SQL("ALTER SYSTEM SET {} = {}")  # noqa: S608
    with psycopg.connect(conninfo, autocommit=True) as server:
        before = server.execute(show).fetchone()
        server.execute(statement.format(sql.Identifier(name), sql.Literal(value)))
        try:
            server.execute("SELECT pg_reload_conf()")
            wait_for(lambda: server.execute(show).fetchone() == (value,), f"{name} to be {value}")
            yield
        finally:
            server.execute(sql.SQL("ALTER SYSTEM RESET {}").format(sql.Identifier(name)))
            server.execute("SELECT pg_reload_conf()")
            wait_for(lambda: server.execute(show).fetchone() == before, f"{name} to be as before")


@contextmanager
def role(database: Database, name: str, attributes: str = "") -> Iterator[str]:
    """A role that may log in, with the password `x`; the name it got."""
    unique = f"{name}_{database.name}"
    do(database, f"CREATE ROLE {unique} LOGIN {attributes} PASSWORD 'x'")
    try:
        yield unique
    finally:
        do(database, f"DROP ROLE {unique}")


def connect(database: Database, user: str, application: str) -> psycopg.Connection[object]:
    """A session of a user of `role`."""
    return psycopg.connect(f"{database.dsn(user=user)} password=x", autocommit=True, application_name=application)


# -- sessions


def test_a_secret_in_a_long_query_is_not_told(run: Run, database: Database) -> None:
    with database.admin() as dba:
        dba.execute("BEGIN")
        dba.execute("CREATE ROLE unborn PASSWORD 'hunter2'")
        answer = run(max_transaction_seconds=0)
        dba.execute("ROLLBACK")
        pid = dba.info.backend_pid
    assert failed(answer) == {"transactions"}
    assert f"pid {pid}: CREATE ROLE unborn PASSWORD …" in answer["msg"]
    assert f"pg_terminate_backend({pid})" in answer["msg"]
    assert "hunter2" not in str(answer)


def test_bad_users_are_told_and_their_transactions_do_not_count(run: Run, database: Database) -> None:
    bad = [{"user": "launchpad", "bug": "612345"}, {"user": "cron", "bug": "1"}]
    with database.user() as user:
        user.execute("BEGIN; SELECT count(*) FROM Person")
        answer = run(max_transaction_seconds=0, bad_users=bad)
    assert not answer["failed"], answer
    assert "bad users: launchpad (1 session), bug 612345; ended when access closes" in answer["remarks"]


def test_a_fragile_user_that_is_a_system_user_too(run: Run, database: Database) -> None:
    with database.user():
        assert failed(run(fragile_users=["launchpad"])) == {"fragile users"}
        assert not run(fragile_users=["launchpad"], system_users=["launchpad"])["failed"]


def test_a_superuser_at_work(run: Run, database: Database) -> None:
    with role(database, "importer", "SUPERUSER") as importer, connect(database, importer, "nightly import"):
        answer = run()
        assert failed(answer) == {"superusers"}
        assert f"superusers: {importer} (1 session of nightly import)" in answer["msg"]
        assert f"ALTER ROLE {importer} NOSUPERUSER" in answer["msg"]
        assert not run(system_users=[importer])["failed"]


def test_a_superuser_that_an_application_is(run: Run, database: Database) -> None:
    with role(database, "worker", "SUPERUSER") as worker:
        assert not run(application_users=["launchpad"])["failed"]
        assert failed(run(application_users=["launchpad", worker])) == {"superusers"}


def test_a_prepared_transaction(run: Run, database: Database) -> None:
    gid = f"two-phase of {database.name}"
    with database.user() as user:
        user.execute("BEGIN")
        user.execute("UPDATE Branch SET name = 'x' WHERE id = 1")
        user.execute(f"PREPARE TRANSACTION '{gid}'")
    try:
        answer = run()
    finally:
        do(database, f"ROLLBACK PREPARED '{gid}'")
    assert failed(answer) == {"prepared transactions"}
    assert f"prepared transactions: {gid} of launchpad for " in answer["msg"]
    assert f"ROLLBACK PREPARED '{gid}'" in answer["msg"]


def test_another_run_patches(run: Run, database: Database) -> None:
    with database.admin("rollout 2026-11/0001-outage-1") as other:
        answer = run()
        assert failed(answer) == {"other runs"}
        assert f"rollout 2026-11/0001-outage-1 (pid {other.info.backend_pid})" in answer["msg"]


# -- settings


def test_more_relations_than_locks(run: Run, database: Database) -> None:
    with database.admin() as dba:
        dba.execute("SET client_min_messages = error")
        dba.execute(
            "CREATE PROCEDURE make_many() LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..20000 LOOP"
            " EXECUTE 'CREATE VIEW many_' || i || ' AS SELECT 1'; IF i % 500 = 0 THEN COMMIT; END IF; END LOOP; END $$"
        )
        dba.execute("CALL make_many()")
    answer = run()
    assert failed(answer) == {"locks"}
    assert "(max_locks_per_transaction 64 × 304)" in answer["msg"]
    assert "ALTER SYSTEM SET max_locks_per_transaction = " in answer["msg"]


def test_a_synchronous_standby_that_is_not_there(run: Run, database: Database) -> None:
    with setting(database, "synchronous_standby_names", "elsewhere"):
        answer = run()
    assert failed(answer) == {"synchronous standbys"}
    assert "synchronous standbys: 0 of 1 (elsewhere)" in answer["msg"]
    assert "ALTER SYSTEM SET synchronous_standby_names = ''" in answer["msg"]
    assert f"SQL is typed on that host in:  psql '{database.dsn()}'" in answer["msg"]
    assert not run()["failed"]


def test_one_that_is_there_and_remote_apply_in_every_place(run: Run, database: Database) -> None:
    remote = "SET synchronous_commit = 'remote_apply'"
    with setting(database, "synchronous_standby_names", postgres.STANDBY_NAME):
        assert not run()["failed"]
        with role(database, "waiter") as waiter, setting(database, "synchronous_commit", "remote_apply"):
            do(database, f"ALTER ROLE {waiter} {remote}")
            do(database, f"ALTER DATABASE {database.name} {remote}")
            answer = run()
    assert failed(answer) == {"remote_apply"}
    told = found(answer, "remote_apply")
    assert set(told.split("; ")) == {"the whole server", f"role {waiter}", f"database {database.name}"}
    assert "ALTER SYSTEM SET synchronous_commit = 'on'; SELECT pg_reload_conf()" in answer["msg"]
    assert f"ALTER ROLE {waiter} SET synchronous_commit = 'on'" in answer["msg"]


def test_remote_apply_without_a_synchronous_standby_holds_nobody(run: Run, database: Database) -> None:
    with setting(database, "synchronous_commit", "remote_apply"):
        assert not run()["failed"]


def test_an_archive_that_fails_and_one_that_works(run: Run, database: Database) -> None:
    with restarted(database, "archive_mode", "on"), setting(database, "archive_command", "false"):
        assert "WAL archive: nothing was ever archived" in run()["msg"]
        database.ask("SELECT pg_create_restore_point('x'), pg_switch_wal()")
        wait_for(lambda: database.ask("SELECT failed_count > 0 FROM pg_stat_archiver") == [(True,)], "a failure")
        answer = run()
        assert failed(answer) == {"WAL archive"}
        assert " fails (expected: at most 26 h old)" in answer["msg"]
    with restarted(database, "archive_mode", "on"), setting(database, "archive_command", "true"):
        database.ask("SELECT pg_create_restore_point('x'), pg_switch_wal()")
        works = "SELECT last_archived_time > coalesce(last_failed_time, '-infinity') FROM pg_stat_archiver"
        wait_for(lambda: database.ask(works) == [(True,)], "something to be archived")
        answer = run()
        assert not answer["failed"], answer
        assert found(answer, "WAL archive").startswith("archived ")


@contextmanager
def restarted(database: Database, name: str, value: str) -> Iterator[None]:
    """A primary that was started with another setting, and is started again without it."""
    do(database, f"ALTER SYSTEM SET {name} = '{value}'")
    restart(database)
    try:
        yield
    finally:
        do(database, f"ALTER SYSTEM RESET {name}")
        restart(database)


def restart(database: Database) -> None:
    postgres.stop(database.servers)
    postgres.start(database.servers)


# -- standbys


def test_replay_that_somebody_paused(run: Run, database: Database) -> None:
    with psycopg.connect(database.servers.dsn("postgres", host=database.servers.standby), autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            state = "SELECT pg_get_wal_replay_pause_state()"
            wait_for(lambda: standby.execute(state).fetchone() == ("paused",), "the replay to be paused")
            database.ask("UPDATE Person SET displayname = 'x' RETURNING 1")
            answer = run(max_lag_seconds=0)
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
    assert failed(answer) == {"lag", "standby can sync"}
    assert "its replay is paused" in answer["msg"]
    assert f"on {database.servers.standby}: SELECT pg_wal_replay_resume()" in answer["msg"]
    assert "wait until it has caught up" in answer["msg"]


def test_a_standby_that_has_lost_the_primary(run: Run, database: Database) -> None:
    with setting(database, "primary_slot_name", "no_such_slot", host=database.servers.standby):
        wait_for(lambda: database.ask(STREAMING) == [(0,)], "the standby to lose the primary")
        answer = run()
    wait_for(lambda: database.ask(STREAMING) == [(1,)], "the standby to stream again")
    assert failed(answer) == {"standbys", "standby can sync"}
    assert "standbys: 0 streaming (expected: 1 streaming)" in answer["msg"]
    assert "its WAL receiver is not there" in answer["msg"]


def test_standby_that_cannot_be_asked(run: Run, database: Database) -> None:
    answer = run(standbys=[{"dsn": database.dsn(host="127.0.0.1")}])
    assert failed(answer) == {"standby can sync"}
    assert "E-no-connection" in answer["msg"]


def test_primary_in_the_place_of_a_standby(run: Run, database: Database) -> None:
    answer = run(standbys=[{"dsn": database.dsn()}])
    assert failed(answer) == {"standby can sync"}
    assert f"{database.servers.primary} is not in recovery" in answer["msg"]
