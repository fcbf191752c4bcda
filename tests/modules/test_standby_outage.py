"""Whole outages with pgbouncer and a standby: who reads goes on reading, and all is as before (R18, R21)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, RUN, Database, Slow, both_versions, wait_for
from tests.modules.pgbouncers import Pooler, left_by_a_killed_run, pooler

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def pool(database: Database) -> Iterator[Pooler]:
    """A pgbouncer in front of both servers. Whatever a test does, the standby's replay goes on afterwards."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running
    with psycopg.connect(database.servers.dsn("postgres", host=database.servers.standby), autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_resume()")


@pytest.fixture(params=["pgbouncer", "postgresql"])
def access(request: pytest.FixtureRequest, database: Database, pool: Pooler) -> dict[str, Any]:
    """Access and the standby, as the module is given them. Readers of the standby come through pgbouncer anyway."""
    standby = {"dsn": database.dsn(host=database.servers.standby), "pools": [pool.standby]}
    return {"pools": [pool.primary] if request.param == "pgbouncer" else [], "standbys": [standby]}


@pytest.fixture
def run(run_module: Run, database: Database) -> Run:
    """Run the outage: `run(**arguments)`."""

    def call(**more: Any) -> dict[str, Any]:
        return run_module("database_outage", database.outage(**more), env=database.environment())

    return call


def reads(reader: psycopg.Connection[Any]) -> bool:
    return reader.execute("SELECT count(*) FROM Person").fetchone() == (12000,)


def direct(database: Database) -> psycopg.Connection[Any]:
    """A user on the standby itself."""
    conninfo = database.servers.dsn(database.name, host=database.servers.standby, user="launchpad")
    return psycopg.connect(conninfo, autocommit=True, options="-c statement_timeout=5s")


def replay(database: Database) -> str:
    with psycopg.connect(database.servers.dsn("postgres", host=database.servers.standby)) as standby:
        return str(standby.execute("SELECT pg_get_wal_replay_pause_state()").fetchone()[0])


def assert_as_before(database: Database, pool: Pooler) -> None:
    """Everything that an outage closes is open, and it has left nothing on record."""
    assert pool.state("primary") == pool.state("standby") == (False, False)
    assert replay(database) == "not paused"
    database.assert_users_are_in()
    with pool.connect("primary") as user, pool.connect("standby") as reader:
        assert reads(user)
        assert reads(reader)
    assert not list((database.directory / "state").glob("access-*"))
    assert not list((database.directory / "state").glob("standbys-*"))


@both_versions
def test_readers_of_the_standby_go_on_through_the_whole_outage(
    slow: Slow, database: Database, pool: Pooler, access: dict[str, Any]
) -> None:
    connect = (lambda: pool.connect("primary")) if access["pools"] else database.user
    user, through_pool, on_standby = connect(), pool.connect("standby"), direct(database)

    running = slow.start(**access)

    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    refused = "is disabled" if access["pools"] else "too many connections"
    with pytest.raises(psycopg.OperationalError, match=refused):
        connect()
    for _ in range(20):
        assert reads(through_pool)
        assert reads(on_standby)
    with pool.connect("standby") as new_through_pool, direct(database) as new_on_standby:
        assert reads(new_through_pool)
        assert reads(new_on_standby)
    slow.let_go()
    answer = running.result()

    assert not answer["failed"], answer
    assert answer["committed"]
    assert reads(on_standby), "nobody ends who came past pgbouncer"
    assert database.rows() == database.rows(host=database.servers.standby) == ROWS_AFTER
    (caught_up,) = answer["standbys"]
    assert caught_up["seconds"] is not None
    assert caught_up["remark"] is None
    steps = [step["step"] for step in answer["steps"]]
    assert not [step for step in steps if "standby" in step], "the standby is no part of the outage"
    assert steps[-1] == ("open access" if access["pools"] else "commit and open access")
    assert_as_before(database, pool)


def test_after_an_aborted_outage_standby_and_primary_are_the_same(
    run: Run, database: Database, pool: Pooler, access: dict[str, Any]
) -> None:
    before = database.dump()
    database.write(FOUR[2], "UPDATE Branch SET name = '';\nALTER TABLE Branch ADD UNIQUE (name);")
    answer = run(**access)
    assert answer["failed"]
    assert answer["msg"].startswith("E-patch-failed  ")
    assert not answer["locked_out"]
    (lsn,) = database.ask("SELECT pg_current_wal_lsn()::text")[0]
    with psycopg.connect(database.servers.dsn("postgres", host=database.servers.standby), autocommit=True) as standby:
        there = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_for(lambda: standby.execute(there, [lsn]).fetchone() == (True,), "the standby to be there")
    assert database.dump() == database.dump(host=database.servers.standby) == before
    assert_as_before(database, pool)


def test_stopped_outage_opens_everything(slow: Slow, database: Database, pool: Pooler, access: dict[str, Any]) -> None:
    running = slow.start(**access)
    running.process.terminate()
    answer = running.result()
    assert answer["failed"]
    assert not answer["committed"]
    slow.let_go()
    assert database.rows() == ROWS_BEFORE
    wait_for(lambda: replay(database) == "not paused", "the replay to go on")
    assert_as_before(database, pool)


def test_pgbouncer_started_again_during_the_outage(slow: Slow, database: Database, pool: Pooler) -> None:
    """It has forgotten that it was closed; the patches go on, in their transaction, and all is well at the end."""
    running = slow.start(pools=[pool.primary])
    pool.kill()
    pool.start()
    slow.let_go()
    answer = running.result()
    assert not answer["failed"], answer
    assert database.rows() == ROWS_AFTER
    assert_as_before(database, pool)


def test_standby_that_cannot_be_paused_refuses_the_outage(run: Run, database: Database, pool: Pooler) -> None:
    user = pool.connect("primary")
    answer = run(pools=[pool.primary], standbys=[{"dsn": database.dsn(host="127.0.0.1")}])
    assert answer["failed"]
    assert answer["msg"].startswith("E-no-connection  ")
    assert answer["outage_seconds"] == 0
    assert reads(user), "a user was locked out for nothing"
    assert database.rows() == ROWS_BEFORE
    assert_as_before(database, pool)


def test_what_a_killed_run_left_is_taken_over_by_the_next(
    run: Run, database: Database, pool: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = left_by_a_killed_run(database, pool, monkeypatch)
    assert replay(database) == "paused"
    answer = run(run_id="2026-12/next", **given)
    assert not answer["failed"], answer
    assert answer["took_over"] == RUN
    assert answer["committed"]
    assert [one["remark"] for one in answer["standbys"]] == [None]
    assert database.rows(host=database.servers.standby) == ROWS_AFTER
    assert_as_before(database, pool)


def test_what_a_killed_run_left_is_opened_even_if_nothing_is_pending(
    run: Run, database: Database, pool: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run()["committed"]
    given = left_by_a_killed_run(database, pool, monkeypatch)
    answer = run(run_id="2026-12/next", **given)
    assert not answer["failed"], answer
    assert answer["steps"] == []
    assert answer["took_over"] == RUN
    assert_as_before(database, pool)
