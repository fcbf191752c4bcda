"""Works out the next attempt after an abort (R21): which windows there are, which will do, and why no earlier one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal.events import NextAttemptPlanned
from plugins.module_utils.rollout_core.time.next_attempt import Candidate, Considered, Fix, Rules, consider
from rollout import ROOT
from rollout.after_abort import next_plan
from rollout.after_abort.aborted import Aborted, WriteDraft, typed
from rollout.after_abort.problem import Told
from rollout.inventory import Policy
from rollout.outcomes import BadInputError
from rollout.plan import model as plans
from rollout.plan import schedule as schedules
from rollout.plan.model import Plan
from rollout.plan.schedule import Schedule

ANNOUNCEMENT = "announcement.txt"
YEAR = timedelta(days=365)  # windows are planned up to a year ahead (R1)


def work_out(
    aborted: Aborted, told: Told, write_draft: WriteDraft, waived_by: str | None = None, window: datetime | None = None
) -> list[str]:
    """Choose the next attempt, write its plan and the draft of its announcement; return lines for the screen.

    `told` must have nothing missing. An earlier plan for the next attempt is set aside unless it has begun. Raises
    BadInputError if the given `window` will not do, the earlier plan has begun, or no plan can be made; LockedError
    while a runbook is at work on it.
    """
    plan, now = aborted.plan, aborted.clock.now()
    schedule = schedules.load(ROOT / plan.inventory).schedule

    def look(waived_by: str | None) -> list[Considered]:
        offered = [Candidate(window, "chosen by hand")] if window else candidates(plan, schedule, now)
        return consider(
            offered, now, aborted.replica_back, Fix(told.mended_at, bool(told.new_pin), waived_by), rules(plan.policy)
        )

    considered = look(waived_by)
    chosen = next((seen for seen in considered if seen.accepted), None)
    lines = [*_in_words(considered), *_if_waived(look("somebody"), considered)]
    if chosen is None and window:
        raise BadInputError("\n".join(["E-window-refused  The next attempt cannot be then.", *lines]))
    if chosen is None:
        _put_on_record(aborted, considered, waived_by, None)
        return [*lines, "  No window of the year ahead will do.  Choose one:  ./runbook.py next --window ISO"]
    backup = backup_for(chosen.start, candidates(plan, schedule, now), plan.policy, schedule)
    with next_plan.earlier_set_aside(aborted) as replaced:
        path = next_plan.write(aborted, chosen.start, backup, same_pin=not told.new_pin)
    _put_on_record(aborted, considered, waived_by, path)
    lines += [f"Set aside, not begun: {typed(replaced)}"] if replaced else []
    return [*lines, *_made(aborted, path, told, write_draft), "  Then:  ./runbook.py run"]


def rules(policy: Policy) -> Rules:
    """Return the distances of R8 and R21, from the policy."""
    return Rules(
        notice=timedelta(hours=policy.next_attempt_hours_notice),
        merge_before=timedelta(hours=policy.merge_hours_before),
        merge_lead=timedelta(hours=policy.merge_lead_hours),
    )


def candidates(plan: Plan, schedule: Schedule, now: datetime) -> Iterator[Candidate]:
    """Yield the plan's backup window, then the schedule's later windows and their backups in order, for a year."""
    yield Candidate(plan.backup_window.start, "backup window")
    found = []
    for start, backup in schedules.until(schedule, plan.window.start, now + YEAR):
        found += [Candidate(start, "window of the schedule"), Candidate(backup, f"backup of {start:%B %Y}")]
    for candidate in sorted(found, key=lambda one: one.start):  # a listed backup may be after the next window
        if candidate.start != plan.backup_window.start and candidate.start <= now + YEAR:
            yield candidate


def backup_for(start: datetime, offered: Iterator[Candidate], policy: Policy, schedule: Schedule) -> datetime:
    """Return a window's backup: the listed one, the first candidate far enough after it (R1, R21), or the rule's."""
    ends = start + timedelta(minutes=policy.window_minutes)
    distance = timedelta(hours=max(policy.next_attempt_hours_notice, policy.replica_restore_hours))
    listed = {one.window: one.backup for one in schedule.listed}
    if start in listed:
        return listed[start]
    return next((one.start for one in offered if one.start >= ends + distance), schedule.backup_of(start))


def _put_on_record(
    aborted: Aborted, considered: Sequence[Considered], waived_by: str | None, path: Path | None
) -> None:
    rows = [{**asdict(seen), "start": seen.start.isoformat()} for seen in considered]
    start = considered[-1].start if path else None
    plan = os.path.relpath(path, aborted.directory) if path else None
    aborted.journal.write(NextAttemptPlanned(start, plan, rows, waived_by))


def _made(aborted: Aborted, path: Path, told: Told, write_draft: WriteDraft) -> Iterator[str]:
    """Write the draft of the announcement; yield lines that say what was made for the next attempt."""
    made, draft = plans.load(path), aborted.directory / ANNOUNCEMENT
    write_draft(aborted, made, draft)
    stands = ", ".join(event.stage for event in next_plan.carried(aborted.plan, aborted.journal.entries))
    takes_over = "a new revision, all of it anew" if told.new_pin else f"same revision; done: {stands or 'nothing'}"
    yield f"Plan: {typed(path)} ({takes_over}; backup {_day(made.backup_window.start)})"
    announced_by = made.window.start - rules(aborted.plan.policy).notice
    yield f"To be announced by {_day(announced_by)} (R21), a draft: {typed(draft)}"


def _in_words(considered: Sequence[Considered]) -> list[str]:
    """Return the windows that were considered, one a line, each with why it will do or not."""
    names = [f"{_day(seen.start)} ({seen.kind})" for seen in considered]
    width = max(map(len, names), default=0)
    heads = ["Next attempt  ", *[" " * 14] * len(names)]
    return [f"{head}{name:<{width}}  {seen.why}" for head, name, seen in zip(heads, names, considered, strict=False)]


def _if_waived(with_waiver: Sequence[Considered], considered: Sequence[Considered]) -> list[str]:
    """Return a line that says which earlier window a waiver of R8's distance would allow, if one would."""
    if len(with_waiver) == len(considered) or not with_waiver[-1].accepted:
        return []
    gained = _day(with_waiver[-1].start)
    return [f"  If R8's distance were waived, {gained} would do:  ./runbook.py next --waive-r8 NAME"]


def _day(instant: datetime) -> str:
    return f"{instant:%a} {instant.day} {instant:%b %Y %H:%M} UTC"
