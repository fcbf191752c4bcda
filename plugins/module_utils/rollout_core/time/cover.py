"""Who is there for a window, and what time it is for them (R3): facts in, findings out.

Whoever has an absence is away, also when it is marked as free: many calendars mark whole days so by themselves.
A DBA is there in the window and in its backup, with the pause before each. A LOSA is there then too, and on the working
days of the QA week before a window. All instants are timezone-aware UTC datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Iterator, Mapping, Sequence, Tuple

from .schedule import ERROR, NOTE, Attempt, CalendarEvent, Pair, ScheduleFinding, ScheduleRules, attempts, overlap

DBA, LOSA = "dba", "losa"
DAY = timedelta(days=1)
SATURDAY = 5
_FREE = {True: "", False: " (marked as free)"}
WORKING_DAY = timedelta(hours=8)  # who is away for less on a day of the QA week is there on that day

Span = Tuple[datetime, datetime]


@dataclass(frozen=True)
class Person:
    """A person with `roles` such as dba and losa, and when they are away. `zone`: IANA's name of `timezone`."""

    name: str
    roles: tuple[str, ...]
    zone: str
    timezone: tzinfo
    where: str
    absences: tuple[CalendarEvent, ...] = ()


def roles_nobody_has(people: Sequence[Person], where: str) -> Iterator[ScheduleFinding]:
    """Yield a finding for DBA or LOSA if nobody has that role."""
    for role in (DBA, LOSA):
        if not any(role in person.roles for person in people):
            what = f"nobody under `cover` has the role {role}"
            remedy = "Name who does, with roles, timezone and absences (docs/architecture.md, The schedule)."
            yield ScheduleFinding("cover", ERROR, where, what, remedy)


def named_without_cover(named: Mapping[str, str], people: Sequence[Person], where: str) -> Iterator[ScheduleFinding]:
    """Yield a finding for a DBA or LOSA named in plans whose absences nobody knows; `named` is role → name."""
    for role in (DBA, LOSA):
        if role in named and not any(named[role] == person.name and role in person.roles for person in people):
            what = f"plans name {named[role]} as {role}, who has no such role under `cover`"
            remedy = "Name one who has, or add roles, timezone and absences there."
            yield ScheduleFinding("people", NOTE, where, what, remedy)


def lacking(start: datetime, people: Sequence[Person], rules: ScheduleRules, kind: str = "window") -> list[str]:
    """Return who is missing for an attempt, a sentence each; `kind` is window (with its QA week) or backup."""
    found = []
    span = rules.span(start)
    for role in (DBA, LOSA):
        mates = [person for person in people if role in person.roles]
        if mates and _uncovered(span, mates):
            found.append(f"no {role} is there: {_away(mates, [span])}")
        elif mates and kind == "window" and role == LOSA:
            stretches = [
                stretch
                for stretch in _working_days((start - rules.qa, start))
                for stretch in _uncovered(stretch, mates)
                if stretch[1] - stretch[0] >= WORKING_DAY
            ]
            if stretches:
                days = _days(stretches)
                found.append(f"no {role} is there in the QA week before, {days}: {_away(mates, stretches)}")
    return found


def cover(pairs: Sequence[Pair], people: Sequence[Person], rules: ScheduleRules) -> Iterator[ScheduleFinding]:
    """Yield a finding for each attempt for which a DBA or a LOSA is missing (R3)."""
    for attempt in attempts(pairs):
        for missing in lacking(attempt.start, people, rules, attempt.kind):
            what = f"{attempt.named}: {missing}"
            remedy = "Find somebody (under `cover`), or move it."
            yield ScheduleFinding("cover", ERROR, attempt.where, what, remedy, attempt.pair.window)


def _uncovered(span: Span, mates: Sequence[Person]) -> list[Span]:
    """Return the parts of the span in which all of them are away."""
    left = [span]
    for person in mates:
        away = _merged(person.absences)
        left = [both for one in left for other in away for both in _common(one, other)]
    return left


