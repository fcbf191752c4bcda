"""Exceptions: what was done otherwise than the process says, and who approved it, from the journal alone (R26)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    AnnouncementSettled,
    AnnouncementWaived,
    Event,
    GateAnswered,
    NextAttemptPlanned,
    StageFinished,
    WindowMoved,
)

RELEASE_CRITICAL = re.compile(r"\[release-critical=([^\]]+)\]")
# Gates of the conductor that ask whether to go on although a rule was not kept.
ALTHOUGH = {"begin_late": "begun after its deadline", "outgrow": "gone on past the end of the window"}


@dataclass(frozen=True)
class Approved:
    """An exception: what was done otherwise, who approved it, and why, as far as they said."""

    at: datetime
    what: str
    by: str
    why: str


def exceptions(entries: Sequence[Entry]) -> list[Approved]:
    """Return every exception, in order: waivers, work by hand, fixes in RC mode, answers from another terminal."""
    return [Approved(entry.at, *found) for entry in entries for found in _told(entry.event)]


Found = tuple[str, str, str]  # what, by whom, why


def _told(event: Event) -> Iterator[Found]:
    if isinstance(event, AnnouncementWaived):
        yield _waived(event)
    elif isinstance(event, AnnouncementSettled):
        yield from _settled(event)
    elif isinstance(event, WindowMoved):
        yield f"the window is moved to {event.to:%a %-d %b %Y %H:%M} UTC (R3)", event.by, event.reason
    elif isinstance(event, NextAttemptPlanned) and event.waived_by:
        yield "the next attempt comes sooner than 48 h after its merge (R8)", event.waived_by, ""
    elif isinstance(event, GateAnswered):
        yield from _answered(event)
    elif isinstance(event, StageFinished):
        yield from _fixed(event)


def _waived(event: AnnouncementWaived) -> Found:
    if event.incident:
        what = f"incident {event.incident}: its {event.message} is not announced (R24)"
    else:
        what = f"{event.message} was not announced in time (R7, R21)"
    return what, event.by, event.reason


def _settled(event: AnnouncementSettled) -> Iterator[Found]:
    words = {"given_up": "is given up", "sent": "is out, seen or posted by hand"}
    if event.as_ in words:
        what = f"announcement {event.announcement} {words[event.as_]} on {event.channel}"
        yield what, event.by, event.reason or ""


def _answered(event: GateAnswered) -> Iterator[Found]:
    by = event.name or event.by
    if event.gate in ALTHOUGH and event.answer == "yes":
        yield f"{event.stage} is {ALTHOUGH[event.gate]}", by, ""
    elif event.gate == "failure" and event.answer == "go-on":
        yield f"{event.stage} failed, and was done by hand", by, ""
    elif event.source == "another terminal":
        asked = " ".join(filter(None, (event.gate, event.item)))
        yield f"{event.stage}: {asked} answered {event.answer} from another terminal", by, ""


def _fixed(event: StageFinished) -> Iterator[Found]:
    """Yield each fix that goes out with the merge it mends: everything after the merge was release-critical (R13)."""
    if event.outcome == "ok" and "unfixed_revno" in event.facts.get("pin", {}):
        for line in map(str, event.facts.get("evidence", ())):
            for who in RELEASE_CRITICAL.findall(line):
                yield f"lands after the merge: {line}", who, "release-critical (R13)"
