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

    def call(minutes: float, *events: tuple[str, str], check: bool = False, text: str | None = None) -> dict[str, Any]:
        path = tmp_path / "journal.jsonl"
        journal = Journal(path, lambda: WINDOW)
        for stage, name in events:
            more = {"outcome": "ok", "facts": {}} if name == "stage_finished" else {"attempt": 1}
            journal.write(event(name, stage=stage, **more))
        if text is not None:
            path.write_text(text)
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


def test_without_a_journal_nothing_has_happened(judge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    answer = judge(-60)
    assert not (tmp_path / "journal.jsonl").exists()
    assert (answer["verdict"], answer["stage"]) == ("on_track", "pause")


def test_when_all_is_done_no_time_is_left_to_count(judge: Callable[..., dict[str, Any]]) -> None:
    done = [(stage, "stage_finished") for stage in ("pause", "outage", "resume")]
    answer = judge(5, *done)
    assert (answer["failed"], answer["seconds_left"], answer["stage"]) == (False, None, None)


def test_a_damaged_journal_is_not_guessed_about(judge: Callable[..., dict[str, Any]]) -> None:
    answer = judge(1, text="{}\n")
    assert answer["msg"].startswith("E-lateness-unknown")
    assert "line 1" in answer["msg"]
