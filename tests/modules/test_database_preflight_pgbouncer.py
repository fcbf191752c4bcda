"""Module database_preflight in front of a real pgbouncer: its consoles, its pools, and who waits there (R18)."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.modules.database_servers import Database, wait_for
from tests.modules.pgbouncers import Pooler, pooler
from tests.modules.preflighting import NewRun, Run, failed, new_run


@pytest.fixture
def pool(database: Database) -> Iterator[Pooler]:
    """A pgbouncer in front of the test's database."""
    with pooler(database.servers, database.name, database.directory / "home") as running:
        yield running


@pytest.fixture
def run(run_module: NewRun, database: Database, pool: Pooler) -> Run:
    """Run the preflight with both pools: `run(check=False, **arguments)`."""
    call = new_run(run_module, database)
    standbys = [{"dsn": database.dsn(host=database.servers.standby), "pools": [pool.standby]}]
    return lambda **more: call(**{"pools": [pool.primary], "standbys": standbys, **more})


def of_pgbouncer(answer: dict[str, Any]) -> list[str]:
    return [finding["found"] for finding in answer["findings"] if finding["check"] == "pgbouncer"]


def test_both_pools_are_open_and_ours(run: Run, pool: Pooler) -> None:
    answer = run()
    assert not answer["failed"], answer
    at = "pgbouncer at {}:{}".format(*pool.pgbouncer.address)
    assert of_pgbouncer(answer) == [f"{name} in {at} is open" for name in pool.names]
    assert (pool.state("primary"), pool.state("standby")) == ((False, False), (False, False))


def test_a_pool_that_somebody_disabled(run: Run, pool: Pooler) -> None:
    pool.ask(f"DISABLE {pool.names[0]}")
    answer = run()
    assert failed(answer) == {"pgbouncer", "access"}
    assert f"{pool.names[0]} in pgbouncer" in answer["msg"]
    assert "is disabled" in answer["msg"]
    assert "ask who switched it off, then:  psql '" in answer["msg"]
    assert f'ENABLE "{pool.names[0]}"' in answer["msg"]
    assert pool.state() == (False, True), "it was left alone"


def test_a_pgbouncer_that_somebody_paused_as_a_whole(run: Run, pool: Pooler) -> None:
    """SHOW DATABASES knows nothing of that."""
    pool.ask("PAUSE")
    assert pool.state() == (False, False)
    answer = run()
    assert failed(answer) == {"pgbouncer"}
    assert "all of that pgbouncer is paused or suspended" in answer["msg"]
    (command,) = {line.partition("then:  ")[2] for line in answer["msg"].splitlines() if "ask who paused it" in line}
    assert command.endswith(" -c RESUME")
    pool.ask("RESUME")
    assert not run()["failed"]


def test_a_pause_of_the_whole_that_waits_for_its_clients(run: Run, pool: Pooler) -> None:
    """One that shuts down safely does the same."""
    with pool.connect("primary") as client:
        client.execute("SELECT 1")
        pool.process.send_signal(signal.SIGINT)
        wait_for(lambda: "got SIGINT" in pool.log.read_text(), "pgbouncer to be told")
        assert "all of that pgbouncer is paused or suspended" in run()["msg"]


def test_a_pgbouncer_with_a_pool_for_any_database(run: Run, pool: Pooler) -> None:
    """The question whether it takes commands leaves no pool paused."""
    pool.kill()
    configured = pool.pgbouncer.directory / "pgbouncer.ini"
    any_database = f"[databases]\n* = host={pool.pgbouncer.address[0]} port=1\n"
    configured.write_text(configured.read_text().replace("[databases]\n", any_database))
    pool.start()
    assert not run()["failed"]
    assert {row["paused"] for row in pool.ask("SHOW DATABASES")} == {0}


def test_a_standby_s_pool_that_somebody_paused(run: Run, pool: Pooler) -> None:
    pool.ask(f"PAUSE {pool.names[1]}")
    answer = run()
    assert failed(answer) == {"pgbouncer"}
    assert f'RESUME "{pool.names[1]}"' in answer["msg"]


def test_a_pool_that_a_killed_run_left_off(run: Run, pool: Pooler, database: Database) -> None:
    database.access_file.parent.mkdir()
    record = {"database": database.name, "run_id": "2026-11", "dsn": database.dsn(), "pools": [pool.primary]}
    database.access_file.write_text(json.dumps(record))
    pool.ask(f"DISABLE {pool.names[0]}")
    answer = run()
    assert failed(answer) == {"pgbouncer", "access"}
    assert answer["msg"].count("a killed run left it so:  playbooks/outage_undo.yml") == 2


def test_a_pool_that_is_not_there(run: Run, pool: Pooler) -> None:
    answer = run(pools=[{**pool.primary, "database": "nowhere"}])
    assert failed(answer) == {"pgbouncer"}
    assert "E-no-pool" in answer["msg"]


def test_a_console_that_does_not_let_us_switch(run: Run, pool: Pooler) -> None:
    answer = run(pools=[{**pool.primary, "console": pool.pgbouncer.console("launchpad")}])  # one of stats_users
    assert failed(answer) == {"pgbouncer"}
    assert "our user may not switch" in answer["msg"]
    assert "add our user to admin_users in pgbouncer.ini, and RELOAD" in answer["msg"]


def test_a_pgbouncer_that_is_down_does_not_hide_the_rest(run: Run, pool: Pooler) -> None:
    pool.kill()
    answer = run(max_clock_difference_seconds=1, clock={"asked": 0, "host": 9, "answered": 0})
    assert failed(answer) == {"pgbouncer", "clock"}
    assert len([found for found in of_pgbouncer(answer) if "E-pgbouncer" in found]) == 2


SESSIONS = "SELECT pid FROM pg_stat_activity WHERE usename = 'launchpad' AND datname = current_database()"


def test_a_fragile_user_that_waits_at_pgbouncer(run: Run, pool: Pooler, database: Database) -> None:
    with pool.connect("primary") as client:
        for (pid,) in database.ask(SESSIONS):
            database.ask("SELECT pg_terminate_backend(%s, 5000)", pid)
        assert not database.ask(SESSIONS), "PostgreSQL does not know of it"
        answer = run(fragile_users=["launchpad"])
        assert failed(answer) == {"fragile users"}
        assert "fragile users: launchpad (1 session), 127.0.0.1:" in answer["msg"]
        assert " in pgbouncer at " in answer["msg"]
        assert client.execute("SELECT 1").fetchone() == (1,), "it was left alone"


def test_a_fragile_user_that_has_left_and_whose_pooled_session_stays(
    run: Run, pool: Pooler, database: Database
) -> None:
    pool.connect("primary").close()
    assert database.ask(SESSIONS)
    assert not run(fragile_users=["launchpad"])["failed"]


def test_who_comes_past_pgbouncer(run: Run, pool: Pooler, database: Database) -> None:
    with pool.connect("primary"), database.user() as user:
        answer = run()
        assert not answer["failed"], answer
        assert [
            line for line in answer["remarks"] if line.startswith("past pgbouncer: launchpad (1 session); ended, and")
        ]
        answer = run(fragile_users=["launchpad"])
        assert failed(answer) == {"fragile users"}
        assert f"fragile users: launchpad (2 sessions), pid {user.info.backend_pid}; 127.0.0.1:" in answer["msg"]
