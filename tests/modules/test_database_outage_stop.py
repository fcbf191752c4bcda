"""Module database_outage_stop: the gentlest way that works, what became of the outage, and nothing left of it (R19)."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from plugins.module_utils.rollout_host.database.outage import detached, progress
from plugins.module_utils.rollout_host.database.outage.stop import OutageStop
from plugins.module_utils.rollout_host.services import processes
from tests.modules.conftest import RunningModule
from tests.modules.database_servers import FOUR, ROWS_AFTER, RUN, SLOW_COMMIT, Database, Slow, wait_for

Run = Callable[..., dict[str, Any]]
Start = Callable[..., RunningModule]
THIRD = FOUR[2]


@pytest.fixture
def start_stop(start_module: Start, database: Database) -> Start:
    """Begin to stop: `start_stop(check=False, **arguments)`."""

    def start(check: bool = False, **more: Any) -> RunningModule:
        keys = ("dsn", "patches", "state_directory")
        given = {key: value for key, value in database.outage().items() if key in keys}
        arguments = {**given, "stop_run": RUN, "grace_seconds": 1, **more}
        return start_module("database_outage_stop", arguments, check, env=database.environment(f"stop of {RUN}"))

    return start


@pytest.fixture
def stop(start_stop: Start) -> Run:
    """Stop and return what that answers."""
    return lambda *check, **more: start_stop(*check, **more).result()


def rungs(answer: dict[str, Any]) -> list[str]:
    return [rung["rung"] for rung in answer["ladder"]]


@contextmanager
def deaf() -> Iterator[None]:
    """Processes that are started in here never hear SIGTERM; it stays pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def was_asked(pid: int) -> bool:
    """Whether a deaf process has a SIGTERM pending."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pending = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd:"))
    return bool(pending & (1 << (signal.SIGTERM - 1)))


def test_worker_is_asked_and_rolls_back(slow: Slow, stop: Run, database: Database) -> None:
    before = database.dump()
    running = slow.start()
    answer = stop()
    assert not answer["failed"], answer
    assert answer["answer"] == "rolled_back"
    assert rungs(answer) == ["ask"]
    assert answer["ladder"][0]["did"].startswith(f"asked pid {running.process.pid}: ")
    assert ": it answered rolled_back (" in answer["ladder"][0]["did"]
    assert answer["survivors"] == []
    assert answer["access"] == "open"
    assert answer["summary"] == "nothing was kept: the rows are as before; access is open"
    assert running.result()["msg"].startswith("E-outage-interrupted  SIGTERM came during ")
    database.assert_users_are_in()
    assert database.dump() == before


def test_worker_that_somebody_stopped_is_woken_to_answer(slow: Slow, stop: Run, database: Database) -> None:
    running = slow.start()
    running.process.send_signal(signal.SIGSTOP)
    answer = stop(grace_seconds=20)
    assert (answer["answer"], rungs(answer), answer["survivors"]) == ("rolled_back", ["ask"], [])
    database.assert_users_are_in()


def test_deaf_worker_hears_that_its_statement_was_cancelled(slow: Slow, stop: Run, database: Database) -> None:
    with deaf():
        running = slow.start()
    answer = stop()
    assert answer["answer"] == "rolled_back"
    assert rungs(answer)[:2] == ["ask", "cancel"]
    assert "no answer" in answer["ladder"][0]["did"]
    assert answer["ladder"][1]["did"].startswith("cancelled session ")
    assert answer["survivors"] == []
    assert "canceling statement due to user request" in running.result()["msg"]
    database.assert_users_are_in()


def test_patch_that_cannot_be_cancelled_loses_its_session(slow: Slow, stop: Run, database: Database) -> None:
    database.write(
        THIRD,
        "DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;",
    )
    running = slow.begin()
    sleeps = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'PgSleep'"
    wait_for(lambda: database.ask(sleeps, f"rollout {RUN}"), "the third patch to sleep")
    answer = stop()
    assert answer["answer"] == "rolled_back"
    assert rungs(answer)[:3] == ["ask", "cancel", "terminate"]
    assert answer["survivors"] == []
    assert running.result()["failed"]
    database.assert_users_are_in()


def test_worker_that_hangs_is_killed_last(slow: Slow, stop: Run, run_module: Run, database: Database) -> None:
    """Its disk hangs: it would write down its progress, and nobody reads from that pipe."""
    before = database.dump()
    running = slow.start()
    os.mkfifo(database.progress_file.with_suffix(".new"))
    answer = stop()
    assert answer["answer"] == "rolled_back"
    assert rungs(answer) == ["ask", "cancel", "terminate", "kill"]
    assert f"killed pid {running.process.pid}: " in answer["ladder"][-1]["did"]
    assert answer["survivors"] == []
    assert answer["access"] == "left closed"
    assert running.process.wait(10) == -signal.SIGKILL
    database.assert_users_are_out()
    opened = run_module("database_access", {"dsn": database.dsn(), "state_directory": str(database.access_file.parent)},
                        env=database.environment())  # fmt: skip
    assert opened["left_by"] == RUN
    database.assert_users_are_in()
    assert database.dump() == before


def test_worker_that_is_committing_is_not_stopped(slow: Slow, start_stop: Start, database: Database) -> None:
    database.write(THIRD, SLOW_COMMIT)
    with deaf():  # so that it can be seen that it was asked while it commits
        running = slow.start()
    assert database.progress()["steps"][-1]["step"] == "commit and open access"
    stopping = start_stop(grace_seconds=30)
    wait_for(lambda: was_asked(running.process.pid), "the worker to be asked")
    slow.let_go()
    answer = stopping.result()
    assert (answer["answer"], rungs(answer), answer["survivors"]) == ("too_late", ["ask"], [])
    assert answer["summary"] == "the patches are committed; access is open"
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_deferred_trigger_that_hangs_is_stopped(slow: Slow, stop: Run, database: Database) -> None:
    database.write(THIRD, SLOW_COMMIT)
    before = database.dump()
    slow.start()
    answer = stop()
    assert (answer["answer"], rungs(answer), answer["survivors"]) == ("rolled_back", ["ask"], [])
    database.assert_users_are_in()
    assert database.dump() == before


def test_nothing_ever_ran(stop: Run, database: Database) -> None:
    answer = stop()
    assert not answer["changed"]
    assert (answer["answer"], answer["ladder"], answer["survivors"]) == ("stopped", [], [])
    assert answer["access"] == "open"
    database.assert_users_are_in()


def test_worker_that_was_refused_had_no_outage(slow: Slow, stop: Run, database: Database) -> None:
    assert slow.begin(patches=FOUR[:3]).result()["failed"]
    assert stop()["answer"] == "stopped"


def test_worker_was_killed_before(slow: Slow, stop: Run, database: Database) -> None:
    running = slow.start()
    running.process.kill()
    running.process.wait(10)
    answer = stop()
    assert (answer["answer"], answer["survivors"], answer["access"]) == ("rolled_back", [], "left closed")
    ours = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rollout %' AND datname = current_database()"
    assert not database.ask(ours)


def test_it_was_committed_before(slow: Slow, stop: Run, database: Database) -> None:
    assert slow.begin().result()["committed"]
    answer = stop()
    assert (answer["answer"], answer["ladder"], answer["survivors"]) == ("too_late", [], [])


@pytest.mark.parametrize("frozen", [False, True])
def test_worker_that_has_committed_is_left_to_end_by_itself(
    slow: Slow, stop: Run, database: Database, frozen: bool
) -> None:
    """It still analyzes; whoever follows it gets its answer, also if somebody has stopped it there."""
    with slow.analyzing():
        running = slow.begin()
        wait_for(lambda: database.progress()["answer"], "the commit")
        if frozen:
            running.process.send_signal(signal.SIGSTOP)
        answer = stop()
    assert (answer["answer"], answer["ladder"], answer["survivors"]) == ("too_late", [], [])
    assert running.result()["committed"]
    database.assert_users_are_in()


def test_another_run_is_left_alone(slow: Slow, start_module: Start, stop: Run, database: Database) -> None:
    slow.lock()
    other = f"{RUN}0"
    running = start_module("database_outage", database.outage(run_id=other), env=database.environment(other))
    waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    wait_for(lambda: database.ask(waits, f"rollout {other}"), "the third patch to wait for the lock")
    answer = stop()
    assert (answer["answer"], answer["ladder"], answer["survivors"]) == ("stopped", [], [])
    slow.let_go()
    assert running.result()["committed"]


def test_check_mode_only_looks(slow: Slow, stop: Run, database: Database) -> None:
    running = slow.start()
    answer = stop(True)
    assert not answer["changed"]
    assert (answer["answer"], answer["ladder"]) == ("unknown", [])
    assert answer["survivors"][0].startswith(f"pid {running.process.pid}: ")
    assert {survivor.split(" ", 2)[2].split(":")[0] for survivor in answer["survivors"][1:]} == {
        f"(rollout {RUN}), active",
        f"(rollout {RUN} access), idle",
    }
    slow.let_go()
    assert running.result()["committed"]


def test_worker_is_asked_even_if_the_database_cannot_be(slow: Slow, stop: Run, database: Database) -> None:
    slow.start()
    answer = stop(dsn=f"{database.dsn()} connect_timeout=2 host=127.0.0.1")
    assert answer["failed"]
    assert answer["msg"].startswith("E-no-connection  ")
    assert (answer["answer"], rungs(answer), answer["survivors"]) == ("unknown", ["ask"], [])
    assert "it answered rolled_back" in answer["ladder"][0]["did"]
    database.assert_users_are_in()


def test_without_a_run_the_last_one_on_the_database_is_stopped(slow: Slow, stop: Run, database: Database) -> None:
    """Who plays it by hand need not know the mark: the outage has left it on its host."""
    running = slow.start()
    answer = stop(stop_run="")
    assert (answer["answer"], answer["survivors"]) == ("rolled_back", [])
    assert f"asked pid {running.process.pid}: " in answer["ladder"][0]["did"]
    database.assert_users_are_in()


def test_by_hand_is_nobodys_mark(slow: Slow, stop: Run, database: Database) -> None:
    """The last run here is the runbook's, and was not played by hand: it goes on."""
    running = slow.start()
    answer = stop(stop_run="by hand")
    assert answer["failed"]
    assert answer["msg"].startswith("E-which-run  No outage of ")
    assert f"the last one was {RUN}" in answer["msg"]
    assert (answer["ladder"], answer["survivors"]) == ([], [])
    assert running.process.poll() is None
    slow.let_go()
    assert running.result()["committed"]


