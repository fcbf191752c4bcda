"""Reads other people's iCalendar files (RFC 5545); a recurring event becomes its occurrences (R4).

What cannot be understood is an error that names file and line: an event left out silently collides with nothing.

What cannot be understood is an error that names file and line: an event left out silently collides with nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import recurring_ical_events  # type: ignore[import-untyped]
from icalendar import Calendar, Component
from icalendar.parser import Contentline
from icalendar.timezone import tzp

from plugins.module_utils.rollout_core.time import schedule
from rollout import documents
from rollout.outcomes import BadInputError

LINE = "X-RUNBOOK-LINE"  # put into every event, so that an occurrence tells where it is from
ZONE = "X-WR-TIMEZONE"  # of all that names none itself; not in RFC 5545, but Google and Apple write it
DAY = timedelta(days=1)
ONCE = ("DTSTART", "DTEND", "DURATION")
Problem = tuple[int, str]  # line, what is wrong there
Content = tuple[int, str, dict[str, Any], str]  # line, name, parameters, value


def read(
    path: Path, name: str, span: tuple[datetime, datetime], zone: str | None = None
) -> list[schedule.CalendarEvent]:
    """The occurrences in calendar `name` that overlap with `span`, in the order of time; cancelled ones are left out.

    Dates, and times without a zone, are those of `zone`, else of the file's X-WR-TIMEZONE, else UTC. Raises
    BadInputError with a line for every problem: the file is not there, is no calendar, names an unknown zone.
    """
    unfolded = list(_unfolded(documents.read_text(path)))
    contents, problems = _contents(unfolded)
    problems = problems or [*_nesting(contents), *_zones(contents)]
    if problems:
        raise _refused(path, problems)
    text = "\r\n".join(content for _, content in unfolded) + "\r\n"
    calendars = _parsed(path, text, contents)
    events = [event for calendar in calendars for event in calendar.walk("VEVENT")]
    starts = [line for line, key, _, value in contents if key == "BEGIN" and value.upper() == "VEVENT"]
    for event, line in zip(events, starts, strict=True):
        event[LINE] = str(line)
        problems += _wrong_with(event, line, contents)
    if problems:
        raise _refused(path, problems)
    found: list[schedule.CalendarEvent] = []
    for calendar in calendars:
        if zone:
            calendar[ZONE] = zone
        for series in _series(calendar):
            try:
                found += _occurrences(series, name, path, span)
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                line = int(str(series.walk("VEVENT")[0][LINE]))
                problems.append((line, f"the event cannot be worked out: {error}"))
    if problems:
        raise _refused(path, problems)
    return sorted((one for one in found if schedule.overlap(one, *span)), key=lambda one: one.start)


def _parsed(path: Path, text: str, contents: Sequence[Content]) -> list[Calendar]:
    """The calendars; a wrong event has it in its `errors`, a wrong time zone of the file is refused here."""
    try:
        found: list[Calendar] = Calendar.from_ical(text, multiple=True)
    except ValueError as error:
        zones = (line for line, key, _, value in contents if (key, value.upper()) == ("BEGIN", "VTIMEZONE"))
        raise _refused(path, [(next(zones, 1), f"it cannot be worked out: {error}")]) from error
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


def _zones(contents: Sequence[Content]) -> Iterator[Problem]:
    """Yield a problem for each unknown time zone, except those that the file defines itself (VTIMEZONE)."""
    own = {value for _, key, _, value in contents if key == "TZID"}
    for line, key, parameters, value in contents:
        named = value if key == ZONE else parameters.get("TZID")
        if named and named not in own and tzp.timezone(named.strip('"').lstrip("/")) is None:
            yield line, f"no such time zone: {named}; expected an IANA name such as Europe/London"


def _wrong_with(event: Any, line: int, contents: Sequence[Content]) -> Iterator[Problem]:
    """What the parser could not make sense of; it would leave that out."""
    own = [content for content in contents if content[0] >= line]
    for key, what in event.errors:
        yield next((number for number, name, _, _ in own if name == key), line), f"{key}: {what}"
    twice = [key for key in ONCE if isinstance(event.get(key), list)]
    if twice:
        yield line, f"expected {twice[0]} only once"
    if event.errors or twice:
        return
    rules = event.get("RRULE") or []
    often = {str(name) for rule in (rules if isinstance(rules, list) else [rules]) for name in rule.get("FREQ", ())}
    if often & {"SECONDLY", "MINUTELY"}:
        yield line, "RRULE: an event of every minute or second is not worked out"
    elif "DTSTART" not in event:
        yield line, "the event has no DTSTART"
    elif "DTEND" in event:
        start, end = event["DTSTART"].dt, event["DTEND"].dt
        if isinstance(start, datetime) != isinstance(end, datetime):
            yield line, "DTSTART and DTEND: expected two dates or two times"
        elif (getattr(start, "tzinfo", None) is None) != (getattr(end, "tzinfo", None) is None):
            yield line, "DTSTART and DTEND: expected a time zone for both or for none"
        elif end < start:
            yield line, "DTEND is before DTSTART"


def _series(calendar: Component) -> Iterator[Calendar]:
    """A calendar for each recurring event, with what was moved or cancelled of it: one that is broken can be named."""
    together: dict[str, Calendar] = {}
    for number, event in enumerate(calendar.walk("VEVENT")):
        series = together.setdefault(str(event.get("UID", number)), Calendar())
        if ZONE in calendar:
            series[ZONE] = calendar[ZONE]
        series.add_component(event)
    yield from together.values()


def _occurrences(
    series: Calendar, name: str, path: Path, span: tuple[datetime, datetime]
) -> Iterator[schedule.CalendarEvent]:
    days = ZoneInfo(str(series.get(ZONE, "UTC")))
    asked = recurring_ical_events.of(series)
    for one in asked.between(span[0] - 2 * DAY, span[1] + 2 * DAY):  # a date begins up to 14 h before it does in UTC
        status = str(one.get("STATUS", "")).upper()
        if status == "CANCELLED":
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


def _instant(value: date, days: ZoneInfo) -> datetime:
    """A date is its first moment; what has no zone is in that of `days`."""
    when = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)  # noqa: DTZ001
    return (when if when.tzinfo else when.replace(tzinfo=days)).astimezone(UTC)
