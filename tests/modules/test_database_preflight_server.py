"""Module database_preflight against servers in the states that it warns of: sessions, settings, standbys (R18)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from lab import postgres
from tests.modules.database_servers import BASELINE, FOUR, Database, wait_for
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


# -- what the outage's own sessions meet


@pytest.mark.parametrize("whose", ["DATABASE {database}", "ROLE postgres IN DATABASE {database}"])
def test_a_database_that_was_left_read_only(run: Run, database: Database, whose: str) -> None:
    """What is to be typed works in the very session that is read-only."""
    whose = whose.format(database=database.name)
    do(database, f"ALTER {whose} SET default_transaction_read_only = on")
    answer = run()
    assert failed(answer) == {"settings", "trial"}
    assert "cannot execute ALTER DATABASE in a read-only transaction" in found(answer, "trial")
    todo = next(each["todo"] for each in answer["findings"] if each["check"] == "settings")
    assert f"ALTER {whose} RESET default_transaction_read_only" in todo
    with database.admin() as dba:
        for line in todo.splitlines():
            dba.execute(line.encode())
    assert not run()["failed"]


def test_limits_that_are_meant_for_users_are_not_the_outage_s(run: Run, run_module: NewRun, database: Database) -> None:
    limits = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"]
    if database.ask("SELECT 1 FROM pg_settings WHERE name = 'transaction_timeout'"):
        limits.append("transaction_timeout")
    for limit in limits:
        do(database, f"ALTER DATABASE {database.name} SET {limit} = '50ms'")
    database.write(FOUR[0], "SELECT pg_sleep(0.2);")
    database.write(FOUR[1], "".join(f"SELECT 1 / (current_setting('{limit}') = '0')::int;" for limit in limits))
    assert not run()["failed"]
    answer = run_module("database_outage", database.outage(), env=database.environment())
    assert not answer["failed"], answer
    assert answer["committed"]


def test_tables_that_would_be_made_in_another_schema(run: Run, database: Database) -> None:
    do(database, "CREATE SCHEMA postgres")
    answer = run()
    assert failed(answer) == {"settings"}
    assert "tables would be made in postgres, not in public" in answer["msg"]


def test_a_commit_that_a_crash_may_lose_is_told(run: Run, database: Database) -> None:
    do(database, f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    answer = run()
    assert not answer["failed"], answer
    assert [line for line in answer["remarks"] if "a crash right after the commit may lose it" in line]


def test_an_event_trigger_that_takes_no_table(run: Run, database: Database) -> None:
    body = "BEGIN RAISE 'no tables on Tuesdays'; END"
    do(
        database,
        f"CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS '{body.replace(chr(39), chr(39) * 2)}'",
    )
    do(
        database,
        "CREATE EVENT TRIGGER guard ON ddl_command_start WHEN tag IN ('CREATE TABLE') EXECUTE FUNCTION refuse()",
    )
    before = database.dump()
    answer = run()
    assert failed(answer) == {"trial"}
    assert "make a table: no tables on Tuesdays" in answer["msg"]
    assert [line for line in answer["remarks"] if "guard at ddl_command_start runs refuse" in line]
    assert database.dump() == before


def test_a_revision_table_that_somebody_locks(run: Run, database: Database) -> None:
    with database.admin() as dba:
        dba.execute("BEGIN; LOCK TABLE LaunchpadDatabaseRevision IN SHARE MODE")
        answer = run()
    assert failed(answer) == {"trial", "lock holders"}
    assert "write a row of the revision table: canceling statement due to lock timeout" in answer["msg"]


def test_roles_that_patches_make_and_drop(run: Run, database: Database) -> None:
    """Roles are the server's: those that a patch makes may be there, and those that it drops may be used elsewhere."""
    with role(database, "poller") as poller, psycopg.connect(database.servers.dsn("postgres"), autocommit=True) as dba:
        dba.execute(f"CREATE SCHEMA of_{poller} AUTHORIZATION {poller}".encode())
        database.write(FOUR[0], f"DROP ROLE {poller}; CREATE ROLE cron;")
        answer = run()
        dba.execute(f"DROP SCHEMA of_{poller}".encode())
    assert failed(answer) == {"roles"}
    assert f"{FOUR[0]} drops role {poller}, which database postgres uses" in answer["msg"]
    assert f"{FOUR[0]} makes role cron, which is there already" in answer["msg"]
    database.write(FOUR[0], f"CREATE ROLE {poller}; DROP ROLE {poller}; DROP ROLE IF EXISTS nobody;")
    assert not run()["failed"]


# -- locks that stay when access is closed


def test_a_superuser_who_holds_what_a_patch_needs(run: Run, database: Database) -> None:
    database.write(FOUR[0], "ALTER TABLE Branch ADD COLUMN x integer REFERENCES Person;")
    with database.admin("backup") as dba, database.user() as user:
        dba.execute("BEGIN; SELECT count(*) FROM Branch JOIN Person ON owner = Person.id")
        user.execute("BEGIN; SELECT count(*) FROM Branch")  # ended with everybody
        answer = run()
        pid = dba.info.backend_pid
    assert failed(answer) == {"lock holders"}
    assert answer["msg"].count(f"client backend of postgres (backup) (pid {pid}) holds branch, person for ") == 1
    assert f"SELECT pg_terminate_backend({pid})" in answer["msg"]
    with database.admin() as dba:
        dba.execute("CREATE TABLE Elsewhere (id integer)")
        dba.execute("BEGIN; SELECT count(*) FROM Elsewhere")  # no patch touches it
        assert not run()["failed"]


