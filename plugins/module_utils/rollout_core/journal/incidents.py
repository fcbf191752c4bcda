"""Problems that were found after a rollout, or seen by a person, as the journal knows them (R24)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Mapping, Sequence

from .entries import Entry, of
from .events import AnnouncementWaived, IncidentClosed, IncidentOpened
from .outbox import Announcement, announcements

PROBLEM, SOLVED = "problem", "solved"  # the messages that tell of an incident, of its beginning and its end


@dataclass(frozen=True)
class ProblemSeen:
    """A problem as a person reports it, or the rollout's own checks (`by` None). `details` may have many lines."""

    problem: str
    at: datetime
    by: str | None
    details: str | None = None


@dataclass(frozen=True)
class IncidentEnd:
    """The end of an incident. None is what nobody told; `affected` is in words, the two instants as far as known."""

    at: datetime
    by: str
    resolution: str
    source: str | None = None
    mended_by: str | None = None
    affected: str | None = None
    affected_from: datetime | None = None
    affected_until: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """One incident. `by` is who saw the problem (None: the rollout's own checks), `details` what was seen, as text.

    `told` are its announcements; `waived` the messages that a person decided not to send, and who that was.
    """

    number: int
    file: str
    summary: str
    details: str
    seen: datetime
    opened: datetime
    by: str | None
    closing: IncidentEnd | None
    told: Sequence[Announcement]
    waived: Mapping[str, str]

    @property
    def open(self) -> bool:
        """Return True if nobody has closed it."""
        return self.closing is None

    @property
    def state(self) -> str:
        """Return `open` or `closed`."""
        return "open" if self.open else "closed"

    @property
    def due(self) -> str | None:
        """Return the message that is to be sent and is not queued: the problem as soon as it is known, then its end.

        If the problem was never announced, neither is its end (R24).
        """
        queued = {each.message for each in self.told}
        if self.open:
            return None if {PROBLEM} & (queued | set(self.waived)) else PROBLEM
        return SOLVED if PROBLEM in queued and not {SOLVED} & (queued | set(self.waived)) else None


def first_sentence(message: str) -> str:
    """Return the first sentence of a failure's message, without its code: `E-some-name  sentence`."""
    return re.sub(r"^E-[a-z0-9-]+\s+", "", message.partition("\n")[0])


def incidents(found: Sequence[Entry]) -> list[Incident]:
    """Return every incident, in the order of their numbers."""
    opened = list(of(found, IncidentOpened))
    told = announcements(found) if opened else []
    waived = [event for _, event in of(found, AnnouncementWaived)]
    closed = {event.number: _end(event, entry.at) for entry, event in of(found, IncidentClosed)}
    return [
        Incident(
            number=event.number,
            file=event.file,
            summary=first_sentence(event.problem),
            details=event.details or event.problem,
            seen=event.seen or entry.at,
            opened=entry.at,
            by=event.by,
            closing=closed.get(event.number),
            told=[each for each in told if each.incident == event.number],
            waived={each.message: each.by for each in waived if each.incident == event.number},
        )
        for entry, event in opened
    ]


def _end(event: IncidentClosed, at: datetime) -> IncidentEnd:
    return IncidentEnd(
        at=at,
        by=event.by,
        resolution=event.resolution,
        source=event.source,
        mended_by=event.mended_by,
        affected=event.affected,
        affected_from=event.affected_from,
        affected_until=event.affected_until,
    )
