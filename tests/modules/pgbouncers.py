"""A real pgbouncer for tests: Debian's, in front of the servers of the tests, with pools of its own."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible.module_utils
import psycopg
import pytest

from lab import pgbouncer, postgres
from lab.waiting import eventually
from tests.modules.conftest import PROJECT
from tests.modules.irc_servers import free_port

if TYPE_CHECKING:
    from tests.modules.database_servers import Database

_NUMBERS = itertools.count(1)


def need_pgbouncer() -> str:
    """The path of Debian's pgbouncer. Without it the test is left out by name, and in CI it fails."""
    found = pgbouncer.program()
    if found is None and os.environ.get("CI"):
        pytest.fail("pgbouncer is not installed: apt-get install pgbouncer (.ci/run does)")
    if found is None:
        pytest.skip("left out: a real pgbouncer (apt-get install pgbouncer)")
    return found


class Pooler:
    """A running pgbouncer. `primary` and `standby` are its pools of one database, as modules are given them."""

    def __init__(self, servers: postgres.Servers, database: str, *, pool_mode: str = "session") -> None:
        """Start it on a free port, with the pools DATABASE and DATABASE_standby."""
        need_pgbouncer()
        # Below the servers' directory, and gone with it.
        directory = servers.directory / f"pgbouncer-{next(_NUMBERS)}"
        self.pgbouncer = pgbouncer.Pgbouncer(directory, ("127.0.0.1", free_port()))
        self.database = database
        self.names = (database, f"{database}_standby")
        pools = dict(zip(self.names, [(servers.primary, database), (servers.standby, database)], strict=True))
        pgbouncer.create(self.pgbouncer, servers, pools, pool_mode=pool_mode)
        self.passfile = directory.with_suffix(".pgpass")
        self.passfile.touch(mode=0o600)
        self.passfile.write_text(self.pgpass())
        self.log = directory.with_suffix(".log")
        self.start()

    def start(self) -> None:
        """Start it (again), and return when it answers."""
        with self.log.open("ab") as log:
            argv = self.pgbouncer.argv()
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(lambda: self.process.poll() is not None or self._answers(), "pgbouncer to answer")
        assert self.process.poll() is None, self.log.read_text()

    def pgpass(self) -> str:
        """A ~/.pgpass of everyone who may come through it."""
        return self.pgbouncer.pgpass(pgbouncer.ADMIN, postgres.SUPERUSER, *postgres.APPLICATION_ROLES)

    def kill(self) -> None:
        """Kill it, so that it clears up nothing."""
        self.process.kill()
        self.process.wait(20)

    def freeze(self) -> None:
        """It lives, and answers nobody."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, in whatever state it is."""
        if self.process.poll() is None:
            self.thaw()
            self.kill()

    @property
    def primary(self) -> dict[str, str]:
        """The pool of the primary, {console, database}."""
        return {"console": self.pgbouncer.console(), "database": self.names[0]}

    @property
    def standby(self) -> dict[str, str]:
        """The pool of the standby, {console, database}."""
        return {"console": self.pgbouncer.console(), "database": self.names[1]}

    def connect(self, pool: str, user: str = "launchpad", **more: Any) -> psycopg.Connection[Any]:
        """A client of the pool `primary` or `standby`."""
        name = self.names[("primary", "standby").index(pool)]
        host, port = self.pgbouncer.address
        conninfo = f"host={host} port={port} user={user} dbname={name} connect_timeout=5 passfile={self.passfile}"
        return psycopg.connect(conninfo, autocommit=True, prepare_threshold=None, **more)

    def ask(self, command: str) -> list[dict[str, Any]]:
        """Give a command at its console; returns the rows."""
        conninfo = f"{self.pgbouncer.console()} passfile={self.passfile}"
        with psycopg.connect(conninfo, autocommit=True, row_factory=psycopg.rows.dict_row) as console:
            cursor = console.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def state(self, pool: str = "primary") -> tuple[bool, bool]:
        """Whether the pool is paused, and whether it is disabled."""
        name = self.names[("primary", "standby").index(pool)]
        row = next(row for row in self.ask("SHOW DATABASES") if row["name"] == name)
        return bool(int(row["paused"])), bool(int(row["disabled"]))

    def _answers(self) -> bool:
        try:
            self.ask("SHOW VERSION")
        except psycopg.Error:
            return False
        return True


@contextmanager
def pooler(servers: postgres.Servers, database: str, home: Path | None = None, **more: Any) -> Iterator[Pooler]:
    """A pgbouncer for a database; `home` is that of a host, whose ~/.pgpass then has its passwords too."""
    running = Pooler(servers, database, **more)
    try:
        if home is not None:
            with (home / ".pgpass").open("a") as passfile:
                passfile.write(running.pgpass())
        yield running
    finally:
        running.stop()


def left_by_a_killed_run(database: Database, pool: Pooler, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Leave behind what an outage does that was killed in the middle, with its guardian: access closed, replay paused.

    Returns the `pools` and `standbys` that a module is given.
    """
    if str(PROJECT / "plugins" / "module_utils") not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
    from plugins.module_utils.rollout_host.database.access.postgres import access
    from plugins.module_utils.rollout_host.database.connection import connect
    from plugins.module_utils.rollout_host.database.standbys import pause_replay, standbys_of
    from tests.modules.database_servers import RUN

    monkeypatch.setenv("PGPASSFILE", str(database.directory / "home" / ".pgpass"))
    state, on_standby = str(database.directory / "state"), database.dsn(host=database.servers.standby)
    given = {"pools": [pool.primary], "standbys": [{"dsn": on_standby, "pools": [pool.standby]}]}
    pause_replay(standbys_of(given), RUN, state, database.name)
    closed = access(connect(database.dsn(), f"rollout {RUN} access"), database.dsn(), state, given["pools"])
    closed.save(RUN)
    closed.close()
    closed.end_sessions()
    closed.connection.close()
    return given
