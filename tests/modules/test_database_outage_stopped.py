"""Module database_outage, stopped in the middle: rolled back, and users in whatever happens (R18, R19)."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from typing import Any

import ansible.module_utils
import pytest

from lab import postgres
from tests.modules.conftest import MODULES, RunningModule
from tests.modules.database_servers import FOUR, ROWS_AFTER, RUN, SLOW_COMMIT, Database, Slow, wait_for

Run = Callable[..., dict[str, Any]]
Start = Callable[..., RunningModule]
THIRD = FOUR[2]


@pytest.fixture
def run(run_module: Run, database: Database) -> Run:
    """Run the outage: `run(**arguments)`."""

    def call(**more: Any) -> dict[str, Any]:
        return run_module("database_outage", database.outage(**more), env=database.environment())

    return call


def test_users_are_out_while_it_patches(slow: Slow, database: Database) -> None:
    running = slow.start()
    database.assert_users_are_out()
    saved = json.loads(database.access_file.read_text())
    assert (saved["database"], saved["connection_limit"], saved["run_id"]) == (database.name, -1, RUN)
    slow.let_go()
    assert running.result()["committed"]
    database.assert_users_are_in()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_in_the_middle_of_a_patch(slow: Slow, database: Database, number: signal.Signals) -> None:
    before = database.dump()
    running = slow.start()
    running.process.send_signal(number)
    answer = running.result()
    assert answer["failed"]
    told = f"E-outage-interrupted  {number.name} came during '{THIRD}': rolled back.\n  Nothing was kept"
    assert answer["msg"].startswith(told)
    assert "verdict" not in answer, "it is the conductor that says whether a run is aborted"
    assert not answer["locked_out"]
    database.assert_users_are_in()
    assert database.dump() == before


def test_a_deferred_trigger_can_still_be_stopped(slow: Slow, database: Database) -> None:
    """It runs before the COMMIT is sent, which is too late (test_outage_worker_commit.py)."""
    database.write(THIRD, SLOW_COMMIT)
    before = database.dump()
    running = slow.start()
    assert database.progress()["steps"][-1]["step"] == "commit and open access"
    assert database.progress()["transaction"] is None
    running.process.send_signal(signal.SIGTERM)
    answer = running.result()
    assert answer["msg"].startswith("E-outage-interrupted  SIGTERM came during 'commit and open access': rolled back.")
    database.assert_users_are_in()
    assert database.dump() == before


def test_deadline_rolls_back(slow: Slow, database: Database) -> None:
    before = database.dump()
    slow.lock()
    answer = slow.begin(deadline_seconds=1).result()
    assert answer["failed"]
    assert re.match(
        r"E-outage-deadline  the deadline came during '[^']+': rolled back\.\n  Nothing was kept", answer["msg"]
    )
    assert answer["verdict"] == "abort"
    assert not answer["irreversible"]
    database.assert_users_are_in()
    assert database.dump() == before


@pytest.mark.parametrize("seconds", [0, -1.5])
def test_no_time_left_is_refused_before_the_outage(run: Run, database: Database, seconds: float) -> None:
    before, user = database.dump(), database.user()
    answer = run(deadline_seconds=seconds)
    assert answer["failed"]
    assert answer["msg"].startswith("E-outage-deadline  no time is left for an outage.")
    assert answer["verdict"] == "abort"
    assert answer["outage_seconds"] == 0
    assert user.execute("SELECT 1").fetchone() == (1,), "a user was locked out for nothing"
    assert database.dump() == before


def test_nobody_listens_any_more(slow: Slow, database: Database) -> None:
    """The control connection is lost: standard output is a broken pipe. The outage goes on to its end."""
    running = slow.start()
    assert running.process.stdout is not None
    assert running.process.stderr is not None
    running.process.stdout.close()
    running.process.stderr.close()
    slow.let_go()
    running.process.wait(30)
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


@pytest.mark.parametrize("ends", ["pg_cancel_backend", "pg_terminate_backend"])
def test_backend_is_stopped_from_elsewhere(slow: Slow, database: Database, ends: str) -> None:
    before = database.dump()
    running = slow.start()
    query = f"SELECT {ends}(pid) FROM pg_stat_activity WHERE application_name = %s"  # noqa: S608
    database.ask(query, f"rollout {RUN}")
    answer = running.result()
    assert answer["failed"]
    assert THIRD in answer["msg"]
    database.assert_users_are_in()
    assert database.dump() == before


def test_server_dies_in_the_middle(slow: Slow, database: Database) -> None:
    before = database.dump()
    running = slow.start()
    postgres.stop(database.servers, immediate=True)
    postgres.start(database.servers)
    answer = running.result()
    assert answer["failed"]
    assert "Nothing was kept" in answer["msg"]
    assert not answer["locked_out"]
    database.assert_users_are_in()
    assert database.dump() == before


@pytest.fixture
def killed(slow: Slow, database: Database) -> str:
    """Access that a run left closed when it was killed; the schema as it was before that run."""
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    before = database.dump()
    running = slow.start()
    running.process.kill()
    running.process.wait(10)
    database.assert_users_are_out()
    slow.let_go()
    return before


def test_access_left_closed_is_taken_over(killed: str, run: Run, database: Database) -> None:
    answer = run(run_id="2026-12b")
    assert not answer["failed"], answer
    assert answer["took_over"] == RUN
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in(limit=50)


def test_access_left_closed_is_opened_even_if_there_is_nothing_to_do(killed: str, run: Run, database: Database) -> None:
    with database.admin() as admin:
        for name in FOUR:
            wait_for(lambda: not database.waiting(), "the killed run's backend to end")
            admin.execute((database.schema / name).read_bytes())
    answer = run()
    assert answer["changed"]
    assert answer["steps"] == []
    database.assert_users_are_in(limit=50)


def test_access_left_closed_is_opened_even_if_the_run_is_refused(killed: str, run: Run, database: Database) -> None:
    answer = run(patches=FOUR[:3])
    assert answer["failed"]
    assert "E-other-patches" in answer["msg"]
    assert f"Access, which {RUN} had left closed, is open again." in answer["msg"]
    database.assert_users_are_in(limit=50)
    assert database.dump() == killed


def test_locked_out_says_how_to_open(database: Database) -> None:
    ansible.module_utils.__path__.append(str(MODULES.parent / "module_utils"))
    from plugins.module_utils.rollout_host.database.access.postgres import access as access_of
    from plugins.module_utils.rollout_host.database.connection import RolloutError

    nowhere = "host=127.0.0.1 port=1 user=postgres"
    access = access_of(database.admin(), nowhere, str(database.access_file.parent))
    access.connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    access.save("2026-12")
    access.close()
    access.connection.close()  # and nobody answers where it connects again
    with pytest.raises(RolloutError, match="E-locked-out") as raised:
        access.open(seconds=0)
    assert raised.value.facts == {"locked_out": True}
    command = f"""psql '{nowhere}' -c 'ALTER DATABASE "{database.name}" CONNECTION LIMIT 50'"""
    assert str(raised.value).endswith(f"OPEN IT ON THIS HOST:  {command}")
    assert database.access_file.exists(), "the next run could not know whose access it is"
    database.assert_users_are_out()


def test_a_session_that_a_signal_left_without_its_answer_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal came between a statement and its answer: psycopg takes no other statement on that connection."""
    ansible.module_utils.__path__.append(str(MODULES.parent / "module_utils"))
    from plugins.module_utils.rollout_host.database.access.postgres import access as access_of
    from plugins.module_utils.rollout_host.database.connection import connect

    monkeypatch.setenv("PGPASSFILE", str(database.directory / "home" / ".pgpass"))
    admin = database.dsn()
    access = access_of(connect(admin, "rollout test access"), admin, str(database.access_file.parent))
    access.save(RUN)
    access.close()
    access.connection.pgconn.send_query(b"SELECT 1")
    access.open(seconds=5)
    assert access.state() == ("open", None)
    access.connection.close()
    database.assert_users_are_in()


def test_one_at_a_time(slow: Slow, run: Run, database: Database) -> None:
    first = slow.start()
    second = run(run_id="2026-13")
    assert second["failed"]
    assert second["msg"].startswith("E-another-rollout  session ")
    assert f"rollout {RUN} access" in second["msg"]
    database.assert_users_are_out()
    slow.let_go()
    assert first.result()["committed"]