def test_a_replication_applier_that_holds_what_a_patch_needs(run: Run, database: Database) -> None:
    name = f"feed_{database.name}"
    database.write(FOUR[0], "ALTER TABLE Branch ADD COLUMN x integer;")
    slept = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); RETURN NEW; END'"
    with restarted(database, "wal_level", "logical"), publishing(database, name) as publisher:
        do(database, slept)
        do(database, "CREATE TRIGGER wait BEFORE INSERT ON Branch FOR EACH ROW EXECUTE FUNCTION wait()")
        do(database, "ALTER TABLE Branch ENABLE ALWAYS TRIGGER wait")
        subscribed = f"CONNECTION 'dbname={publisher} {local(database)}' PUBLICATION feed"
        options = f"WITH (create_slot = false, slot_name = '{name}', copy_data = false)"
        do(database, f"CREATE SUBSCRIPTION {name} {subscribed} {options}")
        try:
            assert [line for line in run()["remarks"] if f"{name} writes to branch" in line]
            with psycopg.connect(database.servers.dsn(publisher), autocommit=True) as other:
                columns = "(id, name, owner, lifecycle_status)"
                other.execute(f"INSERT INTO Branch {columns} SELECT -1, 'x', max(owner), 1 FROM Branch")  # noqa: S608
            holding = "SELECT 1 FROM pg_stat_subscription JOIN pg_locks USING (pid) WHERE relation = 'branch'::regclass"
            wait_for(lambda: database.ask(holding), "the applier to hold the table", 60)
            answer = run()
            assert "lock holders" in failed(answer)
            assert f" of subscription {name} (pid " in found(answer, "lock holders")
            assert f"ALTER SUBSCRIPTION {name} DISABLE" in answer["msg"]
        finally:
            do(database, f"ALTER SUBSCRIPTION {name} DISABLE")
            do(database, f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
            do(database, f"DROP SUBSCRIPTION {name}")


@contextmanager
def publishing(database: Database, slot: str) -> Iterator[str]:
    """A database that publishes its table Branch, with a slot of that name; its name."""
    publisher = f"{database.name}_publisher"
    postgres.copy_database(database.servers, BASELINE, publisher)
    with psycopg.connect(database.servers.dsn(publisher), autocommit=True) as dba:
        dba.execute("CREATE PUBLICATION feed FOR TABLE Branch")
        dba.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
        try:
            yield publisher
        finally:
            idle = "SELECT 1 FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
            wait_for(lambda: dba.execute(idle, [slot]).fetchone(), "the slot to be free", 60)
            dba.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    with psycopg.connect(database.servers.dsn("postgres"), autocommit=True) as dba:
        dba.execute(f"DROP DATABASE {publisher} WITH (FORCE)".encode())


def local(database: Database) -> str:
    """How the server itself connects to another database of its own."""
    passwords = json.loads((database.servers.directory / "passwords.json").read_text())
    at = f"host={database.servers.primary} port={postgres.PORT}"
    return f"{at} user={postgres.SUPERUSER} password={passwords[postgres.SUPERUSER]}"


# -- standbys


def test_a_standby_that_replays_late(run: Run, run_module: NewRun, database: Database) -> None:
    """Said to be late it may be so, and the outage leaves it alone."""
    on_standby = {"dsn": database.dsn(host=database.servers.standby)}
    with setting(database, "recovery_min_apply_delay", "600000", host=database.servers.standby):
        database.ask("UPDATE Person SET displayname = 'x' RETURNING 1")
        answer = run(max_lag_seconds=0, standbys=[on_standby])
        assert failed(answer) == {"standby can sync"}
        assert "recovery_min_apply_delay: it replays 10 min late, so its replay cannot be paused" in answer["msg"]
        assert f"on {on_standby['dsn'].split()[0][5:]}: ALTER SYSTEM SET recovery_min_apply_delay = 0" in answer["msg"]
        answer = run(max_lag_seconds=0, standbys=[{**on_standby, "delayed": True}])
        assert not answer["failed"], answer
        done = run_module(
            "database_outage",
            database.outage(standbys=[{**on_standby, "delayed": True}]),
            env=database.environment(),
        )
        assert not done["failed"], done
        assert "standbys" not in done or not done["standbys"]
    answer = run(standbys=[{**on_standby, "delayed": True}])
    assert failed(answer) == {"standby can sync"}
    assert "take that out" in answer["msg"]


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


def test_a_standby_whose_replay_is_not_ours_to_pause(run: Run, database: Database) -> None:
    answer = run(standbys=[{"dsn": database.dsn(host=database.servers.standby, user="launchpad")}])
    assert failed(answer) == {"standby can sync"}
    assert "our user may not pause its replay" in answer["msg"]


def test_primary_in_the_place_of_a_standby(run: Run, database: Database) -> None:
    answer = run(standbys=[{"dsn": database.dsn()}])
    assert failed(answer) == {"standby can sync"}
    assert f"{database.servers.primary} is not in recovery" in answer["msg"]
