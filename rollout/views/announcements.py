"""What was announced, for the report: each message with its texts, when and where it went out, and if in time (R7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import AnnouncementWaived
from plugins.module_utils.rollout_core.journal.outbox import Announcement, Copy
from rollout.views.text import length


@dataclass(frozen=True)
class CopyTold:
    """One copy of an announcement: its channel, its text, its state since `at`, and what was said of that."""

    channel: str
    title: str
    body: str
    state: str
    at: datetime
    attempts: int
    timely: str
    said: str


@dataclass(frozen=True)
class AnnouncementTold:
    """One announcement. `incident` is the number of the incident that it is about, or None.

    `state` is `sent`, `given up` if a person gave up a channel, or else what is still to be done about a copy.
    """

    number: int
    message: str
    stage: str | None
    incident: int | None
    by: datetime | None
    queued_at: datetime
    state: str
    copies: Sequence[CopyTold]


@dataclass(frozen=True)
class Waiver:
    """A waiver: a message that was not out in time, or, about an `incident`, is not sent; who waived it, and why."""

    at: datetime
    message: str
    incident: int | None
    by: str
    reason: str


def announced(entries: Sequence[Entry]) -> list[AnnouncementTold]:
    """Return every announcement that was queued, in order."""
    return [
        AnnouncementTold(
            number=each.number,
            message=each.message,
            stage=each.stage,
            incident=each.incident,
            by=each.by,
            queued_at=each.queued_at,
            state=_state(each),
            copies=[_copy(copy, each.by) for copy in each.copies],
        )
        for each in outbox.announcements(entries)
    ]


def waivers(entries: Sequence[Entry]) -> list[Waiver]:
    """Return every message that was waived."""
    return [
        Waiver(entry.at, event.message, event.incident, event.by, event.reason)
        for entry, event in of(entries, AnnouncementWaived)
    ]


WORST_FIRST = (outbox.IN_DOUBT, outbox.FAILED, outbox.QUEUED, outbox.GIVEN_UP, outbox.SENT)


def _state(announcement: Announcement) -> str:
    there = {copy.state for copy in announcement.copies}
    return next((state for state in WORST_FIRST if state in there), outbox.SENT)


def _copy(copy: Copy, by: datetime | None) -> CopyTold:
    return CopyTold(
        channel=copy.channel,
        title=copy.title,
        body=copy.body,
        state=copy.state,
        at=copy.at,
        attempts=copy.attempts,
        timely=_timely(copy, by),
        said="; ".join(_said(copy)),
    )


def _timely(copy: Copy, by: datetime | None) -> str:
    """Return `in time`, or how much too late; an empty text without a deadline, or while it is not out."""
    if by is None or copy.state != outbox.SENT:
        return ""
    return "in time" if copy.at <= by else f"{length(copy.at - by)} late"


def _said(copy: Copy) -> Iterator[str]:
    """Yield what a person, or the channel's server, said of a copy, and how many attempts it took."""
    if copy.by:
        yield f"{copy.by} says {'it is out' if copy.state == outbox.SENT else copy.state}"
    if copy.said:
        yield copy.said
    if copy.attempts > 1:
        yield f"{copy.attempts} attempts"
