"""A detached outage and whoever follows it: how far it is, what it answered, what is so when it answered nothing."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import RunningModule
from tests.modules.database_servers import FOUR, ROWS_AFTER, RUN, Database, Slow, wait_for

Run = Callable[..., dict[str, Any]]
THIRD = FOUR[2]


class Detached:
    """An outage that was detached, and the looks that follow it."""

    def __init__(self, run_module: Run, database: Database) -> None:
        self.run_module = run_module
        self.database = database
        self.begun: dict[str, Any] = {}

    def begin(self, **more: Any) -> int:
        """Start it; returns the pid of its guardian, 0 if it has ended already."""
        arguments = self.database.outage(detach=True, **more)
        self.begun = self.run_module("database_outage", arguments, env=self.database.environment(arguments["run_id"]))
        return int(self.begun.get("pid", 0))

    @property
    def worker(self) -> int:
        """The pid of its worker, which tells it once it has the lock."""
        return int(wait_for(lambda: self.database.progress().get("pid"), "the worker to begin"))

    def arguments(self, **more: Any) -> dict[str, Any]:
        """Those of a look."""
        keys = ("dsn", "patches", "run_id", "state_directory")
        given = {key: value for key, value in self.database.outage().items() if key in keys}
        return {**given, "answer_file": self.begun["answer_file"], **more}

    def look(self, **more: Any) -> dict[str, Any]:
        return self.run_module("database_outage_progress", self.arguments(**more), env=self.database.environment())

    def ended(self) -> dict[str, Any]:
        """What it answers when it has ended, to the first call or to a look."""
        if self.begun["finished"]:
            return self.begun
        return wait_for(lambda: (answer := self.look())["finished"] and answer, "the outage to end")


@pytest.fixture
def detached(run_module: Run, database: Database) -> Iterator[Detached]:
    detached = Detached(run_module, database)
    yield detached
    if detached.begun.get("pid"):
        for pid in (detached.begun["pid"], database.progress().get("pid")):  # the guardian first: it would answer
            with suppress(ProcessLookupError, TypeError):
                os.kill(pid, signal.SIGKILL)


def test_progress_while_a_patch_waits(slow: Slow, detached: Detached, database: Database) -> None:
    slow.lock()
    detached.begin()
    wait_for(database.waiting, "the third patch to wait for the lock")

    told = database.progress()
    assert (told["run_id"], told["work"], told["answer"], told["finished"]) == (RUN, "patches", None, False)
    assert [step["step"] for step in told["steps"]] == ["close access", "end connections", *FOUR[:3]]
    since = [step["since"] for step in told["steps"]]
    assert since == sorted(since)
    assert since[-1] < time.monotonic(), "not an instant of this host's monotonic clock"
    looks = [detached.look(wait_seconds=0) for _ in range(2)]
    for answer in looks:
        assert not answer["finished"]
        assert not answer["failed"]
        assert answer["progress"]["step"] == THIRD
        assert answer["answer"] is None
    assert 0 < looks[0]["progress"]["running_seconds"] < looks[1]["progress"]["running_seconds"]

    slow.let_go()
    detached.ended()
    told = database.progress()
    assert (told["answer"], told["finished"]) == ("committed", True)
    assert [step["step"] for step in told["steps"]][-3:] == [
        "commit and open access", "analyze", f"let standby {database.servers.standby} catch up",
    ]  # fmt: skip


def test_what_a_look_answers_at_the_end_is_what_the_outage_answers(
    slow: Slow, detached: Detached, run_module: Run, database: Database
) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    slow.lock()
    assert detached.begin()
    assert (detached.begun["finished"], detached.begun["changed"], detached.begun["failed"]) == (False, False, False)
    slow.let_go()
    answer = detached.ended()
    assert answer["committed"]
    assert answer["changed"]
    assert [step["step"] for step in answer["steps"]][2:6] == FOUR
    assert answer["summary"].startswith("outage ")
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in(limit=50)
    assert detached.look() == answer, "it was told only once"
    direct = run_module("database_outage", database.outage(), env=database.environment())
    assert set(direct) - {"invocation"} <= set(answer)


def test_short_outage_is_answered_at_once(detached: Detached, database: Database) -> None:
    """Nothing is pending from the second time on: the call waits a moment, which a busy machine may take for itself."""
    detached.begin()
    detached.ended()
    for _ in range(20):
        if detached.begin() == 0:
            break
        detached.ended()
    assert (detached.begun["finished"], detached.begun["summary"]) == (True, "no outage: nothing was pending")


def test_a_look_ends_when_another_step_begins(
    slow: Slow, detached: Detached, start_module: Callable[..., RunningModule], database: Database
) -> None:
    slow.lock()
    detached.begin()
    wait_for(database.waiting, "the third patch to wait for the lock")
    told, path = database.progress(), database.progress_file
    look = start_module("database_outage_progress", detached.arguments(wait_seconds=3600), env=database.environment())
    for number in itertools.count():  # whenever it begins to look, the step after that is another one
        if look.process.poll() is not None:
            break
        told["steps"].append({"step": f"step {number}", "since": time.monotonic()})
        new = path.with_suffix(".test")
        new.write_text(json.dumps(told))
        new.replace(path)
        time.sleep(0.05)
    answer = look.result()
    assert not answer["finished"]
    assert answer["progress"]["step"].startswith("step ")
    slow.let_go()
    assert detached.ended()["committed"]


def test_worker_and_guardian_have_sessions_of_their_own_and_nothing_of_ours(slow: Slow, detached: Detached) -> None:
    slow.lock()
    guardian, worker = detached.begin(), detached.worker
    assert len({os.getsid(0), os.getsid(guardian), os.getsid(worker)}) == 3, "whoever ends one ends the other"
    for pid in (guardian, worker):
        files = [str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in range(3)]
        assert files[0] == "/dev/null"
        assert files[1] == files[2]
        assert Path(files[1]).name.startswith("log-")
    slow.let_go()
    assert detached.ended()["committed"]


def test_a_failed_outage_fails_whoever_follows_it(detached: Detached, database: Database) -> None:
    database.write(THIRD, "ALTER TABLE Branch ADD COLUMN x nosuchtype;")
    detached.begin()
    answer = detached.ended()
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-patch-failed  the database did not take {THIRD}, line 2: ")
    assert not answer["locked_out"]
    assert answer["facts"]["outage_steps"] == answer["steps"]
    assert database.progress()["answer"] == "rolled_back"
    database.assert_users_are_in()


def test_deadline_ends_it_with_nobody_there(slow: Slow, detached: Detached, database: Database) -> None:
    before = database.dump()
    slow.lock()
    detached.begin(deadline_seconds=1)
    wait_for(lambda: database.progress()["finished"], "the outage to give up by itself")
    assert database.progress()["answer"] == "rolled_back"
    database.assert_users_are_in()
    assert database.dump() == before
    answer = detached.ended()
    assert answer["verdict"] == "abort"
    assert "the deadline came during " in answer["msg"]


def test_refused_before_anything_was_touched(detached: Detached, database: Database) -> None:
    detached.begin(patches=FOUR[:3])
    answer = detached.ended()
    assert answer["failed"]
    assert answer["msg"].startswith("E-other-patches  ")
    assert (database.progress()["answer"], database.progress()["steps"]) == ("refused", [])


def test_without_a_connection(detached: Detached) -> None:
    detached.begin(dsn="host=127.0.0.1 port=1 user=postgres dbname=nowhere")
    answer = detached.ended()
    assert answer["failed"]
    assert answer["msg"].startswith("E-no-connection  ")


def test_check_mode_detaches_nothing(run_module: Run, database: Database) -> None:
    answer = run_module("database_outage", database.outage(detach=True), check=True, env=database.environment())
    assert answer["changed"]
    assert "answer_file" not in answer
    assert not (database.directory / "state").exists()


def test_another_one_leaves_the_progress_of_the_first_alone(
    slow: Slow, detached: Detached, run_module: Run, database: Database
) -> None:
    first = slow.start()
    detached.begin(run_id=f"{RUN}0")
    answer = detached.ended()
    assert answer["msg"].startswith("E-another-rollout  ")
    assert (database.progress()["run_id"], database.progress()["pid"]) == (RUN, first.process.pid)
    slow.let_go()
    assert first.result()["committed"]


def test_worker_and_guardian_killed_in_a_patch(slow: Slow, detached: Detached, database: Database) -> None:
    slow.lock()
    guardian = detached.begin()
    wait_for(database.waiting, "the third patch to wait for the lock")
    for pid in (guardian, detached.worker):
        os.kill(pid, signal.SIGKILL)
    answer = detached.ended()
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-outage-lost  the outage's worker is gone without an answer, at '{THIRD}': ")
    assert "nothing was kept: the rows are as before; access is left closed." in answer["msg"]
    pyz = next(database.access_file.parent.glob("outage-*.pyz"))
    opens = f"USERS ARE LOCKED OUT. OPEN IT ON THIS HOST:  {sys.executable} {pyz} open {database.name}"
    assert answer["msg"].splitlines()[1].strip() == opens
    assert "playbooks/outage_undo.yml" in answer["msg"].splitlines()[-1]
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (False, False, True)
    assert [step["step"] for step in answer["facts"]["outage_steps"]] == [
        "close access",
        "end connections",
        *FOUR[:2],
    ]
    database.assert_users_are_out()


def test_worker_killed_after_the_commit(slow: Slow, detached: Detached, database: Database) -> None:
    with slow.analyzing():
        detached.begin()
        wait_for(lambda: (steps := database.progress()["steps"]) and steps[-1]["step"] == "analyze", "it to analyze")
        look = detached.look(wait_seconds=0)
        assert (look["finished"], look["answer"]) == (False, "committed")
        assert look["progress"]["step"] == "analyze"
        os.kill(detached.worker, signal.SIGKILL)
        answer = detached.ended()
    assert answer["failed"]
    assert "at 'analyze': the patches are committed; access is open." in answer["msg"]
    assert (answer["committed"], answer["irreversible"], answer["locked_out"]) == (True, True, False)
    assert [standby["seconds"] is not None for standby in answer["standbys"]] == [True]
    database.assert_users_are_in()
