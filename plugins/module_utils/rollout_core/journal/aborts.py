"""The journal's view of an abort: the stop, the verification, the problem (R20) and the next attempt (R21)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Iterable, Sequence

from ..time.timeline import parse_instant
from .entries import Entry, last
from .events import (
    AbortPacked,
    HostsVerified,
    NextAttemptPlanned,
    ProblemTold,
    RolloutClosed,
    StopFinished,
    StopRequested,
)
from .pairs import pairs


@dataclass(frozen=True)
class StopLadder:
    """The stop of a stage that ran. `answer` is None, and nothing is proven, if the journal does not say how it ended.

    `survivors` is what still ran, in words; `unproven` are the hosts that did not answer.
    """

    stage: str
    playbook: str
    why: str
    asked: datetime
    answer: str | None
    survivors: Sequence[str]
    unproven: Sequence[str]
    seconds: float | None

    @property
    def proven(self) -> bool:
        """Return True if nothing of the stage was left, for certain."""
        return self.answer is not None and not self.survivors and not self.unproven


@dataclass(frozen=True)
class HostFound:
    """What was found on one host after the undo: how many tests passed, and each that failed."""

    name: str
    passed: int
    failed: Sequence[str]


@dataclass(frozen=True)
class Verification:
    """What testinfra found on all hosts."""

    at: datetime
    expect: str
    ok: bool
    summary: str
    hosts: Sequence[HostFound]


@dataclass(frozen=True)
class ProblemSource:
    """What people said of the problem (R20); None where nobody said anything."""

    at: datetime
    source: str | None
    mended_at: datetime | None
    new_pin: bool | None
    by: str


@dataclass(frozen=True)
class WindowConsidered:
    """A window that was considered for the next attempt, and why it was accepted or not (R21)."""

    start: datetime
    kind: str
    accepted: bool
    why: str


@dataclass(frozen=True)
class AttemptToCome:
    """The next attempt. `start` is None if no window would do; `plan` is its file, from the rollout's directory."""

    at: datetime
    start: datetime | None
    plan: str | None
    considered: Sequence[WindowConsidered]
    waived_by: str | None


def stop_ladders(found: Iterable[Entry]) -> list[StopLadder]:
    """Return every stage that was stopped while it ran, in order."""
    return [
        StopLadder(
            stage=asked.stage,
            playbook=asked.playbook,
            why=asked.why,
            asked=entry.at,
            answer=end[1].answer if end else None,
            survivors=end[1].survivors if end else (),
            unproven=end[1].unproven if end else (),
            seconds=end[1].seconds if end else None,
        )
        for entry, asked, end in pairs(found, StopRequested, StopFinished)
    ]


def verification(found: Sequence[Entry]) -> Verification | None:
    """Return the last verification after an undo, or None."""
    known = last(found, HostsVerified)
    if known is None:
        return None
    entry, event = known
    hosts = [HostFound(name, state["passed"], state["failed"]) for name, state in event.hosts.items()]
    return Verification(entry.at, event.expect, event.outcome == "ok", event.summary, hosts)


def problem(found: Sequence[Entry]) -> ProblemSource | None:
    """Return what was said of the problem last (R20), or None."""
    known = last(found, ProblemTold)
    if known is None:
        return None
    entry, event = known
    return ProblemSource(entry.at, event.source, event.mended_at, event.new_pin, event.by)


def next_attempt(found: Sequence[Entry]) -> AttemptToCome | None:
    """Return the next attempt as it was worked out last (R21), or None."""
    known = last(found, NextAttemptPlanned)
    if known is None:
        return None
    entry, event = known
    considered = [
        WindowConsidered(**{**window, "start": parse_instant(window["start"])}) for window in event.considered
    ]
    return AttemptToCome(entry.at, event.start, event.plan, considered, event.waived_by)


def why(found: Sequence[Entry]) -> str | None:
    """Return why the rollout was aborted; None if it was not."""
    if packed := last(found, AbortPacked):
        return packed[1].why
    closed = last(found, RolloutClosed)
    return closed[1].message if closed and closed[1].outcome == "aborted" else None


def aborted_at(found: Sequence[Entry]) -> datetime | None:
    """Return when everything that could be undone was undone; None if the rollout was not aborted."""
    if packed := last(found, AbortPacked):
        return packed[0].at
    closed = last(found, RolloutClosed)
    return closed[0].at if closed and closed[1].outcome == "aborted" else None
