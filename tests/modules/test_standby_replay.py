"""Replay of a real standby, paused before an outage and resumed after it, with real readers there (R18, R21)."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import ModuleType
from typing import Any

import ansible.module_utils
import psycopg
import pytest

from lab import postgres
from tests.modules.conftest import PROJECT
from tests.modules.database_servers import RUN, Database, both_versions, wait_for
from tests.modules.pgbouncers import Pooler, pooler

PAUSE_STATE = "SELECT pg_get_wal_replay_pause_state()"


@pytest.fixture
def standby_of(database: Database, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module's own file, as a process on the host has it."""
    ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
    from plugins.module_utils.rollout_host.database import standbys as imported

    monkeypatch.setenv("PGPASSFILE", str(database.directory / "home" / ".pgpass"))
    return imported


@pytest.fixture
def standby(database: Database) -> Iterator[psycopg.Connection[Any]]:
    """A superuser on the standby; whatever a test does, its replay goes on afterwards."""
    conninfo = database.servers.dsn(database.name, host=database.servers.standby)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection
    with psycopg.connect(conninfo.replace(database.name, "postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_wal_replay_resume()")


@pytest.fixture
def pool(database: Database) -> Iterator[Pooler]:
    """A pgbouncer in front of both servers."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running


class Replay:
    """Pausing and resuming for one test's database."""

    def __init__(self, standby_of: ModuleType, database: Database) -> None:
        self.standby_of, self.database = standby_of, database
        self.where = (str(database.directory / "state"), database.name)
        self.file = database.directory / "state" / f"standbys-{database.name}.json"
        self.steps: list[str] = []

    def standby(self, *pools: dict[str, str], host: str | None = None) -> Any:
        dsn = self.database.dsn(host=host or self.database.servers.standby)
        return self.standby_of.Standby(dsn, pools)

    def pause(self, *standbys: Any) -> None:
        self.standby_of.pause_replay(standbys, RUN, *self.where)

    def resume(self, *standbys: Any, **more: Any) -> list[dict[str, Any]]:
        with self.database.admin() as primary:
            answers: list[dict[str, Any]] = self.standby_of.resume_replay(
                standbys, primary, *self.where, self.steps.append, **more
            )
        return answers

    def left(self) -> dict[str, Any] | None:
        left: dict[str, Any] | None = self.standby_of.left_paused(*self.where)
        return left


@pytest.fixture
def replay(standby_of: ModuleType, database: Database) -> Replay:
    """Pausing and resuming."""
    return Replay(standby_of, database)


def reader(database: Database) -> psycopg.Connection[Any]:
    """A user on the standby itself."""
    conninfo = database.servers.dsn(database.name, host=database.servers.standby, user="launchpad")
    return psycopg.connect(conninfo, autocommit=True, options="-c statement_timeout=5s")


def lock_person(admin: psycopg.Connection[Any], database: Database) -> None:
    """As a patch locks a table. The log goes out with the commit of somebody else, at the latest."""
    admin.execute("BEGIN; ALTER TABLE Person ADD COLUMN another integer")
    with database.admin() as other:
        other.execute("CREATE TABLE Flushed ()")


def state(standby: psycopg.Connection[Any]) -> str:
    return str(standby.execute(PAUSE_STATE).fetchone()[0])


def replayed(database: Database, standby: psycopg.Connection[Any]) -> None:
    """Wait until the standby has replayed what the primary has written by now."""
    (lsn,) = database.ask("SELECT pg_current_wal_lsn()::text")[0]
    query = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
    wait_for(lambda: standby.execute(query, [lsn]).fetchone() == (True,), "the standby to replay")


@both_versions
def test_without_a_pause_access_and_locks_reach_the_readers(
    database: Database, standby: psycopg.Connection[Any]
) -> None:
    """The fact that the pause is for."""
    with database.admin() as admin, reader(database) as inside:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
        replayed(database, standby)
        with pytest.raises(psycopg.OperationalError, match="too many connections for database"):
            reader(database)
        lock_person(admin, database)
        blocked = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND database IS NOT NULL"
        wait_for(lambda: standby.execute(blocked).fetchone()[0], "the lock on the standby")
        inside.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            inside.execute("SELECT count(*) FROM Person")
        admin.execute("ROLLBACK")


@both_versions
def test_readers_of_a_paused_standby_see_neither(
    database: Database, standby: psycopg.Connection[Any], replay: Replay, pool: Pooler
) -> None:
    one = replay.standby(pool.standby)
    inside, pooled = reader(database), pool.connect("standby")
    replay.pause(one)
    assert state(standby) == "paused"
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
        lock_person(admin, database)
        admin.execute("DELETE FROM LaunchpadDatabaseRevision WHERE minor = 28")
        for old in (inside, pooled):
            assert old.execute("SELECT count(*) FROM Person").fetchone() == (12000,)
        with reader(database) as new, pool.connect("standby") as new_pooled:
            assert new.execute("SELECT count(*) FROM Person").fetchone() == (12000,)
            assert new_pooled.execute("SELECT count(*) FROM Person").fetchone() == (12000,)
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
        admin.execute("COMMIT")
    assert len(database.rows(host=database.servers.standby)) == 2, "it was not paused at all"

    (answer,) = replay.resume(one)

    assert answer["seconds"] is not None
    assert answer["remark"] is None
    assert replay.steps == [f"let standby {database.servers.standby} catch up"]
    assert state(standby) == "not paused"
    assert len(database.rows(host=database.servers.standby)) == 1
    with pytest.raises(psycopg.OperationalError):
        pooled.execute("SELECT 1")  # its pool was off while replay could have kept it waiting
    assert pool.state("standby") == (False, False)
    with pool.connect("standby") as again:
        assert again.execute("SELECT count(*) FROM LaunchpadDatabaseRevision").fetchone() == (1,)
    assert replay.left() is None


def test_on_record_before_the_deed_and_without_a_password(replay: Replay, pool: Pooler) -> None:
    """A standby that does not pause in time: what is on record says what to resume."""
    one = replay.standby(pool.standby)
    replay.pause(one)
    record = json.loads(replay.file.read_text())
    on_record = [{"dsn": one.dsn, "pools": [pool.standby]}]
    assert record == {"database": replay.database.name, "run_id": RUN, "standbys": on_record}
    assert replay.left() == record
    replay.resume(one)
    assert not replay.file.exists()


def test_replay_that_somebody_else_paused_stays_theirs(replay: Replay, standby: psycopg.Connection[Any]) -> None:
    standby.execute("SELECT pg_wal_replay_pause()")
    one = replay.standby()
    wait_for(lambda: state(standby) == "paused", "the pause")
    replay.pause(one)
    assert replay.left() is None
    assert replay.resume(one) == []
    assert state(standby) == "paused"


def test_what_a_killed_run_left_is_resumed_by_the_next(
    replay: Replay, standby: psycopg.Connection[Any], pool: Pooler, database: Database
) -> None:
    one = replay.standby(pool.standby)
    replay.pause(one)
    pool.ask(f"DISABLE {database.name}_standby")  # it was killed while this standby's pool was off
    replay.pause(one)  # the next run has an outage too
    assert replay.left() is not None
    (answer,) = replay.resume()
    assert answer["seconds"] is not None
    assert state(standby) == "not paused"
    assert pool.state("standby") == (False, False)


def test_pool_that_somebody_else_switched_off_stays_off(replay: Replay, pool: Pooler, database: Database) -> None:
    pool.ask(f"DISABLE {database.name}_standby")
    one = replay.standby(pool.standby)
    replay.pause(one)
    replay.resume(one)
    assert pool.state("standby") == (False, True)


def test_one_standby_cannot_be_paused_then_none_is(replay: Replay, standby: psycopg.Connection[Any]) -> None:
    from plugins.module_utils.rollout_host.database.connection import RolloutError

    with pytest.raises(RolloutError, match=r"^E-no-connection  "):
        replay.pause(replay.standby(), replay.standby(host="127.0.0.1"))
    with pytest.raises(RolloutError, match=r"^E-not-a-standby  "):
        replay.pause(replay.standby(), replay.standby(host=replay.database.servers.primary))
    assert state(standby) == "not paused"
    assert replay.left() is None


@both_versions
def test_pause_that_is_only_requested_is_none(
    replay: Replay, standby: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader holds a lock that the replay waits for, so that it cannot pause."""
    from plugins.module_utils.rollout_host.database.connection import RolloutError

    monkeypatch.setattr(replay.standby_of, "_PAUSES", 0.3)
    with ExitStack() as stack:
        holder, admin = stack.enter_context(reader(replay.database)), stack.enter_context(replay.database.admin())
        holder.execute("BEGIN; SELECT count(*) FROM Branch")
        admin.execute("ALTER TABLE Branch ADD COLUMN slow integer")
        waits = "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event_type = 'Lock'"
        wait_for(lambda: standby.execute(waits).fetchone(), "the replay to wait for the reader")
        with pytest.raises(RolloutError, match=r"^E-standby-not-paused  .* 'pause requested' ") as raised:
            replay.pause(replay.standby())
        assert "Then: " in str(raised.value)
        assert state(standby) == "not paused"
        assert replay.left() is None


def test_standby_that_does_not_catch_up_lets_its_readers_in_all_the_same(
    replay: Replay, standby: psycopg.Connection[Any], pool: Pooler
) -> None:
    one = replay.standby(pool.standby)
    replay.pause(one)
    with reader(replay.database) as holder, replay.database.admin() as admin:
        holder.execute("BEGIN; SELECT count(*) FROM Branch")
        admin.execute("ALTER TABLE Branch ADD COLUMN slow integer")
        (answer,) = replay.resume(one, seconds=0.3)
        assert answer["seconds"] is None
        assert "has not caught up" in answer["remark"]
        assert pool.state("standby") == (False, False)
        assert state(standby) != "paused"
    replayed(replay.database, standby)


def test_standby_that_is_started_again_meanwhile(replay: Replay, database: Database) -> None:
    """Its server is killed, and is up again only some time after it should have caught up."""
    replay.pause(replay.standby())
    with database.admin() as admin:
        admin.execute("CREATE TABLE Later ()")
    pid = postgres.status(database.servers)["standby"]["pid"]
    os.kill(pid, signal.SIGQUIT)
    wait_for(lambda: postgres.status(database.servers)["standby"]["pid"] is None, "the end of the standby")
    starter = threading.Thread(target=lambda: (time.sleep(1), postgres.start(database.servers)))
    starter.start()
    try:
        (answer,) = replay.resume(replay.standby())
    finally:
        starter.join()
    assert answer["seconds"] is not None
    assert answer["remark"] is None
    assert replay.left() is None
    with psycopg.connect(database.servers.dsn(database.name, host=database.servers.standby)) as standby:
        assert standby.execute("SELECT count(*) FROM Later").fetchone() == (0,)


def test_standby_that_stays_away_is_left_on_record(
    replay: Replay, standby: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay.standby_of, "_RESTARTS", 0.3)
    replay.pause(replay.standby())
    written = replay.file.read_text()
    replay.file.write_text(written.replace(replay.database.servers.standby, "127.0.0.1"))
    (answer,) = replay.resume()
    assert answer["seconds"] is None
    assert answer["remark"].startswith("E-no-connection  ")
    assert replay.left() is not None
    replay.file.write_text(written)
    replay.resume()
    assert state(standby) == "not paused"


def test_pgbouncer_that_is_gone_keeps_no_standby_from_catching_up(
    replay: Replay, standby: psycopg.Connection[Any], pool: Pooler
) -> None:
    one = replay.standby(pool.standby)
    replay.pause(one)
    pool.kill()
    (answer,) = replay.resume(one)
    assert answer["seconds"] is not None
    assert "E-pgbouncer" in answer["remark"]
    assert state(standby) == "not paused"
    assert replay.left() is not None, "nobody knows yet whether its pool is on"
    pool.start()
    (answer,) = replay.resume(one)
    assert answer["remark"] is None
    assert replay.left() is None
