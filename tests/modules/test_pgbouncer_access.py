"""Access in pgbouncer, on a real one: users out, users in, whatever becomes of pgbouncer meanwhile (R18)."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import ansible.module_utils
import psycopg
import pytest

from lab import postgres
from tests.modules.conftest import PROJECT
from tests.modules.database_servers import RUN, Database, both_versions, wait_for
from tests.modules.pgbouncers import Pooler, pooler

if TYPE_CHECKING:
    from plugins.module_utils.rollout_host.database.access.pgbouncer import PgbouncerAccess

OPEN, CLOSED = (False, False), (True, True)
NewGate = Callable[..., "PgbouncerAccess"]


@pytest.fixture
def pool(database: Database) -> Iterator[Pooler]:
    """A pgbouncer in front of the test's database."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running


@pytest.fixture
def second(database: Database) -> Iterator[Pooler]:
    """Another in front of the same."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running


@pytest.fixture
def new_access(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewGate]:
    """Access with pools, as a process on the host has it."""
    ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
    from plugins.module_utils.rollout_host.database.access.postgres import access
    from plugins.module_utils.rollout_host.database.connection import connect

    monkeypatch.setenv("PGPASSFILE", str(database.directory / "home" / ".pgpass"))
    made = []

    def new(*pools: dict[str, str]) -> PgbouncerAccess:
        connection = connect(database.dsn(), f"rollout {RUN} access")
        made.append(access(connection, database.dsn(), str(database.directory / "state"), pools))
        return made[-1]

    yield new
    for one in made:
        one.connection.close()
        for pool in getattr(one, "pools", ()):
            pool.console.close()


def rollout_error() -> type[Exception]:
    from plugins.module_utils.rollout_host.database.connection import RolloutError

    return RolloutError


def assert_in(pool: Pooler) -> None:
    assert pool.state() == OPEN
    with pool.connect("primary") as user:
        assert user.execute("SELECT count(*) FROM Person").fetchone() == (12000,)


def assert_out(pool: Pooler) -> None:
    assert pool.state() == CLOSED
    with pytest.raises(psycopg.OperationalError, match=f'database "{pool.database}" is disabled'):
        pool.connect("primary")


def type_it(command: str, database: Database) -> str:
    """What a person types on the host, by the shell, with that host's ~/.pgpass."""
    environment = {"HOME": str(database.directory / "home"), "PATH": f"{postgres.BIN}:/usr/bin:/bin"}
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)  # noqa: S602
    return done.stdout + done.stderr


@both_versions
def test_users_out_and_in_again(new_access: NewGate, database: Database, pool: Pooler) -> None:
    clients = [pool.connect("primary") for _ in range(8)]
    for client in clients[:4]:
        client.execute("BEGIN; SELECT count(*) FROM Branch")
    direct, dba, reader = database.user(), database.admin(), pool.connect("standby")
    access = new_access(pool.primary)
    assert access.state() == ("open", None)
    access.save(RUN)
    access.close()
    assert clients[0].execute("SELECT 1").fetchone() == (1,), "close ends no sessions"
    assert access.end_sessions() == 9
    assert_out(pool)
    for client in clients:
        with pytest.raises(psycopg.OperationalError, match=r"database removed|connection"):
            client.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        direct.execute("SELECT 1")
    assert database.ask("SELECT count(*) FROM pg_stat_activity WHERE usename = 'launchpad'") == [(0,)]
    assert dba.execute("SELECT 1").fetchone() == (1,), "a superuser's session was ended"
    assert reader.execute("SELECT count(*) FROM Person").fetchone() == (12000,), "a reader of the standby was dropped"
    assert access.state()[0] == "left closed"
    access.open()
    assert_in(pool)
    assert not database.access_file.exists()
    assert database.limit() == -1


def test_record_is_there_before_anything_is_closed_and_has_no_password(
    new_access: NewGate, database: Database, pool: Pooler
) -> None:
    access = new_access(pool.primary)
    access.save(RUN)
    assert pool.state() == OPEN
    record = json.loads(database.access_file.read_text())
    assert record == {"database": database.name, "run_id": RUN, "dsn": database.dsn(), "pools": [pool.primary]}


def test_every_pgbouncer_is_closed(new_access: NewGate, pool: Pooler, second: Pooler) -> None:
    clients = [pool.connect("primary"), second.connect("primary")]
    access = new_access(pool.primary, second.primary)
    access.save(RUN)
    access.close()
    assert access.end_sessions() == len(clients)
    assert_out(pool)
    assert_out(second)
    access.open()
    assert_in(pool)
    assert_in(second)


