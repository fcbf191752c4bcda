"""Every event of the journal (docs/architecture.md has a table of them, made from these classes)."""

from __future__ import annotations

from . import aftermath, announcements, rollout, stages
from .aftermath import AbortPacked, HostsVerified, IncidentClosed, IncidentOpened, NextAttemptPlanned, ProblemTold
from .announcements import (
    AnnouncementQueued,
    AnnouncementSending,
    AnnouncementSettled,
    AnnouncementTried,
    AnnouncementWaived,
)
from .base import Event, UnknownEvent, read
from .rollout import (
    AbortRequested,
    ClaimTakeOver,
    ClockSet,
    GateAnswered,
    GateAsked,
    PlanDropped,
    RolloutClosed,
    RolloutOpened,
    ServiceClaimed,
    VerdictChanged,
    WindowMoved,
)
from .stages import (
    BackOutFinished,
    BackOutStarted,
    ReleaseFinished,
    ReleaseStarted,
    StageCarried,
    StageFinished,
    StageStarted,
    StepStarted,
    StopFinished,
    StopRequested,
    UndoFinished,
    UndoStarted,
)

__all__ = [
    "EVENTS",
    "AbortPacked",
    "AbortRequested",
    "AnnouncementQueued",
    "AnnouncementSending",
    "AnnouncementSettled",
    "AnnouncementTried",
    "AnnouncementWaived",
    "BackOutFinished",
    "BackOutStarted",
    "ClaimTakeOver",
    "ClockSet",
    "Event",
    "GateAnswered",
    "GateAsked",
    "HostsVerified",
    "IncidentClosed",
    "IncidentOpened",
    "NextAttemptPlanned",
    "PlanDropped",
    "ProblemTold",
    "ReleaseFinished",
    "ReleaseStarted",
    "RolloutClosed",
    "RolloutOpened",
    "ServiceClaimed",
    "StageCarried",
    "StageFinished",
    "StageStarted",
    "StepStarted",
    "StopFinished",
    "StopRequested",
    "UndoFinished",
    "UndoStarted",
    "UnknownEvent",
    "VerdictChanged",
    "WindowMoved",
    "event",
]

EVENTS: dict[str, type[Event]] = {
    kind.event_name: kind
    for room in (rollout, stages, announcements, aftermath)
    for kind in vars(room).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind.__module__ == room.__name__
}


def event(kind: str, /, **told: object) -> Event:
    """Return the event of that name, from the fields of its line. Raises ValueError for a field that is missing."""
    return read(EVENTS[kind], told) if kind in EVENTS else UnknownEvent(kind)
