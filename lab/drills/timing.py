"""Tells when things happened in a drill, by the system's clock: from plan and journal, with the runbook's core."""

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
    """Return how far the rehearsal's clock is ahead of the system's after those entries."""
    seconds = [entry["offset_seconds"] for entry in entries if entry["event"] == "clock_set"]
    return timedelta(seconds=seconds[-1] if seconds else 0)


def system_time(entries: Entries, number: int) -> datetime:
    """Return when the entry with that index was written, by the system's clock; its `at` is the rehearsal's time."""
    return timeline.parse_instant(entries[number]["at"]) - offset(entries[: number + 1])


def off_track(plan: Plan, entries: Entries, now: datetime) -> timedelta:
    """Return projected end minus planned end at `now`, the rehearsal's time, as far as these entries tell."""
    found = typed.entries(entries)
    layout, records = timeline.planned(plan, stages.estimates(found)), stages.actual(found)
    return lateness.outlook(layout, records, timeline.window(plan)[1], now).off_track


def to_the_limit(plan: Plan, entries: Entries, system_now: datetime) -> timedelta:
    """Return by how much the rollout is less off-track than the limit; negative if it is too late (R19)."""
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    return limit - off_track(plan, entries, system_now + offset(entries))


def judged(entries: Entries) -> int | None:
    """Return the index of the first verdict `abort` or `must_finish`; None without one."""
    return next((n for n, e in enumerate(entries) if e["event"] == "verdict" and e["verdict"] in GRAVE), None)


def limit_crossed(plan: Plan, entries: Entries) -> datetime | None:
    """Return when lateness crossed the limit, by the system's clock, to the millisecond; None if it never did.

    Only what the journal had at an instant counts for that instant.
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
