"""A real PostgreSQL primary and standby for tests, and for each test a database of its own, reached as from a host."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from lab import postgres

if TYPE_CHECKING:
    from tests.modules.conftest import RunningModule

SCHEMA = Path(__file__).resolve().parents[2] / "lab" / "data" / "schema"
BASELINE = "baseline"
RUN = f"2026-12/{os.getpid()}-outage-1"  # nobody else's on this machine
FOUR = ["patch-2208-30-0.sql", "patch-2208-56-0.sql", "patch-2208-57-0.sql", "patch-2208-58-1.sql"]
# Runs a test on the lab's PostgreSQL and on Debian's.
both_versions = pytest.mark.parametrize("database", ["lab", "debian"], indirect=True)
ROWS_BEFORE = [(2208, 0, 0), (2208, 28, 1)]
ROWS_AFTER = [*ROWS_BEFORE, (2208, 30, 0), (2208, 56, 0), (2208, 57, 0), (2208, 58, 1)]


def new_servers(directory: Path, *, debian: bool = False) -> postgres.Servers:
    """Make and start a primary and a standby on a loopback subnet that nobody uses."""
    for attempt in range(50):
        number = 200 + (os.getpid() + attempt) % 50  # two processes that look at the same time find different ones
        addresses = (f"127.{number}.0.13", f"127.{number}.0.14")
        with suppress(OSError):
            for address in addresses:
                with socket.create_server((address, postgres.PORT)):
                    pass
            servers = postgres.Servers(directory, *addresses, debian=debian)
            postgres.create(servers)
            return servers
    raise RuntimeError("no free subnet among 127.200.0 … 127.249.0")


def need_debian_postgresql() -> None:
    """Without Debian's PostgreSQL 15 the test is left out by name, and in CI it fails."""
    missing = f"Debian's PostgreSQL {postgres.DEBIAN_VERSION} (apt-get install postgresql-{postgres.DEBIAN_VERSION})"
    there = (postgres.DEBIAN_BIN / "initdb").exists()
    if not there and os.environ.get("CI"):
        pytest.fail(f"not installed: {missing} (.ci/run does)")
    if not there:
        pytest.skip(f"left out: {missing}")


def create_baseline(servers: postgres.Servers) -> None:
    """The lab's baseline as a template, without the tables that only make patches slow: each test copies it."""
    postgres.create_database(servers, BASELINE, SCHEMA / "launchpad-2208-00-0.sql")
    with psycopg.connect(servers.dsn(BASELINE)) as connection:
        connection.execute("TRUNCATE TranslationMessage, POTMsgSet, BugSubscription, EmailAddress")


