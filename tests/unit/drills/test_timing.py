"""When the limit was crossed, worked out from plan and journal: the benchmarks measure from there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lab.drills import timing

START = datetime(2026, 12, 9, 8, 0, tzinfo=UTC)
OFFSET = timedelta(days=17)
PLAN = {
    "window": {"start": START.isoformat(), "minutes": 90},
    "policy": {"abort_after_minutes": 30},
    "process": [
        {
            "stage": "first",
            "due": "0m",
            "window": True,
            "expects": {"minutes": 0.1},
            "undo": {"playbook": "u", "minutes": 1},
        },
        {"stage": "second", "due": "0m", "window": True, "expects": {"minutes": 0.1}},
    ],
}


def entry(event: str, minutes: float, **fields: Any) -> dict[str, Any]:
    return {"event": event, "at": (START + timedelta(minutes=minutes)).isoformat(), **fields}


def entries(verdict_at: float, *between: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        entry("clock_set", 29.5, offset_seconds=OFFSET.total_seconds()),
        entry("stage_started", 29.5, stage="first", attempt=1),
        *between,
        entry("verdict", verdict_at, verdict="abort", stage="first"),
    ]


def test_the_limit_is_crossed_when_the_running_stage_has_eaten_the_rest() -> None:
    """Begun half a minute before the limit, it would end 6 s after its begin; those 6 s are over first."""
    found = entries(30.2)
    crossed = timing.limit_crossed(PLAN, found)
    assert crossed is not None
    assert abs(crossed - (START + timedelta(minutes=30.1) - OFFSET)) <= timing.MILLISECOND


def test_what_the_journal_had_not_heard_was_not_known() -> None:
    """Six seconds after the limit a host says that its first step begins only now: the limit is crossed there."""
    steps = [{"step": "one", "seconds": 3}, {"step": "two", "seconds": 60}]
    first = {**PLAN["process"][0], "expects": {"minutes": 0.1, "steps": steps}}
    plan = {**PLAN, "process": [first, PLAN["process"][1]]}
    heard = START + timedelta(minutes=30.1)
    step = entry("step_started", 30.1, stage="first", step="one", since=heard.isoformat())
    assert timing.limit_crossed(plan, entries(30.2, step)) == heard - OFFSET


def test_never_crossed() -> None:
    assert timing.limit_crossed(PLAN, entries(29.9)[:-1]) is None


def test_the_rest_until_the_limit_shrinks_with_the_systems_clock() -> None:
    known = entries(30.2)[:2]
    now = START + timedelta(minutes=29.6) - OFFSET
    assert timing.to_the_limit(PLAN, known, now) == timedelta(minutes=0.5)
    assert timing.to_the_limit(PLAN, known, now + timedelta(minutes=1)) == timedelta(minutes=-0.5)
