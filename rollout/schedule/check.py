"""`schedule check`: reports all problems of the schedule for the year ahead at once (R1, R3, R4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from plugins.module_utils.rollout_core.time import cover, schedule
from plugins.module_utils.rollout_core.time.schedule import CalendarEvent, Pair, ScheduleFinding
from rollout import documents
from rollout import inventory as inventories
from rollout.inventory import Policy
from rollout.outcomes import BadInputError
from rollout.plan import schedule as schedules
from rollout.plan.schedule import Cover, ScheduleFile
from rollout.schedule import calendars

BACKUPS = timedelta(days=60)  # a backup comes after the last window that is looked at


@dataclass(frozen=True)
class ScheduleFacts:
    """What the files say: `pairs` from this month's first window to a year ahead, `listed` in the order of the file.

    `broken`: a finding for every calendar that cannot be read; its events are missing.
    """

    read: ScheduleFile
    path: Path
    rules: schedule.ScheduleRules
    pairs: tuple[Pair, ...]
    listed: tuple[Pair, ...]
    events: tuple[CalendarEvent, ...]
    people: tuple[cover.Person, ...]
    broken: tuple[ScheduleFinding, ...]
    stale: tuple[ScheduleFinding, ...]


def check(inventory: Path, now: datetime) -> tuple[ScheduleFacts, list[ScheduleFinding]]:
    """Read all files and return them with all findings. Raises BadInputError only for schedule.yml and policy.yml."""
    facts = read(inventory, now)
    where = calendars.shown(facts.path)
    ahead = [pair for pair in facts.pairs if pair.window >= now or pair.backup >= now]
    found = [
        *facts.broken,
        *schedule.list_findings(facts.listed, now),
        *schedule.gaps(facts.pairs, now, where),
        *schedule.distances(ahead, facts.rules),
        *schedule.collisions(ahead, facts.events, facts.rules),
        *cover.roles_nobody_has(facts.people, f"{where}:{documents.line_of(facts.path, ('cover',))}"),
        *cover.cover(ahead, facts.people, facts.rules),
        *cover.clock_changes(ahead, facts.people),
        *cover.named_without_cover(facts.read.people, facts.people, _where(facts.path, ("people",))),
        *facts.stale,
    ]
    command = f"{schedule.PROPOSE} -i {calendars.shown(inventory)}"
    return facts, [replace(one, remedy=one.remedy.replace(schedule.PROPOSE, command)) for one in found]


def about(inventory: Path, now: datetime, start: datetime) -> list[str]:
    """Return the findings on one window as lines for whoever confirms it (R3, R4), or a line that there are none."""
    try:
        facts, found = check(inventory, now)
    except (BadInputError, OSError) as error:
        return [f"the schedule was not checked: {str(error).splitlines()[0]}"]
    if start not in {moment for pair in facts.pairs for moment in (pair.window, pair.backup)}:
        return ["this window is not in the schedule: calendars and absences were not looked at"]
    told = [f"{one.kind}: {one.what}" for one in found if one.window == start]
    return told or ["nothing stands against it in the schedule's calendars and absences"]


def read(inventory: Path, now: datetime) -> ScheduleFacts:
    """Return the schedule with its calendars and people, from this month on. Raises BadInputError like `check`."""
    path = inventory / schedules.FILE
    dates, policy = schedules.load(inventory), inventories.policy(inventory)
    listed = tuple(_listed(path, number, one) for number, one in enumerate(dates.schedule.listed))
    begin = schedule.month(now)
    span = (begin - timedelta(days=policy.qa_days_before), now + schedule.YEAR + BACKUPS)
    broken: list[ScheduleFinding] = []
    stale: list[ScheduleFinding] = []
    events: list[CalendarEvent] = []
    for number, calendar in enumerate(dates.calendars):
        where = _where(path, ("calendars", number))
        seen = _events(inventory / calendar.file, calendar.name, span, calendar.timezone, where, broken)
        events += seen or ()
        if seen is not None and not any(event.end > now for event in seen):
            what = f"calendar {calendar.name} ({calendar.file}) has no event in the year ahead"
            stale.append(ScheduleFinding("stale", schedule.NOTE, where, what, "Export it again, if it is an old one."))
    return ScheduleFacts(
        read=dates,
        path=path,
        rules=rules(policy),
        pairs=tuple(_pairs(path, dates, listed, begin, now + schedule.YEAR)),
        listed=listed,
        events=tuple(events),
        people=tuple(
            _person(inventory, number, one, span, _where(path, ("cover", number)), broken)
            for number, one in enumerate(dates.cover)
        ),
        broken=tuple(broken),
        stale=tuple(stale),
    )


def rules(policy: Policy) -> schedule.ScheduleRules:
    """Return the policy's numbers as lengths of time."""
    return schedule.ScheduleRules(
        length=timedelta(minutes=policy.window_minutes),
        pause=timedelta(minutes=policy.pause_minutes_before),
        notice=timedelta(hours=policy.next_attempt_hours_notice),
        replica=timedelta(hours=policy.replica_restore_hours),
        decide=timedelta(hours=policy.decide_hours),
        qa=timedelta(days=policy.qa_days_before),
    )


