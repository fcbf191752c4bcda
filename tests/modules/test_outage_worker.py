"""The worker's file, its guardian, and what is typed on the host: users are let in whatever happens (R18, R19)."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lab import postgres
from tests.modules.conftest import MODULES, RunningModule
from tests.modules.database_servers import FOUR, ROWS_AFTER, RUN, Database, Slow, wait_for

ROOT = MODULES.parents[1]
THIRD = FOUR[2]
Run = Callable[..., dict[str, Any]]
# The guardian with other patience than its own; the worker that it starts is as ever.
IMPATIENT = """
import sys
_, command, spec, pyz, *patience = sys.argv
sys.path.insert(0, pyz)
from rollout_worker.rollout_host.database.outage import guardian, main
for given in patience:
    name, _, value = given.partition("=")
    assert hasattr(guardian, name)
    setattr(guardian, name, float(value))
sys.exit(main.main([pyz, command, spec]))
"""


class Guarded:
    """An outage under a guardian, as `database_outage` with `detach` starts it."""

    def __init__(self, database: Database, run_module: Run) -> None:
        self.database = database
        self.state = database.access_file.parent
        self.processes: list[subprocess.Popen[bytes]] = []
        # A check of one that is refused brings the file, and nothing else.
        run_module("database_outage", database.outage(detach=True, patches=[]), env=database.environment("nobody"))
        self.pyz = next(self.state.glob("outage-*.pyz"))
        self.answer_file = self.state / "answer-test.json"

    def start(self, *patience: str, **more: Any) -> None:
        """Start it; `patience` are constants of guardian, NAME=SECONDS."""
        self.answer_file.touch()
        spec = self.state / "spec-test.json"
        defaults = {"pools": [], "deadline_seconds": None, "clock_offset": 0, "answer_file": str(self.answer_file)}
        given = {**defaults, **self.database.outage(), **more}
        given["standbys"] = [{"pools": [], **standby} for standby in given["standbys"]]
        spec.write_text(json.dumps(given))
        (self.state / "impatient.py").write_text(IMPATIENT)
        argv = [sys.executable, self.state / "impatient.py", "guard", spec, self.pyz, *patience]
        environment = {**os.environ, **self.database.environment()}
        self.processes.append(subprocess.Popen(argv, env=environment, start_new_session=True))

    @property
    def worker(self) -> int:
        return int(self.database.progress()["pid"])

    def answer(self) -> dict[str, Any]:
        """The answer, once both have ended."""
        self.processes[0].wait(20)
        answer: dict[str, Any] = json.loads(self.answer_file.read_bytes().rstrip(b"\0 "))
        return answer

    def typed(self, *command: str) -> subprocess.CompletedProcess[str]:
        """What a person types on the host, who has no Ansible and no mark of a run."""
        argv = [sys.executable, str(self.pyz), *command]
        environment = {"HOME": str(self.database.directory / "home"), "PATH": os.environ["PATH"]}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def guarded(database: Database, run_module: Run) -> Iterator[Guarded]:
    guarded = Guarded(database, run_module)
    yield guarded
    for process in guarded.processes:  # the guardian first: it would answer
        process.kill()
        process.wait(10)
    with suppress(ProcessLookupError, KeyError):
        os.kill(guarded.worker, signal.SIGKILL)


def test_the_file_is_the_same_for_the_same_sources(guarded: Guarded, run_module: Run, database: Database) -> None:
    content, written = guarded.pyz.read_bytes(), guarded.pyz.stat().st_ino
    assert guarded.pyz.stat().st_mode & 0o777 == 0o600
    assert guarded.state.stat().st_mode & 0o777 == 0o700
    keys = ("dsn", "schema_directory", "patches", "standbys", "state_directory")
    preflight = {key: value for key, value in database.outage().items() if key in keys}
    run_module("database_preflight", preflight, env=database.environment())
    assert [path.name for path in guarded.state.glob("*.pyz")] == [guarded.pyz.name], "another module, another file"
    assert (guarded.pyz.read_bytes(), guarded.pyz.stat().st_ino) == (content, written)
    names = zipfile.ZipFile(guarded.pyz).namelist()
    assert {
        "__main__.py",
        "rollout_worker/rollout_host/database/outage/worker.py",
        "rollout_worker/rollout_core/__init__.py",
    } <= set(names)
    assert not [name for name in names if "pqm" in name], "it carries what it does not need"


def test_a_file_that_was_damaged_is_written_again_and_an_old_one_goes(
    guarded: Guarded, run_module: Run, database: Database
) -> None:
    content = guarded.pyz.read_bytes()
    guarded.pyz.write_bytes(content[:-1])
    old = guarded.state / "outage-000000000000.pyz"
    used = guarded.state / "outage-111111111111.pyz"
    old.touch()
    used.write_text("import sys; sys.stdin.read()")
    user = subprocess.Popen([sys.executable, str(used)], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: os.fsencode(used) in Path(f"/proc/{user.pid}/cmdline").read_bytes(), "the old one to be used")
        answer = run_module("database_outage", database.outage(detach=True), env=database.environment())
    finally:
        user.communicate()
    wait_for(lambda: database.progress()["finished"], "the outage to end")
    assert answer["failed"] is False
    assert guarded.pyz.read_bytes() == content
    assert (old.exists(), used.exists()) == (False, True)


def test_ansible_itself_brings_it(database: Database) -> None:
    """Not the sources beside the module, but those in the zip that Ansible makes of them."""
    arguments = {**database.outage(detach=True), "_": None}
    del arguments["_"]
    argv = [
        Path(sys.executable).parent / "ansible",
        "localhost",
        "-c",
        "local",
        "-m",
        "downtime.runbook.database_outage",
    ]
    done = subprocess.run(
        [*argv, "-e", f"ansible_python_interpreter={sys.executable}", "-a", json.dumps(arguments)],
        cwd=ROOT,
        env={**os.environ, **database.environment(), "ANSIBLE_LOCAL_TEMP": str(database.directory / "ansible"),
             "ANSIBLE_REMOTE_TEMP": str(database.directory / "ansible")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: database.progress()["finished"], "the outage to end")
    assert database.progress()["answer"] == "committed"
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()


def test_worker_killed_in_a_patch(guarded: Guarded, slow: Slow, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    before = database.dump()
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    os.kill(guarded.worker, signal.SIGKILL)
    answer = guarded.answer()
    database.assert_users_are_in(limit=50)
    told = f"E-outage-lost  the outage's worker is gone without an answer, at '{THIRD}': nothing was kept: the rows are"
    assert answer["msg"].startswith(f"{told} as before; access is open.")
    assert (answer["failed"], answer["committed"], answer["locked_out"]) == (True, False, False)
    ended = [step["step"] for step in answer["facts"]["outage_steps"]]
    assert ended == ["close access", "end connections", *FOUR[:2]]
    assert (database.progress()["answer"], database.progress()["finished"]) == ("rolled_back", True)
    assert database.dump() == before
    assert [standby["remark"] for standby in answer["standbys"]] == [None], "its replay was left paused"
    assert not list(guarded.state.glob("spec-*")), "the guardian did not clear up"


def test_worker_that_somebody_stopped_gives_up_soon_after_its_deadline(
    guarded: Guarded, slow: Slow, database: Database
) -> None:
    slow.lock()
    guarded.start("ASKED_AFTER=0.2", deadline_seconds=1)
    wait_for(lambda: database.progress()["steps"], "access to be closed")
    os.kill(guarded.worker, signal.SIGSTOP)
    answer = guarded.answer()
    assert answer["msg"].startswith("E-outage-deadline  the deadline came during ")
    assert answer["verdict"] == "abort"
    database.assert_users_are_in()


def test_worker_that_hangs_is_killed_some_time_after_its_deadline(
    guarded: Guarded, slow: Slow, database: Database
) -> None:
    """Its disk hangs: it would write down its progress, and nobody reads from that pipe."""
    before = database.dump()
    slow.lock()
    guarded.start("ASKED_AFTER=0.1", "PATIENCE=0.5", deadline_seconds=1)
    wait_for(lambda: database.progress()["steps"], "access to be closed")
    os.mkfifo(database.progress_file.with_suffix(".new"))
    answer = guarded.answer()
    assert answer["msg"].startswith("E-outage-lost  the outage's worker is gone without an answer, at '")
    assert (answer["committed"], answer["locked_out"]) == (False, False)
    database.progress_file.with_suffix(".new").unlink()
    database.assert_users_are_in()
    assert database.dump() == before


def test_a_worker_that_crashes_leaves_its_last_words(guarded: Guarded, database: Database) -> None:
    guarded.start(schema_directory=None)  # nobody expects that
    answer = guarded.answer()
    assert answer["msg"].startswith("E-outage-lost  the outage's worker is gone without an answer, before access ")
    assert "Its last words:  TypeError" in answer["msg"]
    database.assert_users_are_in()


@pytest.mark.parametrize("immediate", [False, True], ids=["fast", "immediate"])
def test_the_server_is_restarted_in_the_middle_of_a_patch(
    guarded: Guarded, slow: Slow, database: Database, immediate: bool
) -> None:
    before = database.dump()
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    postgres.stop(database.servers, immediate=immediate)
    postgres.start(database.servers)
    answer = guarded.answer()
    assert answer["failed"]
    assert "Access is open again" in answer["msg"]
    assert (answer["committed"], answer["locked_out"]) == (False, False)
    database.assert_users_are_in()
    assert database.dump() == before


def test_worker_killed_and_the_server_restarted(guarded: Guarded, slow: Slow, database: Database) -> None:
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    postgres.stop(database.servers, immediate=True)
    os.kill(guarded.worker, signal.SIGKILL)
    postgres.start(database.servers)
    answer = guarded.answer()
    assert "nothing was kept: the rows are as before; access is open." in answer["msg"]
    database.assert_users_are_in()


def test_the_server_does_not_come_back(guarded: Guarded, slow: Slow, database: Database) -> None:
    slow.lock()
    guarded.start("ASKING=0.5")
    wait_for(database.waiting, "the third patch to wait for the lock")
    postgres.stop(database.servers, immediate=True)
    try:
        os.kill(guarded.worker, signal.SIGKILL)
        answer = guarded.answer()
    finally:
        postgres.start(database.servers)
    first, second, *others = answer["msg"].splitlines()
    assert first.startswith("E-outage-lost  the outage's worker is gone without an answer, and the database ")
    opens = f"{sys.executable} {guarded.pyz} open {database.name}"
    assert second == f"  USERS ARE LOCKED OUT as soon as it runs again. OPEN IT ON THIS HOST:  {opens}"
    assert any("E-no-connection" in line for line in others)
    assert (answer["committed"], answer["locked_out"]) == (None, True)
    done = guarded.typed("open", database.name)
    assert done.returncode == 0, done.stdout + done.stderr
    database.assert_users_are_in()


def test_a_full_disk_does_not_reach_the_outage(guarded: Guarded, slow: Slow, database: Database) -> None:
    """From the third patch on neither worker nor guardian can write a byte; the guardian has heard all the same."""
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    resource.prlimit(guarded.worker, resource.RLIMIT_FSIZE, (0, 0))
    slow.let_go()
    answer = guarded.answer()
    assert answer["committed"], answer
    assert database.progress()["answer"] is None, "it could write"
    database.assert_users_are_in()
    assert database.rows() == ROWS_AFTER


def test_a_full_disk_before_the_access_is_closed(guarded: Guarded, slow: Slow, database: Database) -> None:
    """How access was cannot be saved: then it stays open."""
    user = database.user()
    database.access_file.with_name(f".{database.access_file.name}.new").mkdir()
    guarded.start()
    answer = guarded.answer()
    assert answer["msg"].startswith("E-host  [Errno 21] Is a directory")
    assert (answer["outage_seconds"], answer["committed"]) == (0, False)
    assert user.execute("SELECT 1").fetchone() == (1,)


def test_the_answer_goes_into_the_space_that_was_kept_for_it(
    guarded: Guarded, slow: Slow, database: Database, run_module: Run
) -> None:
    slow.lock()
    begun = run_module("database_outage", database.outage(detach=True), env=database.environment())
    answer_file = Path(begun["answer_file"])
    assert answer_file.stat().st_blocks * 512 >= 65536, "nothing was kept"
    answer_file.with_name(f".{answer_file.name}.new").mkdir()  # no other file can be written
    slow.let_go()
    wait_for(lambda: answer_file.read_bytes().rstrip(b"\0"), "the answer")
    keys = ("dsn", "patches", "run_id", "state_directory")
    arguments = {key: value for key, value in database.outage().items() if key in keys}
    looks: dict[str, Any] = run_module("database_outage_progress", {**arguments, "answer_file": str(answer_file)})
    assert (looks["finished"], looks["committed"]) == (True, True)


def test_by_hand_a_living_worker_is_asked(guarded: Guarded, slow: Slow, database: Database) -> None:
    before = database.dump()
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    status = guarded.typed("status")
    assert status.returncode == 1
    assert f"{database.name}: {RUN}, no answer yet, {THIRD} for " in status.stdout
    assert f"{database.name}: CLOSED by {RUN}" in status.stdout
    done = guarded.typed("open", database.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].startswith(f"asked pid {guarded.worker}: ")
    assert done.stdout.splitlines()[1] == f"access to {database.name} is open; its outage {RUN} ended: rolled_back"
    assert guarded.answer()["msg"].startswith("E-outage-interrupted  SIGTERM came during ")
    database.assert_users_are_in()
    assert database.dump() == before
    status = guarded.typed("status")
    assert (status.returncode, "CLOSED" in status.stdout) == (0, False)


def test_by_hand_without_anybody(guarded: Guarded, slow: Slow, database: Database) -> None:
    before = database.dump()
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    guarded.processes[0].kill()
    os.kill(guarded.worker, signal.SIGKILL)
    done = guarded.typed("open", database.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was kept: the rows are as before; access is open." in done.stdout
    database.assert_users_are_in()
    assert database.dump() == before


def test_by_hand_only_the_standby_was_left(guarded: Guarded, slow: Slow, database: Database) -> None:
    with slow.analyzing():
        guarded.start()
        wait_for(lambda: (steps := database.progress()["steps"]) and steps[-1]["step"] == "analyze", "it to analyze")
        living = guarded.typed("open", database.name)
        guarded.processes[0].kill()
        os.kill(guarded.worker, signal.SIGKILL)
        status = guarded.typed("status")
        done = guarded.typed("open", database.name)
    assert living.returncode == 0
    assert living.stdout.startswith(f"users are in; pid {guarded.worker}: ")
    assert status.returncode == 1
    assert f"{database.name}: the replay of 1 standbys PAUSED by {RUN}" in status.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the patches are committed; access is open." in done.stdout
    assert guarded.typed("status").returncode == 0
    wait_for(lambda: len(database.rows(host=database.servers.standby)) == len(ROWS_AFTER), "the standby to go on")


def test_by_hand_there_is_nothing_to_open(guarded: Guarded, database: Database) -> None:
    done = guarded.typed("open", database.name)
    assert done.returncode == 0
    assert done.stdout == f"access to {database.name} was not closed by us: there is no {database.access_file}\n"
    assert guarded.typed().returncode == 2
    assert guarded.typed("guard").returncode == 2


def test_a_worker_that_hangs_is_stopped_and_its_guardian_opens_the_access(
    guarded: Guarded, slow: Slow, database: Database, start_module: Callable[..., RunningModule]
) -> None:
    slow.lock()
    guarded.start()
    wait_for(database.waiting, "the third patch to wait for the lock")
    os.mkfifo(database.progress_file.with_suffix(".new"))
    keys = ("dsn", "patches", "state_directory")
    given = {key: value for key, value in database.outage().items() if key in keys}
    stopping = start_module(
        "database_outage_stop", {**given, "stop_run": RUN, "grace_seconds": 0.5}, env=database.environment("a stop")
    )
    wait_for(lambda: guarded.processes[0].poll() is not None, "the guardian to end")
    answer = stopping.result()
    assert [rung["rung"] for rung in answer["ladder"]] == ["ask", "cancel", "terminate", "kill", "guardian"]
    assert (answer["answer"], answer["survivors"], answer["access"]) == ("rolled_back", [], "open")
    database.progress_file.with_suffix(".new").unlink()
    database.assert_users_are_in()


def test_what_was_rewritten_is_analyzed_and_a_restore_point_is_made(run_module: Run, database: Database) -> None:
    database.write(THIRD, "CREATE TABLE Fresh AS SELECT id FROM Person;")
    database.write(FOUR[3], "ALTER TABLE Branch ADD COLUMN token uuid DEFAULT gen_random_uuid();")
    answer = run_module("database_outage", database.outage(), env=database.environment())
    assert answer["committed"], answer
    analyzed = [entry["table"] for entry in answer["analyzed"]]
    assert {"public.branch", "public.fresh"} <= set(analyzed)
    assert "public.person" not in analyzed
    assert all(entry["seconds"] >= 0 for entry in answer["analyzed"])
    assert not [step for step in answer["steps"] if step["step"] == "analyze"], "it counts as outage"
    query = "SELECT relname FROM pg_stat_user_tables WHERE last_analyze IS NOT NULL"
    wait_for(lambda: {("branch",), ("fresh",)} <= set(database.ask(query)), "the statistics to be told")
    log = (database.servers.directory / "primary" / "server.log").read_text()
    assert f'restore point "{answer["restore_point"]["name"]}" created at {answer["restore_point"]["lsn"]}' in log
    assert answer["restore_point"]["name"].startswith(f"rollout {RUN} 20")
