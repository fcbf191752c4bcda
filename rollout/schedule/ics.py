"""`schedule ics`: writes the windows as an iCalendar file (RFC 5545) that Thunderbird and Google take.

The file itself remembers what calendars were told: an unchanged event stays as it is, byte for byte, a changed one gets
a higher SEQUENCE, and one that is gone is cancelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from icalendar import Alarm, Calendar, Event

from plugins.module_utils.rollout_core.time import schedule
from plugins.module_utils.rollout_core.time.schedule import Attempt
from rollout import documents
from rollout import inventory as inventories
from rollout.inventory import Policy
from rollout.outcomes import BadInputError
from rollout.schedule import check as checking

PRODID = "-//downtime-runbook//schedule//EN"
STAMPS = ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")  # when it was told, and how often it changed: not what is told


def calendar(inventory: Path, now: datetime, earlier: Path | None = None) -> bytes:
    """Return the file's content, with CRLF and folded lines. `earlier` is the file that it replaces, if there is one.

    Raises BadInputError if schedule.yml or the earlier file cannot be read.
    """
    facts, policy = checking.read(inventory, now), inventories.policy(inventory)
    before = _told(earlier) if earlier and earlier.exists() else {}
    made = Calendar()
    name = f"Database downtime ({inventory.name})"
    for key, value in (("PRODID", PRODID), ("VERSION", "2.0"), ("METHOD", "PUBLISH"), ("NAME", name)):
        made.add(key, value)
    made.add("X-WR-CALNAME", name)
    uids = _uids(facts.pairs, inventory.name)
    for attempt in schedule.attempts(facts.pairs):
        event = _event(attempt, uids[(attempt.pair.window, attempt.kind)], policy)
        made.add_component(_stamped(event, before.pop(str(event["UID"]), None), now))
    for gone in before.values():
        if gone["DTSTART"].dt >= now and gone.get("STATUS") != "CANCELLED":
            cancelled: Any = Event.from_ical(gone.to_ical())
            cancelled["STATUS"] = "CANCELLED"
            gone = _stamped(cancelled, gone, now)
        made.add_component(gone)
    content: bytes = made.to_ical()
    return content


def write(path: Path, content: bytes) -> None:
    """Replace the file, unless it has this content already. Raises BadInputError."""
    if not path.exists() or path.read_bytes() != content:
        documents.write(path, content)


def _told(path: Path) -> dict[str, Any]:
    """Return the events of an earlier file by UID. Raises BadInputError if we did not write that file."""
    text = documents.read_text(path)
    try:
        read = Calendar.from_ical(text)
    except ValueError as error:
        raise _not_ours(path) from error
    if str(read.get("PRODID")) != PRODID:
        raise _not_ours(path)
    return {str(event["UID"]): event for event in read.walk("VEVENT")}


def _not_ours(path: Path) -> BadInputError:
    first = f"E-other-file  {path} is no calendar that `schedule ics` wrote; it was left alone."
    return BadInputError(f"{first}\n  Name another one:  ./runbook.py schedule ics -o FILE")


def _uids(pairs: tuple[schedule.Pair, ...], inventory: str) -> Mapping[tuple[datetime, str], str]:
    """Return each window's UID, made of month and number in it: moved within its month, it stays the same event."""
    found = {}
    counted: dict[str, int] = {}
    for pair in pairs:
        month = f"{pair.window:%Y-%m}"
        counted[month] = counted.get(month, 0) + 1
        for kind in ("window", "backup"):
            found[(pair.window, kind)] = f"{month}-{counted[month]}-{kind}@{inventory}.downtime-runbook"
    return found


def _event(attempt: Attempt, uid: str, policy: Policy) -> Event:
    event = Event()
    backup = attempt.kind == "backup"
    event.add("UID", uid)
    event.add("DTSTART", attempt.start)
    event.add("DTEND", attempt.start + timedelta(minutes=policy.window_minutes))
    event.add("SUMMARY", "Database downtime: backup window" if backup else "Database downtime")
    event.add("DESCRIPTION", " ".join(_described(attempt, policy)))
    event.add("STATUS", "TENTATIVE" if backup or not attempt.pair.listed else "CONFIRMED")
    event.add("TRANSP", "OPAQUE")
    if not backup:
        alarm = Alarm()
        alarm.add("ACTION", "DISPLAY")
        alarm.add("TRIGGER", -timedelta(hours=policy.merge_hours_before))
        alarm.add("DESCRIPTION", "The merge is due (R8): ./runbook.py run")
        event.add_component(alarm)
    return event


def _described(attempt: Attempt, policy: Policy) -> Iterator[str]:
    paused = attempt.start - timedelta(minutes=policy.pause_minutes_before)
    yield f"Some services may be paused from {paused:%H:%M} UTC on."
    if attempt.kind == "backup":
        yield f"Needed only if the window of {schedule.in_words(attempt.pair.window)} is not used."
    else:
        yield f"Backup window: {schedule.in_words(attempt.pair.backup)}."
    if not attempt.pair.listed:
        yield "By the rule; not agreed on yet."


def _stamped(event: Any, before: Any, now: datetime) -> Any:
    """Return the event with new stamps, or the earlier event if it says the same."""
    if before is not None and _said(before) == _said(event):
        return before
    sequence = int(before.get("SEQUENCE", 0)) + 1 if before is not None else 0
    for key in STAMPS:
        event.pop(key, None)
    event.add("DTSTAMP", now.replace(microsecond=0))
    event.add("LAST-MODIFIED", now.replace(microsecond=0))
    event.add("SEQUENCE", sequence)
    return event


def _said(event: Any) -> bytes:
    """Return the event's content without its stamps."""
    bare = Event.from_ical(event.to_ical())
    for key in STAMPS:
        bare.pop(key, None)
    told: bytes = bare.to_ical()
    return told
