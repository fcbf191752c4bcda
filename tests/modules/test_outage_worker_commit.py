"""COMMIT sent is the point of no return: what it came to is read in the database, never guessed (R18, R19).

A synchronous standby that is not there lets a COMMIT wait, on disk here and invisible to everyone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lab import postgres
from tests.modules.conftest import RunningModule
from tests.modules.database_servers import ROWS_AFTER, ROWS_BEFORE, RUN, Database, Slow, wait_for


def result(answer_file: str) -> dict[str, Any] | None:
    """The answer, None as long as there is none."""
    try:
        answer: dict[str, Any] = json.loads(Path(answer_file).read_text().rstrip("\0 "))
    except ValueError:
        return None
    return answer


WAITS = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'SyncRep'"


@contextmanager
def without_standby(database: Database) -> Iterator[None]:
    """In this block, every COMMIT of a transaction that wrote waits for a standby that does not exist."""
    with psycopg.connect(database.servers.dsn("postgres"), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        admin.execute("SELECT pg_reload_conf()")
    try:
        with ThreadPoolExecutor(1) as thread:
            waits = False
            while not waits:  # the server takes note of it in its own time
                with database.admin("probe") as probe:
                    done = thread.submit(probe.execute, "CREATE TABLE Probe (id integer); DROP TABLE Probe")
                    wait_for(lambda done=done: done.done() or database.ask(WAITS, "probe"), "the probe")
                    waits = not done.done()
                    probe.cancel()
                    done.result(20)
        yield
    finally:
        with psycopg.connect(database.servers.dsn("postgres"), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")


@pytest.fixture
def committing(slow: Slow, database: Database) -> Iterator[RunningModule]:
    """An outage whose COMMIT waits for a standby."""
    running = slow.start()
    with without_standby(database):
        slow.let_go()
        wait_for(lambda: database.ask(WAITS, f"rollout {RUN}"), "the COMMIT to wait for a standby")
        yield running


@pytest.fixture
def stop(start_module: Callable[..., RunningModule], database: Database) -> Callable[..., RunningModule]:
    """Begin to stop the outage."""
    keys = ("dsn", "patches", "state_directory")
    given = {key: value for key, value in database.outage().items() if key in keys}
    return lambda: start_module(
        "database_outage_stop", {**given, "stop_run": RUN, "grace_seconds": 0.5}, env=database.environment("a stop")
    )


def test_a_stop_is_too_late_and_ends_only_the_wait(
    committing: RunningModule, stop: Callable[..., RunningModule], database: Database
) -> None:
    assert database.rows() == ROWS_BEFORE, "it is not visible yet"
    answer = stop().result()
    assert (answer["answer"], answer["survivors"], answer["access"]) == ("too_late", [], "open")
    assert [rung["rung"] for rung in answer["ladder"]] == ["ask", "commit"]
    assert answer["ladder"][1]["did"].startswith("cancelled its wait for a standby: ")
    ended = committing.result()
    assert ended["committed"]
    assert [told for told in ended["warnings"] if "might not have been replicated to the standby" in told]
    assert "SIGTERM came too late to stop it: it was committing" in ended["warnings"]
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_its_session_is_ended_there(committing: RunningModule, database: Database) -> None:
    database.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", f"rollout {RUN}")
    answer = committing.result()
    assert answer["committed"], answer
    assert "committed, although: E-outage-failed  during 'commit and open access': " in answer["warnings"][-1]
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_the_server_crashes_there(committing: RunningModule, database: Database) -> None:
    postgres.stop(database.servers, immediate=True)
    postgres.start(database.servers)
    answer = committing.result()
    assert answer["committed"], answer
    assert "committed, although: E-outage-failed" in answer["warnings"][-1]
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_the_number_of_the_transaction_is_on_record_before(committing: RunningModule, database: Database) -> None:
    transaction = database.progress()["transaction"]
    assert database.ask("SELECT pg_xact_status(%s::xid8)", transaction) == [("in progress",)]
    database.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = %s", f"rollout {RUN}")
    assert committing.result()["committed"]
    assert database.ask("SELECT pg_xact_status(%s::xid8)", transaction) == [("committed",)]


def test_the_guardian_does_not_let_users_wait_for_a_standby(slow: Slow, database: Database) -> None:
    """Nobody stops it, and there is no deadline."""
    slow.lock()
    running = slow.begin(detach=True)
    wait_for(database.waiting, "the third patch to wait for the lock")
    begun = running.result()
    with without_standby(database):
        slow.let_go()
        answer = wait_for(lambda: result(begun["answer_file"]), "the answer")
    assert answer["committed"]
    assert any("might not have been replicated to the standby" in warning for warning in answer["warnings"])
    database.assert_users_are_in()
