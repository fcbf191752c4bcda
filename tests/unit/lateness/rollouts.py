"""Rollouts in shorthand: a small process, and journals as lines such as `08:00:02 outage step patch-2208-56-0.sql`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.journal.stages import actual, estimates
from plugins.module_utils.rollout_core.time import lateness, timeline
from tests.unit.journals import typed

HERE = Path(__file__).parent
LIMIT = timedelta(minutes=30)
DAY = datetime(2026, 12, 9, tzinfo=UTC)
OUTCOMES = {
    "ok": {"event": "stage_finished", "outcome": "ok", "facts": {}},
    "failed": {"event": "stage_finished", "outcome": "failed", "facts": {}},
    "committed": {"event": "stage_finished", "outcome": "failed", "facts": {"irreversible": True}},
    "started": {"event": "stage_started", "attempt": 1},
    "undone": {"event": "undo_finished", "outcome": "ok"},
    "undo-failed": {"event": "undo_finished", "outcome": "failed"},
    "too-late": {"event": "stop_finished", "answer": "too_late"},
    "rolled-back": {"event": "stop_finished", "answer": "rolled_back"},
    "carried": {"event": "stage_carried", "rollout": "2026-11", "facts": {}},
    "asks": {"event": "gate_asked", "gate": "go", "question": "GO?", "evidence": []},
}
PLAN: dict[str, Any] = {
    "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
    "process": [
        {
            "stage": "pause",
            "due": "-30m",
            "window": True,
            "expects": {"minutes": 5},
            "undo": {"playbook": "r", "minutes": 5},
        },
        {
            "stage": "outage",
            "due": "0m",
            "window": True,
            "abortable": "until_commit",
            "expects": {"minutes": 12},
            "undo": {"playbook": "u", "minutes": 2},
        },
        {"stage": "resume", "due": "0m", "window": True, "expects": {"minutes": 3}},
    ],
}
STEPS = [
    {"step": "patch-2208-56-0.sql", "seconds": 120},
    {"step": "patch-2208-57-0.sql", "seconds": 60},
    {"step": "pad", "seconds": 600},
]
PAUSE, OUTAGE, RESUME = PLAN["process"]
WITH_STEPS = {**PLAN, "process": [PAUSE, {**OUTAGE, "expects": {"minutes": 12, "steps": STEPS}}, RESUME]}


def table(name: str) -> list[Any]:
    """The rows of a YAML table, each a test case."""
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


def at(clock: str) -> datetime:
    """HH:MM:SS on the day of the rollout."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def entry(line: str) -> dict[str, Any]:
    """One line of shorthand as a journal's entry. A step may say since when: `08:05:00 outage step NAME 08:00:02`."""
    clock, stage, what, *more = line.split()
    heard = at(clock).isoformat()
    if what != "step":
        return {"at": heard, "stage": stage, **OUTCOMES[what]}
    since = at(more[1]).isoformat() if more[1:] else heard
    return {"at": heard, "stage": stage, "event": "step_started", "step": more[0].replace("_", " "), "since": since}


def entries(lines: list[str]) -> list[dict[str, Any]]:
    """A whole journal."""
    return [entry(line) for line in lines]


def outlook(entries: Any, now: datetime, plan: Any = PLAN) -> lateness.Outlook:
    """How the rollout stands."""
    return lateness.outlook(
        timeline.planned(plan, estimates(typed(entries))), actual(typed(entries)), timeline.window(plan)[1], now
    )


def duration(length: timedelta | None) -> str | None:
    """-1:02 for the tables."""
    if length is None:
        return None
    minutes, seconds = divmod(int(abs(length).total_seconds()), 60)
    return f"{'-' if length < timedelta() else ''}{minutes}:{seconds:02}"
