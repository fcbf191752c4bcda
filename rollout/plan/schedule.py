"""An inventory's schedule.yml: windows, the calendars they must not collide with, and people (R1, R3, R4)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from plugins.module_utils.rollout_core.time import schedule, timeline
from rollout import documents
from rollout.fields import Duration, Instant, Line, Model, RelativePath, Slug
from rollout.outcomes import BadInputError
from rollout.plan import recurrence

FILE = "schedule.yml"


def _rule(text: str) -> str:
    """Raise ValueError for what is no rule, or none that ever comes to a window."""
    rule = text.strip().removeprefix("RRULE:")
    if "FREQ=HOURLY" in rule.upper():
        raise ValueError("expected windows on days: FREQ=MONTHLY, say")
    if wrong := recurrence.problem(rule):
        raise ValueError(f"the rule cannot be worked out: {wrong}")
    try:
        with recurrence.patience():
            first = rrulestr(rule, dtstart=datetime(2000, 1, 1, tzinfo=UTC)).after(datetime(2000, 1, 1, tzinfo=UTC))
    except (ArithmeticError, LookupError, TypeError) as error:
        raise ValueError(f"the rule cannot be worked out: {error}") from error
    if first is None:
        raise ValueError("the rule has no window at all")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("no such time zone; expected an IANA name such as Europe/London") from None
    return name


def _whole_minute(instant: datetime) -> datetime:
    if instant.second or instant.microsecond:
        raise ValueError("expected a whole minute: announcements say no seconds")
    return instant


Minute = Annotated[Instant, AfterValidator(_whole_minute)]
Zone = Annotated[str, AfterValidator(_zone)]


class Listed(Model):
    """A window that people have agreed on, and its backup (R1, R3)."""

    window: Minute
    backup: Minute


class Schedule(Model):
    """The windows: those listed, and for months that the list does not reach, those of an RFC 5545 rule in UTC (R1).

    `backup_after`: how long after a window by the rule its backup is.
    """

    windows: Annotated[str, AfterValidator(_rule)]
    backup_after: Duration
    listed: Annotated[list[Listed], BeforeValidator(lambda found: found or [])] = Field(default_factory=list)

    def following(self, after: datetime) -> datetime | None:
        """Return the first window later than `after`, or None."""

        def by_rule(moment: datetime) -> datetime | None:
            found: datetime | None = rrulestr(self.windows, dtstart=moment.replace(microsecond=0)).after(moment)
            return found

        return schedule.next_window([one.window for one in self.listed], after, by_rule)

    def backup_of(self, window: datetime) -> datetime:
        """Return the backup of a window: the listed one, else the rule's."""
        own = (one.backup for one in self.listed if one.window == window)
        return next(own, window + timeline.parse_duration(self.backup_after))

    def windows_after(self, after: datetime) -> Iterator[datetime]:
        """Yield the windows later than `after`, in the order of time."""
        while (found := self.following(after)) is not None:
            yield found
            after = found


class CalendarFile(Model):
    """An iCalendar file, relative to the inventory. `timezone` is for events that name none, such as whole days."""

    name: Line
    file: RelativePath
    timezone: Zone | None = None


class Days(Model):
    """The time from the first moment of a day to the last one of another, in the time zone of whoever is away."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> Days:
        if self.last < self.first:
            raise ValueError("`to` is before `from`")
        return self


class Absences(Model):
    """The times when somebody is away: all events of a calendar, and days."""

    calendar: RelativePath | None = None
    dates: list[Days] = Field(default_factory=list)


class Cover(Model):
    """A person who can do the work of some roles, such as dba or losa, except when away."""

    name: Line
    roles: list[Slug] = Field(min_length=1)
    timezone: Zone
    absences: Absences = Absences()


class ScheduleFile(Model):
    """An inventory's schedule.yml. `people` are named in plans; `cover` is who covers which roles, and when (R3)."""

    schedule: Schedule
    calendars: list[CalendarFile] = Field(default_factory=list)
    people: dict[Slug, Line]
    cover: list[Cover] = Field(default_factory=list)


def load(inventory: Path) -> ScheduleFile:
    """Return an inventory's schedule.yml. Raises BadInputError with a line for each problem."""
    return documents.load(inventory / FILE, ScheduleFile)


def next_window(read: Schedule, after: datetime) -> datetime:
    """Return the first window of the schedule later than `after`. Raises BadInputError if there is none."""
    found = read.following(after)
    if found is None:
        raise BadInputError(f"E-no-window  The schedule's rule ({read.windows}) has no window after {after:%F %H:%M}.")
    return found


def until(read: Schedule, after: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the windows later than `after` and not later than `end`, each with its backup."""
    for window in read.windows_after(after):
        if window > end:
            return
        yield window, read.backup_of(window)


def days_away(read: Cover) -> Iterator[tuple[int, datetime, datetime]]:
    """Yield the absences given as days: place in the list, first moment, moment after the last."""
    zone = ZoneInfo(read.timezone)
    for number, days in enumerate(read.absences.dates):
        first, after = (_midnight(day, zone) for day in (days.first, days.last + timedelta(days=1)))
        yield number, first, after


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
