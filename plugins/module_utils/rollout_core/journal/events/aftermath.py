"""Events after the window: an abort's verification, problem and next attempt (R19-R21), and incidents (R24)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Mapping, Sequence

from .base import Event, one_of, or_else


@dataclass(frozen=True)
class HostsVerified(Event):
    """The hosts were looked at after the undos of an abort; `hosts` is `{NAME: {passed: N, failed: [text]}}`."""

    event_name: ClassVar[str] = "verified"
    expect: str = or_else("as_before")
    outcome: str = one_of("ok", "failed")
    summary: str = or_else("")
    hosts: Mapping[str, Mapping[str, Any]] = or_else({})


@dataclass(frozen=True)
class AbortPacked(Event):
    """All that could be undone is undone; `file` is the abort pack, `why` the message that the rollout ends with."""

    file: str = or_else("")
    why: str = or_else("")


@dataclass(frozen=True)
class ProblemTold(Event):
    """A person says what the problem is (R20); a field is null as long as nobody knows. The last of these counts."""

    source: str | None = or_else(None)
    mended_at: datetime | None = or_else(None)
    new_pin: bool | None = or_else(None)
    by: str = or_else("")


@dataclass(frozen=True)
class NextAttemptPlanned(Event):
    """The next attempt (R21): its start and plan (a path from the rollout's directory), null when no window will do.

    `considered` is `[{start, kind, accepted, why}]`, `waived_by` null or who waived R8's distance. The last one counts.
    """

    event_name: ClassVar[str] = "next_attempt"
    start: datetime | None = or_else(None)
    plan: str | None = or_else(None)
    considered: Sequence[Mapping[str, Any]] = or_else(())
    waived_by: str | None = or_else(None)


@dataclass(frozen=True)
class IncidentOpened(Event):
    """A problem was seen, by a person or (null) by the rollout's checks. Its page, `file`, is written after this.

    `problem` is one line, `details` text or null, `seen` when it was seen.
    """

    number: int
    file: str = or_else("")
    problem: str = or_else("")
    details: str | None = or_else(None)
    seen: datetime | None = or_else(None)
    by: str | None = or_else(None)


@dataclass(frozen=True)
class IncidentClosed(Event):
    """An incident is over; its page is filled in after this. Null is what nobody told; `affected` is in words."""

    number: int
    by: str = or_else("")
    resolution: str = or_else("")
    source: str | None = or_else(None)
    mended_by: str | None = or_else(None)
    affected: str | None = or_else(None)
    affected_from: datetime | None = or_else(None)
    affected_until: datetime | None = or_else(None)
