"""Module processes_stop: everything that carries a run's mark is ended, nothing else is touched (R19)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.modules.database_servers import wait_for

Run = Callable[..., dict[str, Any]]
Start = Callable[..., psutil.Process]
RUN = f"2026-12/{os.getpid()}-switch-1"  # nobody else's on this machine
STUBBORN = "trap '' INT TERM; sleep 600 & setsid sleep 600 & echo ready; wait; wait"
TIDY = """
import signal, sys, time
try:
    print("ready", flush=True)
    time.sleep(600)
finally:
    open(sys.argv[1], "w").close()
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(*argv, run=RUN)`: a process that has said `ready`; it and its children are gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*argv: str, run: str | None = RUN) -> psutil.Process:
        environment = {**os.environ, **({"ROLLOUT_RUN": run} if run else {})}
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return psutil.Process(process.pid)

    yield begin
    for process in started:
        family = [psutil.Process(process.pid)] if process.poll() is None else []
        for member in [*(child for parent in family for child in parent.children(recursive=True)), *family]:
            member.kill()
        process.communicate()


@pytest.fixture
def stop(run_module: Run) -> Run:
    """`stop(check=False, run=RUN, mark=…)`: what the module answers."""

    def call(check: bool = False, *, mark: str = f"stop of {RUN}", **more: Any) -> dict[str, Any]:
        arguments = {"stop_run": RUN, "grace_seconds": 1, **more}
        return run_module("processes_stop", arguments, check, env={"ROLLOUT_RUN": mark})

    return call


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_tree_that_ignores_every_request_is_killed(start: Start, stop: Run) -> None:
    shell = start("sh", "-c", STUBBORN)
    wait_for(lambda: len({os.getsid(child.pid) for child in shell.children()}) == 2, "one with a session of its own")
    tree = [shell, *shell.children()]
    answer = stop()
    assert not [process for process in tree if lives(process)]
    assert answer["survivors"] == []
    assert answer["changed"]
    assert {text.split(":")[0] for text in answer["killed"]} == {f"pid {process.pid}" for process in tree}
    assert answer["ended"] == []
    assert f"pid {shell.pid}: sh -c {STUBBORN}"[:100] in "\n".join(answer["asked"])


def test_a_descendant_that_has_lost_the_mark_is_ended_too(start: Start, stop: Run) -> None:
    shell = start("sh", "-c", "env -i sleep 600 & echo ready; wait")
    wait_for(lambda: [child for child in shell.children() if not child.environ()], "the child without it")
    (lost,) = (child for child in shell.children() if not child.environ())
    answer = stop()
    assert not lives(lost)
    assert (answer["survivors"], answer["relatives"]) == ([], [])
    assert f"pid {lost.pid}: sleep 600" in answer["asked"]


def test_what_can_clear_up_after_itself_does(start: Start, stop: Run, tmp_path: Path) -> None:
    process = start(sys.executable, "-c", TIDY, str(tmp_path / "tidy"))
    answer = stop(grace_seconds=20)
    assert not lives(process)
    assert (len(answer["ended"]), answer["killed"], answer["survivors"]) == (1, [], [])
    assert (tmp_path / "tidy").exists()


def test_one_that_somebody_stopped_is_woken_to_end(start: Start, stop: Run, tmp_path: Path) -> None:
    process = start(sys.executable, "-c", TIDY, str(tmp_path / "tidy"))
    process.send_signal(signal.SIGSTOP)
    answer = stop(grace_seconds=20)
    assert (len(answer["ended"]), answer["survivors"]) == (1, [])
    assert (tmp_path / "tidy").exists()


def test_without_the_mark_nothing_is_touched(start: Start, stop: Run) -> None:
    others = [start("sh", "-c", "echo ready; exec sleep 600", run=run) for run in (None, f"{RUN}0", RUN[:-1], "")]
    answer = stop()
    assert (answer["changed"], answer["asked"], answer["survivors"]) == (False, [], [])
    assert all(lives(process) for process in others)


def test_it_never_ends_itself(stop: Run) -> None:
    answer = stop(mark=RUN)
    assert not answer["failed"]
    assert answer["asked"] == []


def test_check_mode_ends_nothing(start: Start, stop: Run) -> None:
    process = start("sh", "-c", "echo ready; exec sleep 600")
    answer = stop(True)
    assert (answer["changed"], answer["asked"]) == (False, [])
    assert answer["survivors"] == [f"pid {process.pid}: sleep 600"]
    assert lives(process)


@pytest.mark.parametrize("run", ["", "by hand"])
def test_what_one_person_plays_by_hand_is_not_anothers(start: Start, stop: Run, run: str) -> None:
    """Both are named, and neither is stopped, until somebody says which."""
    mine, theirs = f"by hand {os.getpid()}a tom 2026-12", f"by hand {os.getpid()}b ann 2026-12"
    sleeps = ("sh", "-c", "echo ready; sleep 600")
    one, other = start(*sleeps, run=mine), start(*sleeps, run=theirs)
    answer = stop(stop_run=run)
    assert answer["failed"]
    assert answer["msg"].startswith("E-which-run  ")
    for mark, process in ((mine, one), (theirs, other)):
        assert f"{mark}  (" in answer["msg"]
        assert f"pid {process.pid}: sh -c " in answer["msg"]
        assert lives(process)
    assert stop(stop_run=mine)["survivors"] == []
    assert not lives(one)
    assert lives(other)
