"""The windows of the schedule, and what speaks against them (R1, R3, R4): facts in, findings out.

A window comes with its backup: a pair of attempts. Listed windows count first; for months that the list does not reach
the rule counts. All instants are timezone-aware UTC datetimes, all durations are timedeltas, intervals end just before
their end, and a distance that is kept exactly is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Iterator, Sequence

YEAR = timedelta(days=365)  # windows are planned up to a year ahead (R1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

ERROR = "error"  # counts: the schedule cannot stay as it is
NOTE = "note"  # to be known; nothing has to be done
PROPOSE = "./runbook.py schedule propose"


@dataclass(frozen=True)
class CalendarEvent:
    """One occurrence in a calendar, or one absence. Not `busy`: it is marked as free; only an absence counts then."""

    calendar: str
    title: str
    start: datetime
    end: datetime
    where: str
    busy: bool = True

    @property
    def named(self) -> str:
        """Return title and calendar, for people."""
        return f"{self.title} ({self.calendar})"


@dataclass(frozen=True)
class Pair:
    """A window and its backup. `where`, `backup_where`: file and line; `listed`: from the list, not the rule."""

    window: datetime
    backup: datetime
    where: str = ""
    backup_where: str = ""
    listed: bool = False


@dataclass(frozen=True)
class Attempt:
    """One of the two moments of a pair: `kind` is `window` or `backup`."""

    kind: str
    start: datetime
    pair: Pair

    @property
    def where(self) -> str:
        """Return file and line."""
        return self.pair.where if self.kind == "window" else self.pair.backup_where

    @property
    def named(self) -> str:
        """Return the attempt as `window Wed 9 Dec 2026 08:00 UTC`."""
        return f"{self.kind} {in_words(self.start)}"


@dataclass(frozen=True)
class ScheduleRules:
    """The policy's distances, as lengths of time.

    A window's `length` (R2), the `pause` before it (R5), the `notice` of a new attempt and the `replica`'s restore
    (R21), the time to `decide` on it, and the `qa` days before a window.
    """

    length: timedelta
    pause: timedelta
    notice: timedelta
    replica: timedelta
    decide: timedelta
    qa: timedelta

    @property
    def apart(self) -> timedelta:
        """Return the least time from the end of an attempt to the next one (R21)."""
        return max(self.notice, self.replica) + self.decide

    def span(self, start: datetime) -> tuple[datetime, datetime]:
        """Return from when to when services may be away for an attempt at `start` (R2, R5)."""
        return start - self.pause, start + self.length


@dataclass(frozen=True)
class ScheduleFinding:
    """One finding: `where` is `file:line` or a file, `what` is wrong, `remedy` is what to do."""

    kind: str
    severity: str
    where: str
    what: str
    remedy: str
    window: datetime | None = None


def in_words(instant: datetime) -> str:
    """Return an instant as `Wed 9 Dec 2026 08:00 UTC`."""
    return f"{instant:%a} {instant.day} {instant:%b %Y %H:%M} UTC"


def length_in_words(length: timedelta) -> str:
    """Return a length as `27 h 30 min` or `2 d`: every unit that is not zero."""
    minutes = int(length.total_seconds() // 60)
    counts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
    if length < timedelta(hours=72):  # people say 48 h
        counts = ((0, "d"), (minutes // 60, "h"), (minutes % 60, "min"))
    return " ".join(f"{count} {unit}" for count, unit in counts if count) or "0 min"


def month(instant: datetime) -> datetime:
    """Return the first moment of the instant's month."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(instant: datetime) -> datetime:
    """Return the first moment of the next month."""
    return month(month(instant) + 31 * DAY)


def next_window(
    listed: Sequence[datetime], after: datetime, by_rule: Callable[[datetime], datetime | None]
) -> datetime | None:
    """Return the first window later than `after`, or None.

    From the month of the first listed window to that of the last, only the list counts, whatever the rule says.
    `by_rule` tells the rule's first window later than a moment.
    """
    if not listed:
        return by_rule(after)
    if after < month(min(listed)):
        ruled = by_rule(after)
        if ruled is not None and ruled < month(min(listed)):
            return ruled
    return min((one for one in listed if one > after), default=None) or by_rule(
        max(after, next_month(max(listed)) - SECOND)
    )


def attempts(pairs: Sequence[Pair]) -> list[Attempt]:
    """Return all windows and backups in the order of time."""
    both = [Attempt("window", pair.window, pair) for pair in pairs]
    both += [Attempt("backup", pair.backup, pair) for pair in pairs]
    return sorted(both, key=lambda attempt: attempt.start)


def list_findings(listed: Sequence[Pair], now: datetime) -> Iterator[ScheduleFinding]:
    """Yield what is odd about the list itself; `listed` is in the order of the file (R1)."""
    for before, pair in zip(listed, listed[1:]):
        if pair.window <= before.window:
            same = "is listed twice" if pair.window == before.window else f"stands after {in_words(before.window)}"
            what = f"window {in_words(pair.window)} {same}"
            yield ScheduleFinding("order", ERROR, pair.where, what, "Put the list in the order of time.", pair.window)
    for pair in listed:
        if pair.window > now + YEAR:
            what = f"window {in_words(pair.window)} is more than a year ahead"
            yield ScheduleFinding(
                "far_ahead", ERROR, pair.where, what, "Mend the date; R1 plans one year.", pair.window
            )
    past = [pair for pair in listed if pair.backup < now and pair.window < now]
    if past:
        last = max(past, key=lambda pair: pair.window)
        many = f"{len(past)} listed windows are" if len(past) > 1 else "one listed window is"
        what = f"{many} past, the last {in_words(last.window)}"
        yield ScheduleFinding("past", NOTE, past[0].where, what, "They may be taken off the list.", last.window)


