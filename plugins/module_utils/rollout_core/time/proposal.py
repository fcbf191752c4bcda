"""Fills a year with windows from a rule, and moves those that collide (R1, R4): facts in, a proposal out.

A window that collides is moved so that few people have to be asked again: first only its backup, to a later working
day; then the window, to the same weekday of another week of its month; then to another working day of its month. The
time of day stays. All instants are timezone-aware UTC datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Iterator, Sequence

from .cover import Person, lacking
from .schedule import (
    Attempt,
    CalendarEvent,
    Pair,
    ScheduleRules,
    attempts,
    in_the_way,
    month,
    next_month,
    span_in_words,
    too_close,
)

DAY = timedelta(days=1)
SATURDAY = 5
BACKUP_WITHIN = 14  # days after its usual day: the merge of an aborted attempt does not keep for ever


@dataclass(frozen=True)
class Facts:
    """The facts for a proposal: calendar events, people and rules."""

    events: tuple[CalendarEvent, ...]
    people: tuple[Person, ...]
    rules: ScheduleRules


@dataclass(frozen=True)
class Proposed:
    """A proposed window and its backup. `nominal` is where the rule has them, `why` tells why either is moved.

    `pair` is None if the whole month has no suitable day.
    """

    nominal: Pair
    pair: Pair | None
    why: tuple[str, ...] = ()

    @property
    def moved(self) -> bool:
        """Return True if window or backup is not where the rule has it."""
        return self.pair is None or (self.pair.window, self.pair.backup) != (self.nominal.window, self.nominal.backup)


def propose(nominal: Sequence[Pair], listed: Sequence[Pair], earliest: datetime, facts: Facts) -> list[Proposed]:
    """Return a place for each of the `nominal` pairs, in their order; those that are `listed` stay where they are.

    No window begins before `earliest`.
    """
    taken = attempts(listed)
    found = []
    for number, pair in enumerate(nominal):
        following = [*nominal[number + 1 : number + 2], *listed]
        proposed = _place(pair, taken, [one.window for one in following], earliest, facts)
        if proposed.pair:
            taken = [*taken, *attempts([proposed.pair])]
        found.append(proposed)
    return found


def _place(
    nominal: Pair, taken: Sequence[Attempt], windows: Sequence[datetime], earliest: datetime, facts: Facts
) -> Proposed:
    """Return the proposal for one pair. `windows` are those that may follow: a backup must come before them."""
    after = nominal.backup - nominal.window
    why: tuple[str, ...] = ()
    for start in _windows(nominal.window):
        against = list(_against("window", start, taken, facts)) if start >= earliest else ["it is too soon"]
        limit = min((window for window in windows if window > start), default=None)
        for backup in () if against else _backups(start + after, nominal.backup.weekday(), limit):
            own = [*taken, Attempt("window", start, nominal)]
            of_backup = list(_against("backup", backup, own, facts))
            if not of_backup:
                return Proposed(nominal, Pair(start, backup), why)
            if start == nominal.window and backup == start + after:
                why += tuple(f"backup: {reason}" for reason in of_backup)
        if start == nominal.window and against:
            why = tuple(f"window: {reason}" for reason in against)
    return Proposed(nominal, None, why)


def _against(kind: str, start: datetime, taken: Sequence[Attempt], facts: Facts) -> Iterator[str]:
    """Yield the reasons why there can be no attempt at that moment."""
    for event in in_the_way(start, facts.events, facts.rules):
        if event.busy:
            yield f"{event.named}, {span_in_words(event)}"
    yield from lacking(start, facts.people, facts.rules, kind)
    other = too_close(start, taken, facts.rules)
    if other:
        yield f"too close to {other.named}"


def _windows(start: datetime) -> Iterator[datetime]:
    """Yield the usual moment, then the same weekday, then other working days of the month, the nearest first."""
    days = (next_month(start) - month(start)).days
    others = sorted((n for n in range(1 - start.day, days - start.day + 1)), key=lambda n: (n % 7 != 0, abs(n), -n))
    for offset in others:
        moved = start + offset * DAY
        if offset % 7 == 0 or moved.weekday() < SATURDAY:
            yield moved


def _backups(start: datetime, usual: int, limit: datetime | None) -> Iterator[datetime]:
    """Yield the moment itself, then the same time on later working days, or `usual` weekdays, before `limit`."""
    for offset in range(BACKUP_WITHIN + 1):
        moved = start + offset * DAY
        if limit is not None and moved >= limit:
            return
        if moved.weekday() < SATURDAY or moved.weekday() == usual:
            yield moved
