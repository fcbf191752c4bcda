"""Events of stages, and of the brackets that they begin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Sequence

from .base import Event, if_any, one_of, or_else

OUTCOMES = ("ok", "failed", "refused", "late", "stopped")
ANSWERS = ("stopped", "rolled_back", "too_late", "unknown")
OK_OR_FAILED = ("ok", "failed")


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage begins; `run` is the id of its playbook's run.

    `until` is the stage that ends its bracket. `by` is who began it to end what a closed rollout has left switched on.
    """

    stage: str
    attempt: int | None = or_else(None)
    run: str = or_else("")
    until: str | None = if_any(None)
    by: str | None = if_any(None)


@dataclass(frozen=True)
class StepStarted(Event):
    """A step of a stage has begun on a host, `since` then; `at` is when that was heard of. A patch is a step."""

    stage: str
    step: str
    since: datetime | None = or_else(None)


@dataclass(frozen=True)
class StageFinished(Event):
    """A stage is over (`stopped`: by a person). `facts` is what it reported, `message` the error, or null.

    `redo` are stages to be done again: they rest on what this one pins otherwise now.
    """

    stage: str
    outcome: str = one_of(*OUTCOMES)
    facts: Mapping[str, Any] = or_else({})
    message: str | None = or_else(None)
    redo: Sequence[str] = if_any(())


@dataclass(frozen=True)
class StageCarried(Event):
    """A stage counts as done without being run: `rollout` is where it was done, `facts` are its facts there.

    `hold` is `{since, why}` of its bracket, if that is still on.
    """

    stage: str
    rollout: str = or_else("")
    facts: Mapping[str, Any] = or_else({})
    hold: Mapping[str, Any] | None = if_any(None)


@dataclass(frozen=True)
class StopRequested(Event):
    """A stage that runs is asked to stop, by a playbook."""

    stage: str
    run: str = or_else("")
    playbook: str = or_else("")
    why: str = or_else("")


@dataclass(frozen=True)
class StopFinished(Event):
    """A stage was stopped, or could not be any more. `survivors` still run; `unproven` are hosts that do not answer."""

    stage: str
    run: str = or_else("")
    answer: str = one_of(*ANSWERS)
    survivors: Sequence[str] = or_else(())
    unproven: Sequence[str] = or_else(())
    seconds: float = or_else(0.0)


@dataclass(frozen=True)
class UndoStarted(Event):
    """A stage of the window is being undone, by a playbook."""

    stage: str
    playbook: str = or_else("")
    run: str = or_else("")


@dataclass(frozen=True)
class UndoFinished(Event):
    """The undo of a stage is over; `message` is the error, or null."""

    stage: str
    playbook: str = or_else("")
    outcome: str = one_of(*OK_OR_FAILED)
    message: str | None = or_else(None)


@dataclass(frozen=True)
class ReleaseStarted(Event):
    """A playbook looks whether a stage's bracket may end."""

    stage: str
    playbook: str = or_else("")
    run: str = or_else("")


@dataclass(frozen=True)
class ReleaseFinished(Event):
    """A stage's bracket is ended (`released`), or stays on: `why` says it in a sentence.

    `not_tried`, without a `release_started`: what still ran was not known.
    """

    stage: str
    playbook: str = or_else("")
    message: str | None = or_else(None)
    released: bool = one_of()
    why: str | None = or_else(None)
    outcome: str = or_else("ok", one_of=(*OK_OR_FAILED, "not_tried"))
    evidence: Sequence[str] = or_else(())


@dataclass(frozen=True)
class BackOutStarted(Event):
    """The merge is being backed out, after a gate of this stage was answered no."""

    stage: str
    playbook: str = or_else("")
    run: str = or_else("")


@dataclass(frozen=True)
class BackOutFinished(Event):
    """The merge back-out is over; after one that went well, nothing of this rollout goes out."""

    stage: str
    playbook: str = or_else("")
    outcome: str = one_of(*OK_OR_FAILED)
    facts: Mapping[str, Any] = or_else({})
    message: str | None = or_else(None)