def gaps(pairs: Sequence[Pair], now: datetime, where: str) -> Iterator[ScheduleFinding]:
    """Yield a finding for every month of the year ahead without a window (R1). `pairs` begin with this month's."""
    taken = {month(pair.window) for pair in pairs}
    start = month(now)
    while next_month(start) <= now + YEAR:
        if start not in taken:
            what = f"{start:%B %Y} has no window"
            yield ScheduleFinding("gap", ERROR, where, what, f"List one, or:  {PROPOSE}", start)
        start = next_month(start)


def distances(pairs: Sequence[Pair], rules: ScheduleRules) -> Iterator[ScheduleFinding]:
    """Yield a finding for a backup before its window, and for an attempt too soon after another one's end (R21)."""
    for pair in pairs:
        if pair.backup <= pair.window:
            what = f"backup {in_words(pair.backup)} is not after its window, {in_words(pair.window)}"
            yield ScheduleFinding("distance", ERROR, pair.backup_where, what, "Mend the date.", pair.window)
    ordered = attempts(pairs)
    for before, after in zip(ordered, ordered[1:]):
        if before.pair is after.pair and before.kind == "backup":
            continue  # said above
        left = after.start - (before.start + rules.length)
        if left < rules.apart:
            have = f"begins {length_in_words(left)} after" if left >= timedelta() else "begins before the end of"
            what = f"{after.named} {have} {before.named}: it takes {_apart(rules)}"
            yield ScheduleFinding("distance", ERROR, after.where, what, "Put them further apart.", after.pair.window)


def too_close(start: datetime, others: Sequence[Attempt], rules: ScheduleRules) -> Attempt | None:
    """Return the first of `others` that is too close to an attempt at `start`, or None."""
    return next((other for other in others if abs(other.start - start) < rules.length + rules.apart), None)


def _apart(rules: ScheduleRules) -> str:
    longest = "the notice" if rules.notice >= rules.replica else "the replica's restore"
    decide = f" and {length_in_words(rules.decide)} to decide" if rules.decide else ""
    return f"{length_in_words(max(rules.notice, rules.replica))} for {longest}{decide} (R21)"


def in_the_way(start: datetime, events: Sequence[CalendarEvent], rules: ScheduleRules) -> list[CalendarEvent]:
    """Return the events that overlap with an attempt and its pause, those marked as free included (R4, R5)."""
    begin, end = rules.span(start)
    return [event for event in events if overlap(event, begin, end)]


def overlap(event: CalendarEvent, begin: datetime, end: datetime) -> bool:
    """Return True if part of the event lies between `begin` and `end`; an event without a length is a moment."""
    return begin <= event.start < end if event.start == event.end else event.start < end and event.end > begin


def collisions(
    pairs: Sequence[Pair], events: Sequence[CalendarEvent], rules: ScheduleRules
) -> Iterator[ScheduleFinding]:
    """Yield a finding for each attempt that collides with a calendar's event (R4)."""
    for attempt in attempts(pairs):
        for event in in_the_way(attempt.start, events, rules):
            when = "" if overlap(event, attempt.start, rules.span(attempt.start)[1]) else "the pause before "
            what = f"{when}{attempt.named} collides with {event.named}, {event.where}: {span_in_words(event)}"
            if event.busy:
                remedy = "Move it." if attempt.pair.listed else f"List another time:  {PROPOSE}"
                yield ScheduleFinding("collision", ERROR, attempt.where, what, remedy, attempt.pair.window)
            else:
                what = what.replace("collides with", "falls into", 1)
                remedy = "It is marked as free (TRANSP:TRANSPARENT) and does not count."
                yield ScheduleFinding("free", NOTE, attempt.where, what, remedy, attempt.pair.window)


def span_in_words(event: CalendarEvent) -> str:
    """Return an event's time as `9 Dec 07:00–09:00 UTC`, `9 Dec 22:00 – 10 Dec 01:00 UTC`, `9 Dec` or `9–11 Dec`."""
    first, last = event.start, event.end
    if event.start < event.end and _midnight(first) and _midnight(last):
        last -= DAY
        if first == last:
            return _day(first)
        return f"{first.day}–{_day(last)}" if month(first) == month(last) else f"{_day(first)} – {_day(last)}"
    if first == last:
        return f"{_day(first)} {first:%H:%M} UTC"
    if first.date() == last.date():
        return f"{_day(first)} {first:%H:%M}–{last:%H:%M} UTC"
    return f"{_day(first)} {first:%H:%M} – {_day(last)} {last:%H:%M} UTC"


def _midnight(instant: datetime) -> bool:
    return (instant.hour, instant.minute, instant.second) == (0, 0, 0)


def _day(instant: datetime) -> str:
    return f"{instant.day} {instant:%b}"