def _merged(absences: Sequence[CalendarEvent]) -> list[Span]:
    """Return absences with those that touch joined: two holidays in a row leave no gap."""
    merged: list[Span] = []
    for event in sorted(absences, key=lambda one: one.start):
        if merged and event.start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], event.end))
        else:
            merged.append((event.start, event.end))
    return merged


def _common(one: Span, other: Span) -> list[Span]:
    begin, end = max(one[0], other[0]), min(one[1], other[1])
    return [(begin, end)] if begin < end else []


def _working_days(span: Span) -> Iterator[Span]:
    """Yield the parts of the span on Monday to Friday (UTC), consecutive days as one part."""
    begin: datetime | None = None
    cursor = span[0]
    while cursor < span[1]:
        midnight = (cursor + DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        if cursor.weekday() < SATURDAY:
            begin = begin or cursor
        elif begin:
            yield begin, cursor
            begin = None
        cursor = min(midnight, span[1])
    if begin:
        yield begin, span[1]


def _away(mates: Sequence[Person], stretches: Sequence[Span]) -> str:
    """Return who is away, and why: `stub is away (Holiday, stub.ics:12)`, for each of them."""
    said = []
    for person in mates:
        reasons = [event for event in person.absences if any(overlap(event, begin, end) for begin, end in stretches)]
        why = "; ".join(dict.fromkeys(f"{event.title}{_FREE[event.busy]}, {event.where}" for event in reasons))
        said.append(f"{person.name} is away ({why})")
    return ", ".join(said)


def _days(stretches: Sequence[Span]) -> str:
    """Return days as `Mon 7 Dec – Tue 8 Dec, Thu 10 Dec`."""
    said = []
    for begin, end in stretches:
        first, last = (f"{at:%a} {at.day} {at:%b}" for at in (begin, end - timedelta(microseconds=1)))
        said.append(first if first == last else f"{first} – {last}")
    return ", ".join(said)


def clock_changes(pairs: Sequence[Pair], people: Sequence[Person]) -> Iterator[ScheduleFinding]:
    """Yield a finding for each attempt whose local time for somebody differs from the one before, or changes then."""
    for person in people:
        before: Attempt | None = None
        for attempt in attempts(pairs):
            for said in _clock_change(person, before.start if before else attempt.start, attempt.start):
                what = f"{attempt.named}: {said}"
                remedy = f"Tell {person.name}, or move it."
                yield ScheduleFinding("clock", NOTE, attempt.where, what, remedy, attempt.pair.window)
            before = attempt


def _clock_change(person: Person, before: datetime, start: datetime) -> Iterator[str]:
    """Yield what is to be said of the attempt at `start`, if the one before it is at `before`."""
    zone, whose = person.timezone, f"{person.name} ({person.zone})"
    here = start.astimezone(zone)
    shifted = _offset(start, zone) - _offset(before, zone)
    if shifted:
        since = _changes(before, start, zone)[-1].astimezone(zone)
        day = f"{since:%a} {since.day} {since:%b %Y}"
        yield f"{start:%H:%M} UTC is {here:%H:%M} for {whose} since {day}, it was {here - shifted:%H:%M}"
    for change in _changes(start - 2 * DAY, start + 2 * DAY, zone):
        if change.astimezone(zone).date() == here.date():
            side = "before" if change <= start else "after"
            yield f"the clocks of {whose} change that very day, at {change:%H:%M} UTC, {side} it"


def _offset(instant: datetime, zone: tzinfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _changes(begin: datetime, end: datetime, zone: tzinfo) -> list[datetime]:
    """Return the moments in (begin, end] at which the zone's offset changes; clocks change at a whole minute."""
    found = []
    while begin < end:
        step = min(begin + DAY, end)
        if _offset(begin, zone) != _offset(step, zone):
            low, high = begin, step
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if _offset(middle, zone) == _offset(begin, zone) else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        begin = step
    return found