def lines(facts: ScheduleFacts, found: Sequence[ScheduleFinding]) -> list[str]:
    """Return lines for people: what was looked at, then every finding with what to do."""
    ahead = facts.pairs
    until = f" until {schedule.in_words(ahead[-1].window)}" if ahead else ""
    last = max((pair.window for pair in facts.listed), default=None)
    by = f"{len(facts.listed)} listed, by the rule after {last:%B %Y}" if last else "by the rule"
    calendars_read = f"{len(facts.read.calendars)} calendars, {len(facts.events)} events"
    told = [f"{len(ahead)} windows{until} ({by}) · {calendars_read} · {len(facts.people)} people"]
    for one in found:
        mark = "✗" if one.severity == schedule.ERROR else "·"
        told += [f"{mark} {one.where}: {one.what}", f"    {one.remedy}"]
    errors = sum(one.severity == schedule.ERROR for one in found)
    notes = len(found) - errors
    verdict = f"{errors} to be mended" if errors else "Nothing stands against it"
    return [*told, f"{verdict}; {notes} to be known." if notes else f"{verdict}."]


def as_json(facts: ScheduleFacts, found: Sequence[ScheduleFinding]) -> dict[str, Any]:
    """Return what was read and found as `schedule check --json` prints it (docs/operations.md)."""
    return {
        "sound": sound(found),
        "windows": [
            {"window": pair.window.isoformat(), "backup": pair.backup.isoformat(), "listed": pair.listed}
            for pair in facts.pairs
        ],
        "findings": [{**vars(one), "window": one.window.isoformat() if one.window else None} for one in found],
    }


def sound(found: Sequence[ScheduleFinding]) -> bool:
    """Return True if nothing has to be mended; findings that are only for information do not count."""
    return all(one.severity != schedule.ERROR for one in found)


def _where(path: Path, location: documents.Location) -> str:
    return f"{calendars.shown(path)}:{documents.line_of(path, location)}"


def _listed(path: Path, number: int, one: schedules.Listed) -> Pair:
    window, backup = (_where(path, ("schedule", "listed", number, key)) for key in ("window", "backup"))
    return Pair(one.window, one.backup, window, backup, listed=True)


def _pairs(path: Path, dates: ScheduleFile, listed: Sequence[Pair], begin: datetime, end: datetime) -> list[Pair]:
    """Return the listed windows with their backups, and the rule's for months that the list does not reach."""
    own = {pair.window: pair for pair in listed}
    ruled, after = (_where(path, ("schedule", key)) for key in ("windows", "backup_after"))
    moment = begin - schedule.SECOND
    both = schedules.until(dates.schedule, moment, end)
    return [own.get(window) or Pair(window, backup, ruled, after) for window, backup in both]


def _person(
    inventory: Path, number: int, one: Cover, span: tuple[datetime, datetime], where: str, broken: list[ScheduleFinding]
) -> cover.Person:
    path = inventory / schedules.FILE
    away: list[CalendarEvent] = []
    if one.absences.calendar:
        location = _where(path, ("cover", number, "absences", "calendar"))
        file = inventory / one.absences.calendar
        away += _events(file, f"absences of {one.name}", span, one.timezone, location, broken) or ()
    for row, first, after in schedules.days_away(one):
        at = _where(path, ("cover", number, "absences", "dates", row))
        away.append(CalendarEvent(f"absences of {one.name}", "absent", first, after, at))
    return cover.Person(one.name, tuple(one.roles), one.timezone, ZoneInfo(one.timezone), where, tuple(away))


def _events(
    path: Path,
    name: str,
    span: tuple[datetime, datetime],
    zone: str | None,
    where: str,
    broken: list[ScheduleFinding],
) -> list[CalendarEvent] | None:
    """Return the calendar's events; None, and one more finding in `broken`, if it cannot be read."""
    try:
        return calendars.read(path, name, span, zone)
    except BadInputError as error:
        first, *more = str(error).replace(str(path), calendars.shown(path)).splitlines()
        what = "; ".join([first.partition("  ")[2].rstrip("."), *(line.strip() for line in more[:-1])])
        remedy = more[-1].strip() if more else "Put it there, or take it out of the schedule."
        broken.append(ScheduleFinding("calendar", schedule.ERROR, where, what, remedy))
        return None