@pytest.mark.parametrize(("command", "typed"), [("DISABLE", ["ENABLE"]), ("PAUSE", ["RESUME"]), ("KILL", ["RESUME"])])
def test_closed_by_someone_else(
    new_access: NewGate, database: Database, pool: Pooler, second: Pooler, command: str, typed: list[str]
) -> None:
    second.ask(f"{command} {database.name}")
    access = new_access(pool.primary, second.primary)
    assert access.state() == ("closed by someone else", None)
    with pytest.raises(rollout_error(), match=r"^E-access-closed  ") as raised:
        access.refuse_if_closed_by_someone_else()
    assert "Nothing was touched" in str(raised.value)
    (line,) = [line for line in str(raised.value).splitlines() if line.startswith("Open it:  ")]
    command = line.partition("  ")[2]
    words = [f'{verb} "{database.name}"' for verb in typed]
    assert shlex.split(command) == ["psql", second.pgbouncer.console(), *(w for word in words for w in ("-c", word))]
    assert "ERROR" not in type_it(command, database)
    assert_in(second)


def test_a_pgbouncer_that_somebody_paused_as_a_whole_is_refused_before_anything(
    new_access: NewGate, database: Database, pool: Pooler, second: Pooler
) -> None:
    """It would take DISABLE, and no KILL."""
    second.ask("PAUSE")
    with pytest.raises(rollout_error(), match=r"^E-pgbouncer-paused  somebody has paused ") as raised:
        new_access(pool.primary, second.primary).refuse_if_closed_by_someone_else()
    assert "Nothing was touched" in str(raised.value)
    assert_in(pool)
    assert "ERROR" not in type_it(str(raised.value).partition("then:  ")[2], database)
    assert_in(second)


def test_closed_by_someone_else_at_postgresql_behind_it(new_access: NewGate, database: Database, pool: Pooler) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    access = new_access(pool.primary)
    assert access.state() == ("closed by someone else", None)
    with pytest.raises(rollout_error(), match=r"^E-access-closed  .*its connection limit is 0") as raised:
        access.refuse_if_closed_by_someone_else()
    (line,) = [line for line in str(raised.value).splitlines() if line.startswith("Open it:  ")]
    assert "ERROR" not in type_it(line.partition("  ")[2], database)
    assert_in(pool)


def test_pgbouncer_that_does_not_answer_before_is_refused(
    new_access: NewGate, database: Database, pool: Pooler, second: Pooler
) -> None:
    client = pool.connect("primary")
    second.kill()
    access = new_access(pool.primary, second.primary)
    with pytest.raises(rollout_error(), match=r"^E-pgbouncer  ") as raised:
        access.refuse_if_closed_by_someone_else()
    assert str(second.pgbouncer.address[1]) in str(raised.value)
    assert "Nothing was touched" in str(raised.value)
    with pytest.raises(rollout_error(), match=r"^E-pgbouncer  "):
        access.close()
    assert client.execute("SELECT 1").fetchone() == (1,)
    assert_in(pool)
    assert not database.access_file.exists()


def test_pgbouncer_that_stands_still_hangs_nobody(new_access: NewGate, pool: Pooler, second: Pooler) -> None:
    access = new_access(pool.primary, second.primary)
    access.save(RUN)
    access.close()
    access.end_sessions()
    second.freeze()
    with pytest.raises(rollout_error(), match="E-locked-out") as raised:
        access.open(seconds=0)
    assert "no answer in time" in str(raised.value)
    assert_in(pool)
    second.thaw()
    access.open()
    assert_in(second)


def test_pgbouncer_that_dies_during_the_outage(
    new_access: NewGate, database: Database, pool: Pooler, second: Pooler
) -> None:
    access = new_access(pool.primary, second.primary)
    access.save(RUN)
    access.close()
    access.end_sessions()
    pool.kill()
    with pytest.raises(rollout_error(), match=r"^E-locked-out  ") as raised:
        access.open(seconds=0)
    assert raised.value.facts == {"locked_out": True}
    assert_in(second)
    last = str(raised.value).splitlines()[-1]
    assert last.startswith("OPEN IT ON THIS HOST:  psql ")
    assert pool.pgbouncer.console() in last
    assert second.pgbouncer.console() not in last, "that one is open"
    assert database.access_file.exists(), "the next run could not know whose access it is"
    pool.start()
    assert access.state() == ("open", None), "started again, it has forgotten"
    assert_in(pool)


