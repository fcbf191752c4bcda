"""What happens to a rollout as a whole: it is opened, moved, judged and closed, and people are asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Mapping, Sequence

from .base import Event, if_any, one_of, or_else


@dataclass(frozen=True)
class RolloutOpened(Event):
    """The runbook begins or goes on with a plan: `plan` is its sha256, `window` the start of its window."""

    plan: str = or_else("")
    by: str = or_else("")
    window: datetime | None = or_else(None)


@dataclass(frozen=True)
class RolloutClosed(Event):
    """A run of the runbook ends, and says how; one that only waits for what is due later does not write this."""

    outcome: str = one_of("done", "failed", "refused", "aborted", "backed_out", "dropped")
    exit_code: int = or_else(0)
    message: str | None = or_else(None)


@dataclass(frozen=True)
class PlanDropped(Event):
    """Somebody drops the plan before anything of it has begun; `rollout_closed` follows."""

    by: str = or_else("")
    reason: str = or_else("")


@dataclass(frozen=True)
class ClaimTakeOver(Event):
    """Somebody takes the service over from the rollout `from`, of which nothing is at work any more, they say.

    `service_claimed` follows once that is done. With this rollout's own id, the journal counts as it is.
    """

    from_: str = or_else("")
    by: str = or_else("")
    reason: str = or_else("")


@dataclass(frozen=True)
class ServiceClaimed(Event):
    """The service is claimed for this rollout on the database host; `machine` and `checkout` are the conductor's."""

    service: str = or_else("")
    by: str = or_else("")
    machine: str = or_else("")
    checkout: str = or_else("")


@dataclass(frozen=True)
class ClockSet(Event):
    """The clock of a rehearsal is set, so many seconds ahead of the system's."""

    offset_seconds: float
    reason: str = or_else("")


@dataclass(frozen=True)
class WindowMoved(Event):
    """The window is moved, and its backup too; the plan is written after this.

    `redo` are stages that are not done any more: they confirmed or announced the earlier time (R3).
    """

    from_: datetime
    to: datetime
    backup: datetime | None = or_else(None)
    by: str = or_else("")
    reason: str = or_else("")
    redo: Sequence[str] = or_else(())


@dataclass(frozen=True)
class VerdictChanged(Event):
    """The verdict on lateness has changed. `last_safe_abort` is null when nothing can be aborted."""

    event_name: ClassVar[str] = "verdict"
    stage: str
    verdict: str = one_of("on_track", "late", "abort", "must_finish")
    off_track_seconds: float = or_else(0.0)
    projected_end: datetime | None = or_else(None)
    last_safe_abort: datetime | None = or_else(None)
    reason: str = or_else("")


@dataclass(frozen=True)
class AbortRequested(Event):
    """Somebody wants to abort; past the point of no return it is not possible."""

    by: str = or_else("")
    reason: str = or_else("")
    source: str = or_else("")
    possible: bool = or_else(True)  # noqa: FBT003


@dataclass(frozen=True)
class GateAsked(Event):
    """A question is put to people. `stage` is empty when no stage was at work.

    `item` is what it is about, for a gate that asks about each of several; `needs` is what an option must come with.
    """

    stage: str
    gate: str
    item: str | None = if_any()
    question: str = or_else("")
    evidence: Sequence[str] = or_else(())
    options: Sequence[str] = or_else(("yes", "no"))
    needs: Mapping[str, Sequence[str]] | None = if_any(None)


@dataclass(frozen=True)
class GateAnswered(Event):
    """The answer: one of the options, or `withdrawn`. `name` and `reason` are there where the question needs them."""

    stage: str
    gate: str
    item: str | None = if_any()
    answer: str = one_of()
    by: str = or_else("")
    source: str = or_else("", one_of=("terminal", "another terminal", "answers file", "beforehand", "nobody"))
    name: str | None = if_any(None)
    reason: str | None = if_any(None)
