"""Events of a calendar as series that the library works out rightly: nothing of them is left out without a word (R4).

`recurring_ical_events` follows RFC 5545 where calendars out there do not. Of two events with one UID it takes one; of a
change to an occurrence that is also left out (EXDATE), nothing; an UNTIL of another kind than DTSTART it takes for UTC.
So each event becomes a series of its own, and UNTIL and ends are put right before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar import Calendar, Component

LINE = "X-RUNBOOK-LINE"  # put into every event, so that an occurrence tells where it is from
ZONE = "X-WR-TIMEZONE"  # of all that names none itself; not in RFC 5545, but Google and Apple write it
RECURRING = ("RRULE", "RDATE", "EXDATE", "EXRULE")
DAY = timedelta(days=1)
LAST = time(23, 59, 59)
Series = tuple[Calendar, frozenset[str]]


def of(calendar: Component, zone: tzinfo) -> Iterator[Series]:
    """Every event of `calendar` as a calendar of its own, and the lines of those events whose occurrences count in it.

    With a series come the changes to it, so that nothing is where it was before; where it is now, each change says in
    a calendar of its own. `zone` is that of dates, and of times without one.
    """
    events = [_sound(event, zone) for event in calendar.walk("VEVENT")]
    changes = [event for event in events if "RECURRENCE-ID" in event]
    owners = _owners([event for event in events if "RECURRENCE-ID" not in event])
    for event in events:
        uid = str(event.get("UID", ""))
        if "RECURRENCE-ID" not in event:
            own = [change for change in changes if _uid(change) == uid and owners.get(uid) is event]
            following = [change for change in own if _is_for_all_that_follow(change)]
            yield _calendar(calendar, [event, *own]), frozenset(str(one[LINE]) for one in [event, *following])
        elif not _superseded(event, changes) and not (uid in owners and _is_for_all_that_follow(event)):
            yield _calendar(calendar, [_alone(event)]), frozenset([str(event[LINE])])


def rules(event: Any) -> list[Any]:
    """The event's recurrence rules; most have one or none."""
    found = event.get("RRULE") or []
    return found if isinstance(found, list) else [found]


def _uid(event: Any) -> str:
    return str(event.get("UID", ""))


def _owners(events: Sequence[Any]) -> dict[str, Any]:
    """By UID the event that changes belong to: the first that recurs, else the first. An empty UID is none."""
    owners: dict[str, Any] = {}
    for event in sorted(events, key=lambda event: not any(name in event for name in RECURRING)):
        if _uid(event):
            owners.setdefault(_uid(event), event)
    return owners


def _is_for_all_that_follow(change: Any) -> bool:
    return str(change["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE"


def _superseded(change: Any, changes: Sequence[Any]) -> bool:
    """Whether there is a newer word (SEQUENCE) on the same occurrence."""
    own = change["RECURRENCE-ID"].dt
    others = (one for one in changes if _uid(one) == _uid(change) and one["RECURRENCE-ID"].dt == own)
    return any(int(one.get("SEQUENCE", 0)) > int(change.get("SEQUENCE", 0)) for one in others)


def _alone(change: Any) -> Any:
    event = change.copy()
    for name in ("RECURRENCE-ID", *RECURRING):
        event.pop(name, None)
    return event


def _calendar(source: Component, events: Sequence[Any]) -> Calendar:
    series = Calendar()
    if ZONE in source:
        series[ZONE] = source[ZONE]
    for event in events:
        series.add_component(event)
    return series


def _sound(event: Any, zone: tzinfo) -> Any:
    """The event, with an end after its day and a last occurrence that is the last one."""
    start = event["DTSTART"].dt
    if not isinstance(start, datetime):
        given = event["DTEND"].dt - start if "DTEND" in event else event["DURATION"].dt if "DURATION" in event else DAY
        if given < DAY:  # it ends on the day on which it begins, which calendars show as that day
            event.pop("DURATION", None)
            event.pop("DTEND", None)
            event.add("DTEND", start + DAY)
    for rule in rules(event):
        if rule.get("UNTIL"):
            rule["UNTIL"] = [_until(rule["UNTIL"][0], start, zone)]
    return event


def _until(until: date, start: date, zone: tzinfo) -> date:
    """UNTIL in the kind of DTSTART, and not before it; where it may be meant in two ways, the later one."""
    if not isinstance(start, datetime):
        return max(_day(until), _day(until, zone), start)
    if not isinstance(until, datetime):
        until = datetime.combine(until, LAST)
    if start.tzinfo is None:
        local = until.astimezone(zone).replace(tzinfo=None) if until.tzinfo else until
        return max(local, until.replace(tzinfo=None), start)
    instant = until if until.tzinfo else max(until.replace(tzinfo=start.tzinfo), until.replace(tzinfo=UTC))
    return max(instant, start).astimezone(UTC)


def _day(moment: date, zone: tzinfo | None = None) -> date:
    if not isinstance(moment, datetime):
        return moment
    return (moment.astimezone(zone) if zone and moment.tzinfo else moment).date()
