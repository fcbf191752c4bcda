"""Access of a partial downtime: found closed by a worker on the host, whatever happens meanwhile, and opened (R18)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from lab import postgres
from tests.modules.database_servers import RUN, Database, both_versions, wait_for
from tests.modules.pgbouncers import pooler


class KeepClosed:
    """database_keep_closed on one database, as the stages of a partial downtime call it."""

    def __init__(self, run_module: Callable[..., dict[str, Any]], database: Database) -> None:
        self.run_module, self.database = run_module, database

    def __call__(self, state: str, check: bool = False, **more: Any) -> dict[str, Any]:
        args = {"dsn": self.database.dsn(), "state": state, "state_directory": str(self.database.directory / "state")}
        return self.run_module("database_keep_closed", {**args, **more}, check, env=self.database.environment())

    def close(self, seconds: float = 600, **more: Any) -> dict[str, Any]:
        """Close it in a window of an hour that ends in so many seconds."""
        start = datetime.now(UTC) + timedelta(seconds=seconds - 3600)
        window = {"start": start.isoformat(), "minutes": 60}
        return self("closed", **{"run_id": RUN, "window": window, **more})

    @property
    def worker(self) -> int:
        pid: int = json.loads(self.database.progress_file.read_text())["pid"]
        return pid


@pytest.fixture
def keep(run_module: Callable[..., dict[str, Any]], database: Database) -> Iterator[KeepClosed]:
    keep = KeepClosed(run_module, database)
    yield keep
    keep("open")
    wait_for(lambda: not list(database.directory.glob("state/spec-*")), "the guardian to be gone")


@both_versions
def test_closed_kept_and_opened(keep: KeepClosed, database: Database) -> None:
    user = database.user()
    closed = keep.close()
    assert not closed["failed"], closed
    assert (closed["changed"], closed["kept_closed"], closed["run_id"]) == (True, True, RUN)
    database.assert_users_are_out()
    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    again = keep.close(run_id="another")
    assert (again["changed"], again["kept_closed"], again["run_id"]) == (False, True, RUN)
    found = keep("look", required=True)
    assert found["kept_closed"]
    assert found["summary"].startswith("access is kept closed, for ")
    opened = keep("open")
    assert (opened["failed"], opened["changed"], opened["kept_closed"]) == (False, True, False), opened
    assert opened["summary"].startswith("access is open again · users were out for ")
    database.assert_users_are_in()
    assert not keep("open")["changed"]


def test_kept_in_pgbouncer(keep: KeepClosed, database: Database) -> None:
    """The pool is access: users are out there, and PostgreSQL itself may be restarted behind it."""
    with pooler(database.servers, database.name, database.directory / "home") as pool:
        closed = keep.close(pools=[pool.primary])
        assert closed["kept_closed"], closed
        with pytest.raises(psycopg.OperationalError, match="is disabled"):
            pool.connect("primary")
        postgres.stop(database.servers)
        postgres.start(database.servers)
        sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
        wait_for(lambda: database.ask(sessions, f"rollout {RUN} access"), "the worker to be there again")
        assert keep("look", required=True)["kept_closed"]
        assert keep("open")["summary"].startswith("access is open again · ")
        with pool.connect("primary") as user:
            assert user.execute("SELECT count(*) FROM Person").fetchone() == (12000,)


def test_the_limit_that_it_had_is_put_back(keep: KeepClosed, database: Database) -> None:
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 40")
    keep.close()
    database.assert_users_are_out()
    keep("open")
    database.assert_users_are_in(limit=40)


def test_it_bears_that_postgresql_is_restarted(keep: KeepClosed, database: Database) -> None:
    keep.close()
    postgres.stop(database.servers)
    postgres.start(database.servers)
    sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
    wait_for(lambda: database.ask(sessions, f"rollout {RUN} access"), "the worker to be there again")
    database.assert_users_are_out()
    assert keep("look", required=True)["kept_closed"]
    assert keep("open")["summary"].startswith("access is open again · ")
    database.assert_users_are_in()


def test_at_its_end_it_opens_by_itself(keep: KeepClosed, database: Database) -> None:
    keep.close(seconds=1.5)
    wait_for(lambda: database.limit() == -1, "access to open by itself")
    wait_for(lambda: database.progress()["finished"], "the end of the worker")
    database.assert_users_are_in()
    found = keep("look", required=True)
    assert (found["failed"], found["verdict"]) == (True, "abort")
    assert found["msg"].startswith("E-not-kept-closed  users may be in: E-keep-closed-deadline  the deadline came ")
    assert not keep("look")["failed"]
    assert not keep("open")["failed"], "there is nothing left to open"


def test_a_killed_worker_has_a_guardian(keep: KeepClosed, database: Database) -> None:
    keep.close()
    os.kill(keep.worker, signal.SIGKILL)
    wait_for(lambda: database.limit() == -1, "the guardian to open access")
    assert keep("look", required=True)["msg"].startswith("E-not-kept-closed  ")


def test_somebody_else_opens_it(keep: KeepClosed, database: Database) -> None:
    keep.close()
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
    wait_for(lambda: database.progress()["finished"], "the worker to notice")
    found = keep("look", required=True)
    assert found["msg"].startswith("E-not-kept-closed  users may be in: E-access-opened  somebody opened access to ")
    database.assert_users_are_in()


def test_the_one_command_of_a_person_opens_it(keep: KeepClosed, database: Database) -> None:
    keep.close()
    (pyz,) = database.directory.glob("state/outage-*.pyz")
    done = subprocess.run(
        shlex.split(f"{sys.executable} {pyz} open {database.name}"),
        env={**os.environ, **database.environment("by hand")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    database.assert_users_are_in()
    assert not keep("look")["kept_closed"]


def test_stopped_it_opens_and_nothing_survives(keep: KeepClosed, database: Database) -> None:
    keep.close()
    args = {
        "dsn": database.dsn(),
        "patches": [],
        "stop_run": RUN,
        "state_directory": str(database.directory / "state"),
    }
    stopped = keep.run_module("database_outage_stop", args, env=database.environment("stop"))
    assert (stopped["answer"], stopped["survivors"], stopped["access"]) == ("rolled_back", [], "open")
    database.assert_users_are_in()


def test_too_late_to_close(keep: KeepClosed, database: Database) -> None:
    closed = keep.close(seconds=-1)
    assert (closed["failed"], closed["verdict"]) == (True, "abort")
    assert closed["msg"].startswith("E-keep-closed-deadline  the window ended ")
    database.assert_users_are_in()


def test_check_mode_closes_nothing(keep: KeepClosed, database: Database) -> None:
    closed = keep.close(check=True)
    assert (closed["changed"], closed["kept_closed"]) == (True, False)
    database.assert_users_are_in()


def test_access_that_somebody_else_closed(keep: KeepClosed, database: Database) -> None:
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    closed = keep.close()
    assert closed["msg"].startswith("E-access-closed  "), closed
    assert not database.progress_file.exists()
