"""When things happened in a drill, by the system's clock: from plan and journal, with the runbook's own core. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.journal import entries as typed
from plugins.module_utils.rollout_core.journal import stages
from plugins.module_utils.rollout_core.time import lateness, timeline

MILLISECOND = timedelta(milliseconds=1)
GRAVE = (lateness.Verdict.ABORT.value, lateness.Verdict.MUST_FINISH.value)
Plan = Mapping[str, Any]
Entries = Sequence[Mapping[str, Any]]


def offset(entries: Entries) -> timedelta:
    """How far the rehearsal's clock is ahead of the system's after those entries."""
    seconds = [entry["offset_seconds"] for entry in entries if entry["event"] == "clock_set"]
    return timedelta(seconds=seconds[-1] if seconds else 0)


def system_time(entries: Entries, number: int) -> datetime:
    """When the entry with that index was written; `at` of an entry is the rehearsal's time."""
    return timeline.parse_instant(entries[number]["at"]) - offset(entries[: number + 1])


def off_track(plan: Plan, entries: Entries, now: datetime) -> timedelta:
    """Projected end minus planned end at `now`, the rehearsal's time, for somebody who knew just these entries."""
    found = typed.entries(entries)
    layout, records = timeline.planned(plan, stages.estimates(found)), stages.actual(found)
    return lateness.outlook(layout, records, timeline.window(plan)[1], now).off_track


def to_the_limit(plan: Plan, entries: Entries, system_now: datetime) -> timedelta:
    """How much less off-track than the limit the rollout is; negative when it is too late (R19)."""
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    return limit - off_track(plan, entries, system_now + offset(entries))


def judged(entries: Entries) -> int | None:
    """The index of the first verdict that ends a rollout or says that it must be finished."""
    return next((n for n, e in enumerate(entries) if e["event"] == "verdict" and e["verdict"] in GRAVE), None)


def limit_crossed(plan: Plan, entries: Entries) -> datetime | None:
    """When the rollout became later than the limit, by the system's clock, to the millisecond; None if it never did.

    What the journal had not heard at an instant was not known then.
    """
    number = judged(entries)
    if number is None:
        return None
    after = system_time(entries, number)
    for known in range(number, 0, -1):
        before = system_time(entries, known - 1)
        if to_the_limit(plan, entries[:known], before) >= timedelta():
            return _bisected(plan, entries[:known], before, after)
        after = before
    return None


def _bisected(plan: Plan, entries: Entries, before: datetime, after: datetime) -> datetime:
    while after - before > MILLISECOND:
        middle = before + (after - before) / 2
        if to_the_limit(plan, entries, middle) < timedelta():
            after = middle
        else:
            before = middle
    return after
