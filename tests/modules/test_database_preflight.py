"""Module database_preflight: every finding at once, each with what to do (R18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.modules.database_servers import FOUR, Database, wait_for

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(run_module: Run, database: Database) -> Run:
    """Run the preflight: `run(check=False, **arguments)`."""

    def call(check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {key: value for key, value in database.outage(**more).items() if key != "run_id"}
        return run_module("database_preflight", arguments, check, env=database.environment())

    return call


def failed(answer: dict[str, Any]) -> set[str]:
    assert answer["failed"], answer
    return {finding["check"] for finding in answer["findings"] if not finding["ok"]}


def test_all_is_well(run: Run, database: Database) -> None:
    before, user = database.dump(), database.user()
    answer = run()
    assert not answer["failed"], answer
    assert not answer["changed"]
    assert {finding["check"] for finding in answer["findings"]} > {*FOUR, "patches", "standbys", "lag", "gate", "disk"}
    assert answer["summary"].startswith(f"{len(answer['findings'])} of {len(answer['findings'])} ✓ · lag ")
    assert answer["summary"].endswith(" s · no transaction over 60 s")
    assert user.execute("SELECT 1").fetchone() == (1,)
    assert database.dump() == before
    assert not run(check=True)["failed"]


def test_all_findings_at_once(run: Run, database: Database) -> None:
    database.write(FOUR[2], "CREATE INDEX CONCURRENTLY i ON Branch (name);", row=False)
    user = database.user()
    user.execute("BEGIN")
    user.execute("UPDATE Branch SET name = 'x' WHERE id = 1")
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    missing = database.dsn(host=database.servers.standby)

    answer = run(standbys=[missing, missing], max_transaction_seconds=0)

    assert failed(answer) == {FOUR[2], "standbys", "transactions", "gate"}
    message = answer["msg"]
    assert message.startswith(f"E-preflight  4 of {len(answer['findings'])} checks of {database.name} failed")
    assert f"{FOUR[2]}: has no row of its own" in message
    assert "cannot run inside the one transaction" in message
    assert "standbys: 1 streaming (expected: 2 streaming)" in message
    assert "transactions: launchpad (" in message
    assert "UPDATE Branch SET name" in message
    assert "gate: closed by someone else (expected: open)" in message
    assert f"""-c 'ALTER DATABASE "{database.name}" CONNECTION LIMIT -1'""" in message
    assert message.endswith("\n  Then: ./runbook.py run preflight")
    user.execute("COMMIT")  # its session was left alone


def test_other_patches_than_pinned_do_not_hide_the_rest(run: Run, database: Database) -> None:
    answer = run(patches=FOUR[:3], standbys=[])
    assert failed(answer) == {"patches", "standbys"}
    assert "patch-2208-58-1.sql is pending, but not pinned" in answer["msg"]


def test_tree_that_was_not_delivered(run: Run, database: Database) -> None:
    answer = run(schema_directory=str(database.directory / "nowhere"))
    assert failed(answer) == {"patches"}
    assert "was the tree delivered to this host?" in answer["msg"]


def test_standby_that_lags(run: Run, database: Database) -> None:
    import psycopg

    conninfo = database.servers.dsn(database.name, host=database.servers.standby)
    with psycopg.connect(conninfo, autocommit=True) as standby:
        replayed = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"
        before = database.ask("SELECT pg_current_wal_lsn()::text")[0][0]
        wait_for(lambda: standby.execute(replayed, [before]).fetchone() == (True,), "the standby to catch up")
        standby.execute("SELECT pg_wal_replay_pause()")
        try:
            database.ask("WITH x AS (UPDATE Person SET displayname = 'x' RETURNING 1) SELECT count(*) FROM x")
            answer = run(max_lag_seconds=0)
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
    assert failed(answer) == {"lag"}
    assert "wait until it has caught up" in answer["msg"]


def test_standby_that_cannot_be_asked(run: Run, database: Database) -> None:
    answer = run(standbys=[database.dsn(host="127.0.0.1")])
    assert failed(answer) == {"lags"}
    assert "E-no-connection" in answer["msg"]


def test_primary_in_the_place_of_a_standby(run: Run, database: Database) -> None:
    answer = run(standbys=[database.dsn()])
    assert failed(answer) == {"lags"}
    assert "E-not-a-standby" in answer["msg"]


def test_state_directory_that_cannot_be_written(run: Run, database: Database) -> None:
    (database.directory / "file").write_text("")
    answer = run(state_directory=str(database.directory / "file" / "state"))
    assert failed(answer) == {"state directory"}


def test_gate_that_a_killed_run_left_closed(run: Run, database: Database) -> None:
    database.gate_file.parent.mkdir()
    saved = f'{{"database": "{database.name}", "connection_limit": -1, "run_id": "2026-11"}}'
    database.gate_file.write_text(saved)
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    answer = run()
    assert failed(answer) == {"gate"}
    assert "gate: left closed (expected: open)\n      playbooks/outage_undo.yml opens it" in answer["msg"]


def test_user_that_is_no_superuser(run: Run, database: Database) -> None:
    answer = run(dsn=database.dsn(user="launchpad"))
    assert "server" in failed(answer)
    assert "E-not-superuser" in answer["msg"]


def test_no_server_at_all(run: Run, database: Database) -> None:
    answer = run(dsn=database.dsn(host="127.0.0.1"))
    assert answer["failed"]
    assert answer["msg"].startswith("E-no-connection  ")