def test_where_nothing_is_on_record_nothing_is_stopped(stop: Run, database: Database) -> None:
    answer = stop(stop_run="")
    assert answer["failed"]
    assert "none is on record" in answer["msg"]


def test_a_process_of_another_services_database_is_left_alone(tmp_path: Path) -> None:
    """The same mark, as a plan of the same name gives it, on a host that both use: the database tells them apart."""
    environment = {**os.environ, "ROLLOUT_RUN": RUN}
    ours, other, nameless = (
        subprocess.Popen(["/bin/sleep", "600"], env={**environment, **of})
        for of in ({"ROLLOUT_DATABASE": "ours"}, {"ROLLOUT_DATABASE": "theirs"}, {})
    )
    try:
        found = {process.pid for process in OutageStop(RUN, "ours", str(tmp_path)).processes()}
        assert {ours.pid, nameless.pid} <= found
        assert other.pid not in found
    finally:
        for process in (ours, other, nameless):
            process.kill()
            process.wait()


@pytest.mark.parametrize(("started", "lives"), [(0, True), (1, False)])
def test_a_later_process_with_the_workers_number_and_mark_is_not_the_worker(started: int, lives: bool) -> None:
    process = subprocess.Popen(["/bin/sleep", "600"], env={**os.environ, "ROLLOUT_RUN": RUN})
    try:
        wait_for(lambda: processes.process_of(process.pid, RUN), "the mark of the process")
        state = {"pid": process.pid, "run_id": RUN, "started": processes.started(process.pid)}
        state["started"] -= started
        assert (progress.worker(state) is not None) == lives
    finally:
        process.kill()
        process.wait()


def test_what_is_detached_carries_the_name_of_its_database(tmp_path: Path) -> None:
    says = tmp_path / "outage.pyz"
    says.write_text("import os; print(os.environ['ROLLOUT_DATABASE'], os.environ['ROLLOUT_RUN'])")
    with mock.patch.dict(os.environ, {"ROLLOUT_RUN": RUN}):
        _, answer_file = detached.start(says, {"dsn": "host=x dbname=ours"}, 30)
    log = Path(answer_file.replace("answer-", "log-").replace(".json", ".txt"))
    assert log.read_text() == f"ours {RUN}\n"
