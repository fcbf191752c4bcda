"""The state of each stage, by the journal (done, running, undone), and what stages have measured of one another.

*found* are the journal's entries, in order; only their order counts, not their instants.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Iterable, Mapping, NamedTuple, Sequence, Union

from .entries import Entry
from .events import (
    BackOutFinished,
    Event,
    ReleaseFinished,
    StageCarried,
    StageFinished,
    StageStarted,
    StepStarted,
    StopFinished,
    UndoFinished,
    WindowMoved,
)

Ended = Union[StageFinished, StageCarried]

# All of the journal that lateness depends on: the events, and what of each is looked at besides the instant.
JUDGED: Mapping[type[Event], tuple[str, ...]] = {
    StageStarted: ("stage", "attempt", "until"),
    StepStarted: ("stage", "step", "since"),
    StageFinished: ("stage", "outcome", "facts", "redo"),
    StageCarried: ("stage", "facts"),
    StopFinished: ("stage", "answer"),
    UndoFinished: ("stage", "outcome"),
    ReleaseFinished: ("stage", "released"),
    BackOutFinished: ("stage", "outcome"),
    WindowMoved: ("redo",),
}


class StepRecord(NamedTuple):
    """One step that a stage reported, and when it began."""

    name: str
    since: datetime


@dataclass(frozen=True)
class StageRecord:
    """The state of one stage. `outcome` is None while it runs; `started` is that of the latest attempt.

    `steps` are those that the latest attempt reported, in the order of their beginning. `irreversible` (an attempt said
    so) and `was_done` (an attempt ended well) stay true whatever comes later: trying again does not take a commit back.
    """

    started: datetime
    finished: datetime | None = None
    outcome: str | None = None
    attempt: int = 1
    irreversible: bool = False
    undone: bool = False
    was_done: bool = False
    steps: tuple[StepRecord, ...] = ()

    @property
    def running(self) -> bool:
        """Return True if the stage has begun and not finished, as far as the journal knows."""
        return self.outcome is None

    @property
    def done(self) -> bool:
        """Return True if the stage has finished well and was not undone since."""
        return self.outcome == "ok" and not self.undone


def ended_well(event: Event) -> Ended | None:
    """Return the event if it says that a stage is done, else None."""
    if isinstance(event, StageCarried) or (isinstance(event, StageFinished) and event.outcome == "ok"):
        return event
    return None


def until(found: Sequence[Entry], now: datetime) -> Sequence[Entry]:
    """Return the entries up to the last one that is not later than `now`.

    Entries before that count whatever their instant: a clock that was set back undoes no commit.
    """
    for length in range(len(found), 0, -1):
        if found[length - 1].at <= now:
            return found[:length]
    return ()


def estimates(found: Iterable[Entry]) -> dict[str, list[dict[str, Any]]]:
    """Return the latest estimate of each stage that another stage has measured: `{stage: [{step, seconds}]}` (R9)."""
    measured: dict[str, list[dict[str, Any]]] = {}
    for entry in found:
        if ended := ended_well(entry.event):
            measured.update(ended.facts.get("estimates", {}))
    return measured


def actual(found: Iterable[Entry]) -> dict[str, StageRecord]:
    """Return the record of each stage that has begun, or was carried over from an earlier rollout.

    After a merge back-out, everything that was done counts as undone (R17), and so do the stages that `redo` names.
    """
    seen: dict[str, StageRecord] = {}
    steps: dict[str, dict[str, datetime]] = {}  # of the latest attempt: since when, in the order of their begin
    for entry in found:
        event = entry.event
        if isinstance(event, StepStarted):
            begun = steps.setdefault(event.stage, {})
            begun.pop(event.step, None)
            begun[event.step] = event.since or entry.at
        elif isinstance(event, StageStarted):
            seen[event.stage] = _started(event, entry.at, seen.get(event.stage))
            steps.pop(event.stage, None)
            _not_done(seen, [event.until or ""])  # what ended an earlier bracket has to end this one, too
        elif isinstance(event, (StageFinished, StageCarried)):
            seen[event.stage] = _finished(event, entry.at, seen.get(event.stage))
            if isinstance(event, StageFinished):
                _not_done(seen, event.redo)  # they rest on what this entry settles otherwise (pins.to_redo)
        elif isinstance(event, WindowMoved):
            _not_done(seen, event.redo)  # what was confirmed and announced was another time (R3, R7)
        elif isinstance(event, BackOutFinished):
            _not_done(seen, list(seen) if event.outcome == "ok" else [])
        elif isinstance(event, (UndoFinished, ReleaseFinished, StopFinished)) and event.stage in seen:
            seen[event.stage] = _taken_back(event, seen[event.stage])
    return {
        name: replace(record, steps=tuple(StepRecord(*step) for step in steps.get(name, {}).items()))
        for name, record in seen.items()
    }


def _not_done(seen: dict[str, StageRecord], names: Iterable[str]) -> None:
    seen.update({name: replace(seen[name], undone=True) for name in names if name in seen and seen[name].done})


def _started(event: StageStarted, at: datetime, before: StageRecord | None) -> StageRecord:
    if before is None:
        return StageRecord(started=at, attempt=1 if event.attempt is None else event.attempt)
    attempt = before.attempt + 1 if event.attempt is None else event.attempt
    return StageRecord(started=at, attempt=attempt, irreversible=before.irreversible, was_done=before.was_done)


def _finished(event: Ended, at: datetime, before: StageRecord | None) -> StageRecord:
    carried = isinstance(event, StageCarried)  # then the first attempt in this rollout has not been made
    record = before or StageRecord(started=at, attempt=0 if carried else 1)
    outcome = "ok" if isinstance(event, StageCarried) else event.outcome
    return replace(
        record,
        finished=at,
        outcome=outcome,
        irreversible=record.irreversible or bool(event.facts.get("irreversible")),
        undone=record.undone and outcome != "ok",
        was_done=record.was_done or outcome == "ok",
    )


def _taken_back(event: UndoFinished | ReleaseFinished | StopFinished, record: StageRecord) -> StageRecord:
    """Return the stage's record after an undo, the early end of its bracket (it is to be done anew), or a stop."""
    if isinstance(event, StopFinished):  # one that could not be stopped any more is committing, or has
        return replace(record, irreversible=record.irreversible or event.answer == "too_late")
    gone = event.released if isinstance(event, ReleaseFinished) else event.outcome == "ok"
    return replace(record, undone=record.undone or gone)
