"""Module abort_if_late on a plan and a journal: the checkpoint of R19, and the deadline that it hands on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout.journal.file import Journal
from tests.unit.journals import event

WINDOW = datetime(2026, 12, 9, 8, tzinfo=UTC)
PLAN = {
    "window": {"start": WINDOW.isoformat(), "minutes": 90},
    "process": [
        {"stage": "pause", "due": "-30m", "window": True, "expects": {"minutes": 5}, "undo": {"minutes": 5}},
        {"stage": "outage", "due": "0m", "window": True, "abortable": "until_commit", "expects": {"minutes": 12}},
        {"stage": "resume", "due": "0m", "window": True, "expects": {"minutes": 3}},
    ],
}
LIMIT = timedelta(minutes=30)
PLANNED_END = WINDOW + timedelta(minutes=15)


@pytest.fixture
def judge(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`judge(minutes, *events, check=False)`: the answer that many minutes after the window's start; it says when."""

    def call(minutes: float, *events: tuple[str, str], check: bool = False) -> dict[str, Any]:
        path = tmp_path / "journal.jsonl"
        journal = Journal(path, lambda: WINDOW)
        for stage, name in events:
            if name == "rollout_opened":
                journal.write(event(name, plan="", window=WINDOW.isoformat()))
                continue
            more = {"outcome": "ok", "facts": {}} if name == "stage_finished" else {"attempt": 1}
            journal.write(event(name, stage=stage, **more))
        offset = WINDOW + timedelta(minutes=minutes) - datetime.now(UTC)
        arguments = {"plan": PLAN, "journal": str(path), "limit_minutes": 30, "clock_offset": offset.total_seconds()}
        answer = run_module("abort_if_late", arguments, check)
        return {**answer, "latest": datetime.now(UTC) + offset}

    return call


def within(answer: dict[str, Any], minutes: float, still_to_come: timedelta) -> bool:
    """Whether seconds_left is that of some moment between the call and its answer."""
    left, at_most = timedelta(seconds=answer["seconds_left"]), PLANNED_END + LIMIT - still_to_come - WINDOW
    return at_most - (answer["latest"] - WINDOW) <= left <= at_most - timedelta(minutes=minutes)


PAUSED = [("pause", "stage_started"), ("pause", "stage_finished")]


@pytest.mark.parametrize("check", [False, True])
def test_the_outage_is_told_how_long_it_may_take(judge: Callable[..., dict[str, Any]], check: bool) -> None:
    answer = judge(1, *PAUSED, ("outage", "stage_started"), check=check)
    assert (answer["failed"], answer["changed"], answer["verdict"]) == (False, False, "on_track")
    assert answer["stage"] == "outage"
    assert within(answer, 1, timedelta(minutes=3)), answer


@pytest.mark.parametrize("check", [False, True])
def test_what_is_too_late_is_aborted(judge: Callable[..., dict[str, Any]], check: bool) -> None:
    answer = judge(43, *PAUSED, ("outage", "stage_started"), check=check)
    assert answer["failed"]
    assert answer["verdict"] == "abort"
    assert answer["seconds_left"] < 0
    assert answer["msg"].startswith("E-late-abort  outage has run 43:")


def test_past_the_commit_it_warns(judge: Callable[..., dict[str, Any]]) -> None:
    answer = judge(50, *PAUSED, ("outage", "stage_started"), ("outage", "stage_finished"), ("resume", "stage_started"))
    assert (answer["failed"], answer["verdict"]) == (False, "must_finish")
    assert any("the commit is made (outage), so it must be finished" in warning for warning in answer["warnings"])


OPENED = ("", "rollout_opened")


def test_before_the_window_nothing_is_late(judge: Callable[..., dict[str, Any]]) -> None:
    answer = judge(-60, OPENED)
    assert (answer["failed"], answer["verdict"], answer["stage"]) == (False, "on_track", "pause")


def test_when_all_is_done_no_time_is_left_to_count(judge: Callable[..., dict[str, Any]]) -> None:
    done = [(stage, "stage_finished") for stage in ("pause", "outage", "resume")]
    answer = judge(5, *done)
    assert (answer["failed"], answer["seconds_left"], answer["stage"]) == (False, None, None)


def of_another(**changed: object) -> Callable[[Path], object]:
    """A journal that has a stage of another rollout, or another window."""
    told = {"plan": "", "window": WINDOW.isoformat(), "run": "2026-12/0001-pause-1", **changed}

    def write(path: Path) -> None:
        journal = Journal(path, lambda: WINDOW)
        journal.write(event("rollout_opened", plan=told["plan"], window=told["window"]))
        journal.write(event("stage_started", stage="pause", attempt=1, run=told["run"]))

    return write


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(
    ("made", "why"),
    [
        pytest.param(lambda _: None, "No such file or directory", id="not there"),
        pytest.param(lambda path: path.mkdir(), "Is a directory", id="a directory"),
        pytest.param(lambda path: path.touch(), "nothing is written there", id="empty"),
        pytest.param(lambda path: path.write_text('{"event":"rollout_op'), "nothing is written there", id="torn"),
        pytest.param(lambda path: path.write_text("{}\n"), "its line 1 does not follow", id="damaged"),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe\n"), "can't decode byte", id="no text"),
        pytest.param(
            of_another(run="2026-11/0001-pause-1"), "the rollout 2026-11, and this is 2026-12", id="another's"
        ),
        pytest.param(of_another(window="2026-11-11T08:00:00+00:00"), "window of 2026-11-11 08:00", id="another window"),
    ],
)
def test_what_cannot_be_judged_is_not_on_track(
    run_module: Callable[..., dict[str, Any]],
    tmp_path: Path,
    made: Callable[[Path], object],
    why: str,
    check: bool,
) -> None:
    path = tmp_path / "journal.jsonl"
    made(path)
    plan = {"id": "2026-12", **PLAN}
    offset = (WINDOW - datetime.now(UTC)).total_seconds()
    arguments = {"plan": plan, "journal": str(path), "limit_minutes": 30, "clock_offset": offset}
    answer = run_module("abort_if_late", arguments, check)
    assert (answer["failed"], "verdict" in answer) == (True, False)
    assert answer["msg"].startswith("E-lateness-unknown  ")
    assert why in answer["msg"]
    assert "-e rollout_journal=var/rollouts/2026-12/journal.jsonl" in answer["msg"]


def test_a_journal_of_its_own_is_judged_whatever_was_carried_over_or_moved(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal.jsonl", lambda: WINDOW - timedelta(minutes=30))
    journal.write(event("rollout_opened", plan="", window="2026-12-02T08:00:00+00:00"))
    journal.write(event("stage_carried", stage="merge", rollout="2026-11", facts={}))
    moved = {"from": "2026-12-02T08:00:00+00:00", "to": WINDOW.isoformat()}
    journal.write(event("window_moved", **moved))
    journal.write(event("stage_started", stage="pause", attempt=1, run="2026-12/0004-pause-1"))
    offset = (WINDOW - timedelta(minutes=30) - datetime.now(UTC)).total_seconds()
    arguments = {"plan": {"id": "2026-12", **PLAN}, "journal": str(journal.path), "limit_minutes": 30}
    answer = run_module("abort_if_late", {**arguments, "clock_offset": offset})
    assert (answer["failed"], answer["verdict"], answer["stage"]) == (False, "on_track", "pause")
