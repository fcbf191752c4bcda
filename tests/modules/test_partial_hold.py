"""The gate of a partial downtime: held closed by a worker on the host, whatever happens meanwhile, and opened (R18)."""

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


class Hold:
    """database_hold on one database, as the stages of a partial downtime call it."""

    def __init__(self, run_module: Callable[..., dict[str, Any]], database: Database) -> None:
        self.run_module, self.database = run_module, database

    def __call__(self, state: str, check: bool = False, **more: Any) -> dict[str, Any]:
        args = {"dsn": self.database.dsn(), "state": state, "state_directory": str(self.database.directory / "state")}
        return self.run_module("database_hold", {**args, **more}, check, env=self.database.environment())

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
def hold(run_module: Callable[..., dict[str, Any]], database: Database) -> Iterator[Hold]:
    hold = Hold(run_module, database)
    yield hold
    hold("open")
    wait_for(lambda: not list(database.directory.glob("state/spec-*")), "the guardian to be gone")


@both_versions
def test_closed_held_and_opened(hold: Hold, database: Database) -> None:
    user = database.user()
    closed = hold.close()
    assert not closed["failed"], closed
    assert (closed["changed"], closed["held"], closed["run_id"]) == (True, True, RUN)
    database.assert_users_are_out()
    with pytest.raises(psycopg.OperationalError):
        user.execute("SELECT 1")
    again = hold.close(run_id="another")
    assert (again["changed"], again["held"], again["run_id"]) == (False, True, RUN)
    held = hold("held", required=True)
    assert held["held"]
    assert held["summary"].startswith("the gate is held closed, for ")
    opened = hold("open")
    assert (opened["failed"], opened["changed"], opened["held"]) == (False, True, False), opened
    assert opened["summary"].startswith("the gate is open again · users were out for ")
    database.assert_users_are_in()
    assert not hold("open")["changed"]


def test_held_in_pgbouncer(hold: Hold, database: Database) -> None:
    """The pool is the gate: users are out there, and PostgreSQL itself may be restarted behind it."""
    with pooler(database.servers, database.name, database.directory / "home") as pool:
        closed = hold.close(pools=[pool.primary])
        assert closed["held"], closed
        with pytest.raises(psycopg.OperationalError, match="is disabled"):
            pool.connect("primary")
        postgres.stop(database.servers)
        postgres.start(database.servers)
        sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
        wait_for(lambda: database.ask(sessions, f"rollout {RUN} gate"), "the worker to be there again")
        assert hold("held", required=True)["held"]
        assert hold("open")["summary"].startswith("the gate is open again · ")
        with pool.connect("primary") as user:
            assert user.execute("SELECT count(*) FROM Person").fetchone() == (12000,)


def test_the_limit_that_it_had_is_put_back(hold: Hold, database: Database) -> None:
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 40")
    hold.close()
    database.assert_users_are_out()
    hold("open")
    database.assert_users_are_in(limit=40)


def test_it_bears_that_postgresql_is_restarted(hold: Hold, database: Database) -> None:
    hold.close()
    postgres.stop(database.servers)
    postgres.start(database.servers)
    sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
    wait_for(lambda: database.ask(sessions, f"rollout {RUN} gate"), "the worker to be there again")
    database.assert_users_are_out()
    assert hold("held", required=True)["held"]
    assert hold("open")["summary"].startswith("the gate is open again · ")
    database.assert_users_are_in()


def test_at_its_end_it_opens_by_itself(hold: Hold, database: Database) -> None:
    hold.close(seconds=1.5)
    wait_for(lambda: database.limit() == -1, "the gate to open by itself")
    wait_for(lambda: database.progress()["finished"], "the end of the worker")
    database.assert_users_are_in()
    held = hold("held", required=True)
    assert (held["failed"], held["verdict"]) == (True, "abort")
    assert held["msg"].startswith("E-not-held  users may be in: E-hold-deadline  the deadline came ")
    assert not hold("held")["failed"]
    assert not hold("open")["failed"], "there is nothing left to open"


def test_a_killed_worker_has_a_guardian(hold: Hold, database: Database) -> None:
    hold.close()
    os.kill(hold.worker, signal.SIGKILL)
    wait_for(lambda: database.limit() == -1, "the guardian to open the gate")
    assert hold("held", required=True)["msg"].startswith("E-not-held  ")


def test_somebody_else_opens_it(hold: Hold, database: Database) -> None:
    hold.close()
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
    wait_for(lambda: database.progress()["finished"], "the worker to notice")
    held = hold("held", required=True)
    assert held["msg"].startswith("E-not-held  users may be in: E-gate-opened  somebody opened the gate of ")
    database.assert_users_are_in()


def test_the_one_command_of_a_person_opens_it(hold: Hold, database: Database) -> None:
    hold.close()
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
    assert not hold("held")["held"]


def test_stopped_it_opens_and_nothing_survives(hold: Hold, database: Database) -> None:
    hold.close()
    args = {
        "dsn": database.dsn(),
        "patches": [],
        "stop_run": RUN,
        "state_directory": str(database.directory / "state"),
    }
    stopped = hold.run_module("database_outage_stop", args, env=database.environment("stop"))
    assert (stopped["answer"], stopped["survivors"], stopped["gate"]) == ("rolled_back", [], "open")
    database.assert_users_are_in()


def test_too_late_to_close(hold: Hold, database: Database) -> None:
    closed = hold.close(seconds=-1)
    assert (closed["failed"], closed["verdict"]) == (True, "abort")
    assert closed["msg"].startswith("E-hold-deadline  the window ended ")
    database.assert_users_are_in()


def test_check_mode_closes_nothing(hold: Hold, database: Database) -> None:
    closed = hold.close(check=True)
    assert (closed["changed"], closed["held"]) == (True, False)
    database.assert_users_are_in()


def test_a_gate_that_somebody_else_closed(hold: Hold, database: Database) -> None:
    with database.admin() as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    closed = hold.close()
    assert closed["msg"].startswith("E-gate-closed  "), closed
    assert not database.progress_file.exists()