@contextmanager
def serving(directory: Path, *, debian: bool = False) -> Iterator[postgres.Servers]:
    """A primary and a standby with the lab's baseline in a template database, gone at the end."""
    try:
        servers = new_servers(directory, debian=debian)
        create_baseline(servers)
        yield servers
    finally:
        postgres.remove(postgres.Servers(directory, "", "", debian=debian))


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """The first true answer of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return answer


@dataclass
class Database:
    """One database, a host's home with a ~/.pgpass, and a schema directory with the four pinned patches."""

    servers: postgres.Servers
    name: str
    directory: Path

    @classmethod
    def new(cls, servers: postgres.Servers, directory: Path, numbers: itertools.count[int]) -> Database:
        database = cls(servers, f"launchpad_{next(numbers)}", directory)
        postgres.copy_database(servers, BASELINE, database.name)
        with psycopg.connect(servers.dsn("postgres", host=servers.standby), autocommit=True) as standby:
            there = "SELECT 1 FROM pg_database WHERE datname = %s"
            wait_for(lambda: standby.execute(there, [database.name]).fetchone(), "the database to be on the standby")
        (directory / "home").mkdir()
        passfile = directory / "home" / ".pgpass"
        passfile.touch(mode=0o600)
        passfile.write_text(postgres.pgpass(servers, postgres.SUPERUSER, "launchpad"))
        database.schema.mkdir()
        for name in FOUR:
            shutil.copy(SCHEMA / name, database.schema)
        return database

    @property
    def schema(self) -> Path:
        return self.directory / "schema"

    @property
    def access_file(self) -> Path:
        return self.directory / "state" / f"access-{self.name}.json"

    def dsn(self, *, host: str | None = None, user: str = "postgres") -> str:
        """As a host has it: without a password, without a passfile."""
        return f"host={host or self.servers.primary} port={postgres.PORT} user={user} dbname={self.name}"

    def environment(self, run: str = RUN) -> dict[str, str]:
        """A host's, with the mark of a run as every play sets it."""
        return {"HOME": str(self.directory / "home"), "ROLLOUT_RUN": run}

    def progress(self) -> dict[str, Any]:
        """What the outage has told of its progress, also when that is nothing yet."""
        nothing = {"steps": [], "answer": None, "finished": False}
        return json.loads(self.progress_file.read_text()) if self.progress_file.exists() else nothing

    @property
    def progress_file(self) -> Path:
        return self.directory / "state" / f"progress-{self.name}.json"

    def outage(self, **more: Any) -> dict[str, Any]:
        """Arguments of database_outage."""
        arguments = {
            "dsn": self.dsn(),
            "schema_directory": str(self.schema),
            "patches": FOUR,
            "run_id": RUN,
            "standbys": [{"dsn": self.dsn(host=self.servers.standby)}],
            "state_directory": str(self.directory / "state"),
        }
        return {**arguments, **more}

    def admin(self, application: str = "dba") -> psycopg.Connection[Any]:
        conninfo = self.servers.dsn(self.name)
        return psycopg.connect(conninfo, autocommit=True, application_name=application)

    def user(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.servers.dsn(self.name, user="launchpad"), autocommit=True)

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.admin("ask") as connection:
            return connection.execute(query, values or None).fetchall()

    def rows(self, host: str | None = None) -> list[tuple[int, int, int]]:
        conninfo = self.servers.dsn(self.name, host=host)
        with psycopg.connect(conninfo) as connection:
            query = "SELECT major, minor, patch FROM LaunchpadDatabaseRevision ORDER BY major, minor, patch"
            return connection.execute(query).fetchall()

    def resume_replay(self) -> None:
        """Have the standby go on, whoever has paused it."""
        with psycopg.connect(self.servers.dsn("postgres", host=self.servers.standby), autocommit=True) as standby:
            standby.execute("SELECT pg_wal_replay_resume()")

    def limit(self) -> int:
        return int(self.ask("SELECT datconnlimit FROM pg_database WHERE datname = current_database()")[0][0])

    def dump(self, host: str | None = None) -> str:
        """The schema as pg_dump writes it, and the rows of the revision table."""
        argv = [str(postgres.BIN / "pg_dump"), "--schema-only", "--restrict-key=x", f"--dbname={self.dsn(host=host)}"]
        environment = {**os.environ, "PGPASSFILE": str(self.servers.passfile)}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
        return done.stdout + repr(self.rows(host))

    def write(self, name: str, sql: str, *, row: bool = True) -> None:
        """Replace a patch; with `row`, its own row is inserted at the end."""
        major, minor, patch = (int(part) for part in name[6:-4].split("-"))
        insert = f"INSERT INTO LaunchpadDatabaseRevision VALUES ({major}, {minor}, {patch});\n"  # noqa: S608
        (self.schema / name).write_text(f"-- A patch.\n{sql}\n" + (insert if row else ""))

    def waiting(self) -> bool:
        """Whether the outage waits for a lock that the test holds."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        return bool(self.ask(query, f"rollout {RUN}"))

    def assert_users_are_in(self, limit: int = -1) -> None:
        """Access is as before the outage, for everyone to see, and nothing of the outage is left."""
        assert self.limit() == limit
        with self.user() as connection:
            assert connection.execute("SELECT count(*) FROM Person").fetchone() == (12000,)
        assert not self.access_file.exists()
        ours = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rollout %' AND datname = current_database()"
        wait_for(lambda: not self.ask(ours), "the outage's sessions to be gone")

    def assert_users_are_out(self) -> None:
        assert self.limit() == 0
        with pytest.raises(psycopg.OperationalError, match="too many connections for database"):
            self.user()


# A patch after which the commit itself waits for a lock, in a deferred trigger: what it does to rows of its own is done
# with the patch, what is done to the last patch's row is done with the commit.
SLOW_COMMIT = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN LOCK TABLE Branch; RETURN NEW; END';"
    "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON LaunchpadDatabaseRevision DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW WHEN (NEW.minor = 58) EXECUTE FUNCTION slow();"
)


class Slow:
    """An outage in the middle of its third patch, which waits until the test lets go of a lock."""

    def __init__(self, start_module: Callable[..., RunningModule], database: Database) -> None:
        self.database = database
        self.blocker = database.admin()
        self.start_module = start_module

    def lock(self) -> None:
        self.blocker.execute("BEGIN; LOCK TABLE Branch IN ACCESS SHARE MODE")

    def begin(self, **more: Any) -> RunningModule:
        return self.start_module("database_outage", self.database.outage(**more), env=self.database.environment())

    def start(self, **more: Any) -> RunningModule:
        self.lock()
        running = self.begin(**more)
        wait_for(self.database.waiting, "the third patch to wait for the lock")
        return running

    def let_go(self) -> None:
        self.blocker.execute("COMMIT")

    @contextmanager
    def analyzing(self) -> Iterator[None]:
        """What begins in this block commits, and analyzes until its end: a DBA is next in line for a table."""
        self.database.write(FOUR[2], "ALTER TABLE Branch ADD COLUMN x uuid DEFAULT gen_random_uuid();")
        self.database.write(FOUR[3], "SELECT pg_advisory_xact_lock(42);")
        self.blocker.execute("SELECT pg_advisory_lock(42)")
        waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'next' AND wait_event_type = 'Lock'"

        def be_next(dba: psycopg.Connection[Any]) -> None:
            wait_for(self.database.waiting, "the fourth patch to wait")
            dba.execute("BEGIN; LOCK TABLE Branch IN SHARE UPDATE EXCLUSIVE MODE")

        def let_go() -> None:
            wait_for(lambda: self.database.ask(waits), "the DBA to be next")
            self.blocker.execute("SELECT pg_advisory_unlock(42)")

        with ThreadPoolExecutor(2) as threads, self.database.admin("next") as dba:
            both = threads.submit(be_next, dba), threads.submit(let_go)
            yield
            for one in both:
                one.result(20)
