"""Reads other people's iCalendar files (RFC 5545); a recurring event becomes its occurrences (R4).

What cannot be understood is an error that names file and line: an event left out silently collides with nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar
from icalendar.parser import Contentline
from icalendar.timezone import tzp

from plugins.module_utils.rollout_core.time import schedule
from rollout import documents
from rollout.outcomes import BadInputError
from rollout.plan import recurrence
from rollout.schedule import series as own_series
from rollout.schedule.series import LINE, ZONE

DAY = timedelta(days=1)
RULES = ("RRULE", "EXRULE")
ONCE = ("DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE", "UID", "STATUS", "TRANSP")
Problem = tuple[int, str]  # line, what is wrong there
Content = tuple[int, str, dict[str, Any], str]  # line, name, parameters, value


def read(
    path: Path, name: str, span: tuple[datetime, datetime], zone: str | None = None
) -> list[schedule.CalendarEvent]:
    """Return the events of calendar `name` that overlap with `span`, in the order of time; cancelled ones are left out.

    Dates, and times without a zone, are in `zone`, else in the file's X-WR-TIMEZONE, else in UTC. Raises BadInputError
    with a line for every problem: the file is not there, is no calendar, names an unknown zone.
    """
    unfolded = list(_unfolded(documents.read_text(path)))
    contents, problems = _contents(unfolded)
    problems = problems or [*_nesting(contents), *_zones(contents), *_rules(contents)]
    if problems:
        raise _refused(path, problems)
    text = "\r\n".join(content for _, content in unfolded) + "\r\n"
    try:
        with recurrence.patience():
            found = _worked_out(path, text, contents, _Asked(name, span, zone))
    except (recurrence.EndlessError, RecursionError) as error:
        raise _refused(path, [(1, f"{error}: are there rules in it that never come true?")]) from error
    return sorted((one for one in found if schedule.overlap(one, *span)), key=lambda one: one.start)


class _Asked(NamedTuple):
    """What is asked of a calendar: its name, from when to when, and the zone of what names none."""

    name: str
    span: tuple[datetime, datetime]
    zone: str | None


def _worked_out(path: Path, text: str, contents: Sequence[Content], asked: _Asked) -> list[schedule.CalendarEvent]:
    """The occurrences around the span. Raises BadInputError."""
    calendars = _parsed(path, text, contents)
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    starts = [line for line, key, _, value in contents if key == "BEGIN" and value.upper() == "VEVENT"]
    problems: list[Problem] = []
    for event, line in zip(events, starts, strict=True):
        event[LINE] = str(line)
        problems += _wrong_with(event, line, contents, asked.span[1])
    if problems:
        raise _refused(path, problems)
    found: list[schedule.CalendarEvent] = []
    for calendar in calendars:
        if asked.zone:
            calendar[ZONE] = asked.zone
        days = _zone(str(calendar.get(ZONE, "UTC"))) or UTC
        for one in own_series.of(calendar, days):
            line = int(str(one[0].walk("VEVENT")[0][LINE]))
            try:
                found += _occurrences(one, days, asked.name, path, asked.span)
            except recurrence.EndlessError as error:
                raise _refused(path, [(line, str(error))]) from error
            except Exception as error:
                problems.append((line, f"the event cannot be worked out: {error or type(error).__name__}"))
    if problems:
        raise _refused(path, problems)
    return found


def _parsed(path: Path, text: str, contents: Sequence[Content]) -> list[Calendar]:
    """Return the calendars. A wrong event lists its `errors`; a wrong time zone of the file raises BadInputError."""
    try:
        found: list[Calendar] = Calendar.from_ical(text, multiple=True)
    except recurrence.EndlessError:
        raise
    except Exception as error:
        zones = (line for line, key, _, value in contents if (key, value.upper()) == ("BEGIN", "VTIMEZONE"))
        raise _refused(path, [(next(zones, 1), f"it cannot be worked out: {error or type(error).__name__}")]) from error
    return found


def shown(path: Path) -> str:
    """Return a path as people type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _refused(path: Path, problems: Sequence[Problem]) -> BadInputError:
    lines = [f"  {shown(path)}:{line}: {what}" for line, what in sorted(problems)]
    first = f"E-bad-calendar  {shown(path)} cannot be read as a calendar (RFC 5545); nothing was touched."
    return BadInputError("\n".join([first, *lines, "  Export it again, or mend the line."]))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Yield the content lines, each with the number of the line on which it begins."""
    number, unfolded = 0, ""
    for line, part in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if part[:1] in {" ", "\t"} and number:
            unfolded += part[1:].rstrip("\r")
        elif part.strip():
            if number:
                yield number, unfolded
            number, unfolded = line, part.rstrip("\r")
    if number:
        yield number, unfolded


def _contents(unfolded: Sequence[tuple[int, str]]) -> tuple[list[Content], list[Problem]]:
    contents: list[Content] = []
    problems: list[Problem] = []
    for line, text in unfolded:
        try:
            key, parameters, value = Contentline(text).parts()  # type: ignore[no-untyped-call]
            contents.append((line, key.upper(), dict(parameters), value))
        except ValueError:
            problems.append((line, f"expected NAME:VALUE (found {text[:60]!r})"))
    return contents, problems


def _nesting(contents: Sequence[Content]) -> Iterator[Problem]:
    """Yield a problem for each BEGIN without its END; the parser would silently drop what is cut off."""
    open_: list[tuple[int, str]] = []
    line = 1
    for line, key, _, value in contents:
        name = value.upper().strip()
        if not open_ and (key, name) != ("BEGIN", "VCALENDAR"):
            yield line, "expected BEGIN:VCALENDAR before it"
            return
        if key == "BEGIN":
            open_.append((line, name))
        elif key == "END":
            begun, wanted = open_.pop()
            if wanted != name:
                yield line, f"expected END:{wanted} (it began on line {begun}), found END:{name}"
                return
    for begun, name in open_:
        yield begun, f"BEGIN:{name} has no END:{name}: is the file cut off?"
    if not contents:
        yield line, "the file is empty; expected BEGIN:VCALENDAR"


def _zone(name: str) -> tzinfo | None:
    """Return a time zone by its IANA name; None if there is none, also for a part of the world such as Europe."""
    try:
        return tzp.timezone(name)
    except (OSError, ValueError):
        return None


def _zones(contents: Sequence[Content]) -> Iterator[Problem]:
    """Yield a problem for each unknown time zone, except those that the file defines itself (VTIMEZONE)."""
    own = {value for _, key, _, value in contents if key == "TZID"}
    for line, key, parameters, value in contents:
        named = value if key == ZONE else parameters.get("TZID")
        if named and named not in own and _zone(named.strip('"').lstrip("/")) is None:
            yield line, f"no such time zone: {named}; expected an IANA name such as Europe/London"


def _rules(contents: Sequence[Content]) -> Iterator[Problem]:
    """Rules that nothing can be worked out from."""
    for line, key, _, value in contents:
        if key in RULES and (wrong := recurrence.problem(value)):
            yield line, f"{key}: {wrong}"


def _wrong_with(event: Any, line: int, contents: Sequence[Content], until: datetime) -> Iterator[Problem]:
    """What cannot be understood, or not be worked out `until` then."""
    yield from [*_wrong_event(event, line, contents)] or _wrong_rules(event, line, contents, until)


def _wrong_event(event: Any, line: int, contents: Sequence[Content]) -> Iterator[Problem]:
    """What the parser could not make sense of; it would leave that out."""
    own = [content for content in contents if content[0] >= line]
    for key, what in event.errors:
        yield next((number for number, name, _, _ in own if name == key), line), f"{key}: {what}"
    twice = [key for key in ONCE if isinstance(event.get(key), list)]
    if twice:
        yield line, f"expected {twice[0]} only once"
    if event.errors or twice:
        return
    if "DTSTART" not in event:
        yield line, "the event has no DTSTART"
    elif what := _wrong_end(event):
        yield line, what


def _wrong_end(event: Any) -> str | None:
    start = event["DTSTART"].dt
    length = event["DURATION"].dt if "DURATION" in event else None
    if length is not None and length < timedelta():
        return "DURATION is less than nothing"
    if "DTEND" not in event:
        return None
    end = event["DTEND"].dt
    if isinstance(start, datetime) != isinstance(end, datetime):
        return "DTSTART and DTEND: expected two dates or two times"
    if (getattr(start, "tzinfo", None) is None) != (getattr(end, "tzinfo", None) is None):
        return "DTSTART and DTEND: expected a time zone for both or for none"
    if length not in (None, end - start):
        return "DTEND and DURATION: expected only one of them"
    return "DTEND is before DTSTART" if end < start else None


def _wrong_rules(event: Any, line: int, contents: Sequence[Content], until: datetime) -> Iterator[Problem]:
    """Rules that cannot be worked out until then: the library would not come back."""
    begun = _instant(event["DTSTART"].dt, UTC)
    written = [content for content in contents if content[0] >= line and content[1] == "RRULE"]
    for rule, (number, *_) in zip(own_series.rules(event), written, strict=False):
        text = rule.to_ical().decode()
        if wrong := recurrence.problem(text, max(until - begun, timedelta())):
            yield number, f"RRULE: {wrong}"


def _occurrences(
    series: own_series.Series, days: tzinfo, name: str, path: Path, span: tuple[datetime, datetime]
) -> Iterator[schedule.CalendarEvent]:
    calendar, lines = series
    asked = recurring_ical_events.of(calendar)
    for one in asked.between(span[0] - 2 * DAY, span[1] + 2 * DAY):  # a date begins up to 14 h before it does in UTC
        status = str(one.get("STATUS", "")).upper()
        if status == "CANCELLED" or str(one[LINE]) not in lines:
            continue
        title = " ".join(str(one.get("SUMMARY", "")).split()) or "an event without a title"
        yield schedule.CalendarEvent(
            calendar=name,
            title=f"{title} (tentative)" if status == "TENTATIVE" else title,
            start=_instant(one["DTSTART"].dt, days),
            end=_instant(one["DTEND"].dt, days),
            where=f"{shown(path)}:{one[LINE]}",
            busy=str(one.get("TRANSP", "")).upper() != "TRANSPARENT",
        )


def _instant(value: date, days: tzinfo) -> datetime:
    """Return a date (its first moment) or a time as an instant; without a zone of its own it is in that of `days`."""
    when = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return (when if when.tzinfo else when.replace(tzinfo=days)).astimezone(UTC)
