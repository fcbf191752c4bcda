"""Events of announcements: they are put on record, sent, settled by a person, or waived (R7, R20-R24)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping

from .base import Event, if_any, one_of, or_else


@dataclass(frozen=True)
class AnnouncementQueued(Event):
    """A message is to go out; `announcement` is its number in this journal, `by` its deadline or null.

    `texts` is `{COPY: {title, body, via, to}}`: a copy is a channel's, or a person's on it. `incident` is the number of
    the incident that it is about.
    """

    announcement: int
    message: str
    stage: str | None = or_else(None)
    by: datetime | None = or_else(None)
    incident: int | None = if_any()
    texts: Mapping[str, Mapping[str, Any]] = or_else({})


@dataclass(frozen=True)
class AnnouncementSending(Event):
    """An attempt at a copy (`channel`) begins; `key` is the same for every attempt at it."""

    announcement: int
    channel: str
    attempt: int = or_else(1)
    key: str = or_else("")


@dataclass(frozen=True)
class AnnouncementTried(Event):
    """An attempt is over. An `unknown` one may be repeated until `repeatable_until`; null: not at all."""

    announcement: int
    channel: str
    attempt: int = or_else(1)
    outcome: str = one_of("sent", "not_sent", "unknown")
    said: str = or_else("")
    repeatable_until: datetime | None = or_else(None)


@dataclass(frozen=True)
class AnnouncementSettled(Event):
    """A person says how a copy stands; `reason` is null or why."""

    announcement: int
    channel: str
    by: str = or_else("")
    reason: str | None = or_else(None)
    as_: str = one_of("sent", "again", "given_up")


@dataclass(frozen=True)
class AnnouncementWaived(Event):
    """A person answers for a message that was not out in time or, with `incident`, for one that is not sent at all."""

    message: str
    incident: int | None = if_any()
    by: str = or_else("")
    reason: str = or_else("")