def test_pgbouncer_started_again_has_forgotten_and_counts_as_open(
    new_access: NewGate, database: Database, pool: Pooler
) -> None:
    first = new_access(pool.primary)
    first.save(RUN)
    first.close()
    first.end_sessions()
    pool.kill()
    pool.start()
    assert first.state() == ("open", None)
    with first.taken_over() as left:
        assert left is None
    assert not database.access_file.exists()
    assert_in(pool)


def test_closed_access_of_a_killed_run_is_known_whatever_the_inventory_says_by_now(
    new_access: NewGate, database: Database, pool: Pooler, second: Pooler
) -> None:
    killed = new_access(pool.primary)
    killed.save(RUN)
    killed.close()
    for pools in ((), (second.primary,), (pool.primary, second.primary)):
        assert new_access(*pools).state()[0] == "left closed"
    with new_access().taken_over() as left:
        assert left == RUN
        assert pool.state() == (False, True), "it was opened before the block's end"
    assert_in(pool)
    assert not database.access_file.exists()


def test_what_a_killed_run_closed_with_postgresql_is_opened_with_postgresql(
    new_access: NewGate, database: Database, pool: Pooler
) -> None:
    killed = new_access()
    killed.save(RUN)
    killed.close()
    access = new_access(pool.primary)
    assert access.state()[0] == "left closed"
    access.open()
    assert database.limit() == -1
    assert_in(pool)


def test_locked_out_command_opens_it(new_access: NewGate, database: Database, pool: Pooler, second: Pooler) -> None:
    access = new_access(pool.primary, second.primary)
    access.save(RUN)
    access.close()
    access.end_sessions()
    assert "ERROR" not in type_it(access.opening_command(), database)
    assert_in(pool)
    assert_in(second)
    type_it(access.opening_command(), database)
    assert_in(pool)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"database": "nobody"}, "E-no-pool  pgbouncer at 127.0.0.1:"),
        ({"user": "launchpad"}, "E-not-admin  the user of "),
        ({"dbname": "{database}"}, "is no admin console: that is dbname=pgbouncer"),
        ({"user": "nobody"}, "E-pgbouncer  pgbouncer at 127.0.0.1:"),
    ],
    ids=["no such pool", "may only look", "a database", "unknown user"],
)
def test_console_that_will_not_do(
    new_access: NewGate, database: Database, pool: Pooler, change: dict[str, str], said: str
) -> None:
    host, port = pool.pgbouncer.address
    given = {"user": "losa", "dbname": "pgbouncer", "database": database.name, **change}
    dbname = given["dbname"].format(database=database.name)
    console = f"host={host} port={port} user={given['user']} dbname={dbname}"
    if dbname != "pgbouncer":
        console = console.replace("losa", "launchpad")
    with pytest.raises(rollout_error()) as raised:
        new_access({"console": console, "database": given["database"]}).refuse_if_closed_by_someone_else()
    assert said in str(raised.value)
    assert_in(pool)


@both_versions
def test_sessions_that_come_past_the_pooler_are_named(new_access: NewGate, database: Database, pool: Pooler) -> None:
    """A client of PostgreSQL itself comes again whenever it is ended."""
    conninfo, over, tried = database.servers.dsn(database.name, user="launchpad"), threading.Event(), []

    def come() -> None:
        while not over.is_set():
            with suppress(psycopg.Error), psycopg.connect(conninfo, application_name="nightly") as connection:
                tried.append(1)
                while not over.is_set():
                    connection.execute("SELECT pg_sleep(0.01)")

    comers = [threading.Thread(target=come) for _ in range(4)]
    access = new_access(pool.primary)
    access.save(RUN)
    access.close()
    for comer in comers:
        comer.start()
    wait_for(lambda: len(tried) >= len(comers), "all to be there")
    try:
        with pytest.raises(rollout_error(), match=r"^E-sessions-stay  ") as raised:
            access.end_sessions(seconds=0.5)
    finally:
        over.set()
        for comer in comers:
            comer.join()
    assert "launchpad from 127.0.0.1 (nightly)" in str(raised.value)
    assert len(tried) > len(comers), "nobody came again"
    access.open()
    assert_in(pool)
