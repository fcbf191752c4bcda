"""What the journal says of an abort: the stop, the verification, the problem (R20) and the next attempt (R21)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from plugins.module_utils.rollout_core.time import timeline
from rollout.views.deeds import Entry, at, pairs


@dataclass(frozen=True)
class StopLadder:
    """A running stage was stopped. `answer` is None, and nothing is proven, when the journal does not say how it ended.

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
        """Whether nothing of the stage was left, for certain."""
        return self.answer is not None and not self.survivors and not self.unproven


@dataclass(frozen=True)
class HostFound:
    """One host after the undo: tests that passed, and each that failed."""

    name: str
    passed: int
    failed: Sequence[str]


@dataclass(frozen=True)
class Verification:
    """What testinfra found on the hosts."""

    at: datetime
    expect: str
    ok: bool
    summary: str
    hosts: Sequence[HostFound]


@dataclass(frozen=True)
class Problem:
    """What people said of it (R20); None is what nobody told."""

    at: datetime
    source: str | None
    mended_at: datetime | None
    new_pin: bool | None
    by: str


@dataclass(frozen=True)
class Window:
    """A window that was considered for the next attempt, and why it is the one or is not (R21)."""

    start: datetime
    kind: str
    accepted: bool
    why: str


@dataclass(frozen=True)
class NextAttempt:
    """The next attempt. `start` is None when no window would do; `plan` is its file, from the rollout's directory."""

    at: datetime
    start: datetime | None
    plan: str | None
    considered: Sequence[Window]
    waived_by: str | None


def stop_ladders(entries: Iterable[Entry]) -> list[StopLadder]:
    """Every stage that was stopped while it ran, in order."""
    return [
        StopLadder(
            stage=asked["stage"],
            playbook=asked["playbook"],
            why=asked["why"],
            asked=at(asked),
            answer=ended["answer"] if ended else None,
            survivors=ended["survivors"] if ended else (),
            unproven=ended["unproven"] if ended else (),
            seconds=ended["seconds"] if ended else None,
        )
        for asked, ended in pairs(entries, "stop_requested", "stop_finished")
    ]


def verification(entries: Sequence[Entry]) -> Verification | None:
    """The last look at the hosts after an undo."""
    entry = _last(entries, "verified")
    if entry is None:
        return None
    hosts = [HostFound(name, state["passed"], state["failed"]) for name, state in entry["hosts"].items()]
    return Verification(at(entry), entry["expect"], entry["outcome"] == "ok", entry["summary"], hosts)


def problem(entries: Sequence[Entry]) -> Problem | None:
    """What was told of the problem last (R20)."""
    entry = _last(entries, "problem_told")
    if entry is None:
        return None
    return Problem(at(entry), entry["source"], _instant(entry["mended_at"]), entry["new_pin"], entry["by"])


def next_attempt(entries: Sequence[Entry]) -> NextAttempt | None:
    """The next attempt, as it was worked out last (R21)."""
    entry = _last(entries, "next_attempt")
    if entry is None:
        return None
    considered = [
        Window(**{**window, "start": timeline.parse_instant(window["start"])}) for window in entry["considered"]
    ]
    return NextAttempt(at(entry), _instant(entry["start"]), entry["plan"], considered, entry["waived_by"])


def why(entries: Sequence[Entry]) -> str | None:
    """Why the rollout was aborted; None when it was not."""
    entry = _last(entries, "abort_packed")
    if entry is not None:
        return str(entry["why"])
    closed = _last(entries, "rollout_closed")
    return closed["message"] if closed and closed["outcome"] == "aborted" else None


def aborted_at(entries: Sequence[Entry]) -> datetime | None:
    """When everything that could be undone was undone; None when the rollout was not aborted."""
    entry = _last(entries, "abort_packed")
    closed = _last(entries, "rollout_closed")
    if entry is None and closed and closed["outcome"] == "aborted":
        entry = closed
    return at(entry) if entry else None


def _last(entries: Sequence[Entry], event: str) -> Mapping[str, Any] | None:
    return next((entry for entry in reversed(entries) if entry["event"] == event), None)


def _instant(text: str | None) -> datetime | None:
    return timeline.parse_instant(text) if text else None
