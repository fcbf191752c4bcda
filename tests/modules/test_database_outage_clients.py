"""Module database_outage with 200 clients on real connections: they are back after it, standbys are read on (R18)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

import psycopg
import pytest

from lab import clients
from tests.modules.database_servers import ROWS_AFTER, Database, wait_for
from tests.modules.pgbouncers import Pooler, pooler

Run = Callable[..., dict[str, Any]]
Connect = Callable[[], psycopg.Connection[Any]]


class Reader:
    """Reads all the time, on a connection that stays and on new ones, as a site does that reads from a standby."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.read: list[float] = []  # when, in seconds since the epoch
        self.failed: list[tuple[float, str]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._reads, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        wait_for(lambda: self.read, "the reader to read")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def between(self, begin: float, end: float) -> int:
        return sum(begin <= at <= end for at in self.read)

    def _reads(self) -> None:
        while not self._over.is_set():
            try:
                with self.connect() as staying:
                    while not self._over.wait(0.005):
                        with self.connect() as new:
                            rows = [each.execute("SELECT count(*) FROM Branch").fetchone() for each in (staying, new)]
                        assert rows[0] == rows[1]
                        self.read.append(time.time())
            except psycopg.Error as error:
                self.failed.append((time.time(), str(error)))
                time.sleep(0.005)


class Place:
    """How users come to the database, and what the outage is told of that."""

    def __init__(self, database: Database, pool: Pooler | None) -> None:
        self.pool, self.database = pool, database
        self.standby = database.servers.dsn(database.name, host=database.servers.standby, user="launchpad")

    def dsn(self) -> str:
        if self.pool is None:
            return clients.dsn(self.database.servers, self.database.name)
        host, port = self.pool.pgbouncer.address
        return f"host={host} port={port} user=launchpad dbname={self.pool.names[0]} passfile={self.pool.passfile}"

    def user(self) -> psycopg.Connection[Any]:
        return self.pool.connect("primary") if self.pool else self.database.user()

    def reader(self) -> psycopg.Connection[Any]:
        return self.pool.connect("standby") if self.pool else psycopg.connect(self.standby, autocommit=True)

    def outage(self) -> dict[str, Any]:
        standby = {"dsn": self.database.dsn(host=self.database.servers.standby)}
        if self.pool is None:
            return self.database.outage(standbys=[standby])
        return self.database.outage(pools=[self.pool.primary], standbys=[{**standby, "pools": [self.pool.standby]}])


@pytest.fixture(params=["postgres", "pgbouncer"])
def place(request: pytest.FixtureRequest, database: Database) -> Iterator[Place]:
    with ExitStack() as stack:
        home = database.directory / "home"
        pooled = request.param == "pgbouncer"
        yield Place(database, stack.enter_context(pooler(database.servers, database.name, home)) if pooled else None)


def test_two_hundred_clients(run_module: Run, database: Database, place: Place) -> None:
    holder, long = place.user(), place.user()
    with clients.Crowd(place.dsn(), 200) as crowd, Reader(place.reader) as reader, holder, long:
        holder.execute("BEGIN; LOCK TABLE Branch IN SHARE ROW EXCLUSIVE MODE")
        long.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM Person")
        users = "SELECT state, count(*) FROM pg_stat_activity WHERE usename = 'launchpad' GROUP BY 1 ORDER BY 1"
        assert database.ask(users) == [("idle", 100), ("idle in transaction", 102)]
        answer = run_module("database_outage", place.outage(), env=database.environment())
        assert not answer["failed"], answer
        assert answer["committed"]
        assert answer["ended_sessions"] >= 202
        assert database.rows() == ROWS_AFTER
        for ended in (holder, long):
            with pytest.raises(psycopg.OperationalError):
                ended.execute("SELECT 1")
        crowd.wait_until_all_are_in()
        assert crowd.ended >= 200
        closed, opened = (datetime.fromisoformat(answer[key]).timestamp() for key in ("closed_at", "opened_at"))
        assert reader.between(closed, opened), "nobody read from the standby during the outage"
        # While it catches up afterwards its pool is off; without one, it goes through closed access for a moment.
        failed = [(at - opened, said) for at, said in reader.failed if at < opened]
        assert not failed, f"the standby's reader failed during the outage, so many seconds before its end: {failed}"
        back = time.time()
        wait_for(lambda: reader.between(back, time.time()), "the reader to read on")
