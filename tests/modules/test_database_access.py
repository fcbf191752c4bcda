"""Module database_access: opens all that a killed outage of ours has left closed, and nothing else (R18)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.modules.database_servers import ROWS_BEFORE, RUN, Database, both_versions, wait_for
from tests.modules.pgbouncers import Pooler, left_by_a_killed_run, pooler

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def pool(database: Database) -> Iterator[Pooler]:
    """A pgbouncer in front of both servers."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running


@pytest.fixture
def standby(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser on the standby; whatever a test does, its replay goes on afterwards."""
    conninfo = database.servers.dsn("postgres", host=database.servers.standby)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection
        connection.execute("SELECT pg_wal_replay_resume()")


@pytest.fixture
def access(run_module: Run, database: Database) -> Run:
    """Call the module: `access(check=False, **arguments)`."""

    def call(check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {"dsn": database.dsn(), "state_directory": str(database.directory / "state"), **more}
        return run_module("database_access", arguments, check, env=database.environment())

    return call


@pytest.fixture
def killed(
    database: Database, pool: Pooler, standby: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the module is given after an outage was killed while access is closed, and its guardian with it."""
    given = left_by_a_killed_run(database, pool, monkeypatch)
    assert pool.state() == (True, True)
    assert paused(standby)
    return given


def paused(standby: psycopg.Connection[Any]) -> bool:
    return standby.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",)


def test_open_access_is_left_alone(access: Run, pool: Pooler) -> None:
    answer = access(pools=[pool.primary])
    assert not answer["changed"]
    assert (answer["was"], answer["left_by"], answer["paused_by"]) == ("open", None, None)
    assert answer["summary"] == "access was open"


@both_versions
def test_all_that_a_killed_run_left_is_opened(
    killed: dict[str, Any], access: Run, database: Database, pool: Pooler, standby: psycopg.Connection[Any]
) -> None:
    answer = access(**killed)
    assert not answer["failed"], answer
    assert answer["changed"]
    assert (answer["was"], answer["left_by"], answer["paused_by"]) == ("left closed", RUN, RUN)
    (one,) = answer["standbys"]
    assert one["standby"] == database.servers.standby
    assert one["seconds"] is not None
    assert answer["summary"] == (
        f"opened access that {RUN} had left closed · standby {one['standby']} has caught up in {one['seconds']:.1f} s"
    )
    assert pool.state() == pool.state("standby") == (False, False)
    assert not paused(standby)
    assert database.rows() == ROWS_BEFORE
    assert access(**killed)["summary"] == "access was open"


def test_check_mode_looks_and_opens_nothing(
    killed: dict[str, Any], access: Run, pool: Pooler, standby: psycopg.Connection[Any]
) -> None:
    answer = access(check=True, **killed)
    assert answer["changed"]
    assert answer["summary"] == (
        f"would open access that {RUN} had left closed · would resume the replay of 1 standbys that {RUN} had paused"
    )
    assert pool.state() == (True, True)
    assert paused(standby)


def test_access_of_somebody_else_is_left_alone(access: Run, database: Database, pool: Pooler) -> None:
    pool.ask(f"DISABLE {database.name}")
    answer = access(pools=[pool.primary])
    assert answer["failed"]
    assert answer["msg"].startswith("E-access-closed  ")
    assert not answer["locked_out"]
    assert pool.state() == (False, True)


def test_replay_that_somebody_else_paused_is_left_alone(
    access: Run, database: Database, standby: psycopg.Connection[Any]
) -> None:
    standby.execute("SELECT pg_wal_replay_pause()")
    wait_for(lambda: paused(standby), "the pause")
    answer = access(standbys=[{"dsn": database.dsn(host=database.servers.standby)}])
    assert not answer["changed"]
    assert answer["paused_by"] is None
    assert paused(standby)


def test_standby_that_cannot_be_put_back_is_a_failure(
    killed: dict[str, Any], access: Run, database: Database, pool: Pooler, standby: psycopg.Connection[Any]
) -> None:
    """A pgbouncer of its own, which is gone by then, while the primary's is there."""
    with pooler(database.servers, database.name, database.directory / "home") as other:
        record = database.directory / "state" / f"standbys-{database.name}.json"
        record.write_text(record.read_text().replace(pool.standby["console"], other.standby["console"]))
        other.kill()
        answer = access(**killed)
        assert answer["failed"]
        assert answer["msg"].startswith("E-standby-left  ")
        assert "E-pgbouncer" in answer["msg"]
        assert not answer["locked_out"]
        assert pool.state() == (False, False)
        assert not paused(standby), "readers would go on to read what is old"
        other.start()
        assert not access(**killed)["failed"]
