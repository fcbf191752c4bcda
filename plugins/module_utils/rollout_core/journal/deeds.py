"""What was done to a stage: attempts with their steps, questions and undos; also merge back-outs. Each has an end.

An end that is not on record (a crash) is None.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Iterable, Mapping, Sequence

from .entries import Entry, of
from .events import (
    BackOutFinished,
    BackOutStarted,
    GateAnswered,
    GateAsked,
    StageFinished,
    StageStarted,
    StepStarted,
    UndoFinished,
    UndoStarted,
)
from .pairs import pairs

RESERVED_FACTS = frozenset({"evidence", "pin", "estimates", "fits", "irreversible"})


@dataclass(frozen=True)
class StepTaken:
    """One step of a stage, as a host reported it. `whole`: it ended by itself, and was not cut off with the stage."""

    step: str
    since: datetime
    until: datetime | None
    whole: bool

    @property
    def duration(self) -> timedelta | None:
        """Return how long the step ran; None if the journal does not say until when."""
        return self.until - self.since if self.until else None


@dataclass(frozen=True)
class StageAttempt:
    """One run of a stage's playbook. `finished` and `outcome` are None when the journal does not say how it ended."""

    number: int
    started: datetime
    finished: datetime | None
    outcome: str | None
    message: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)
    steps: Sequence[StepTaken] = ()

    @property
    def duration(self) -> timedelta | None:
        """Return how long the attempt took; None if the journal does not say."""
        return self.finished - self.started if self.finished else None

    @property
    def evidence(self) -> Sequence[str]:
        """Return the lines that the playbook left for people."""
        lines: Sequence[str] = self.facts.get("evidence", ())
        return lines

    @property
    def other_facts(self) -> dict[str, Any]:
        """Return the facts that the playbook reported besides the contract's own keys."""
        return {key: value for key, value in self.facts.items() if key not in RESERVED_FACTS}


@dataclass(frozen=True)
class GatePassed:
    """A question of a gate, or one about an `item` of it, and its answer: None if the journal ends before it."""

    gate: str
    item: str | None
    question: str
    evidence: Sequence[str]
    asked: datetime
    answer: str | None
    answered: datetime | None
    by: str | None
    source: str | None


@dataclass(frozen=True)
class PlaybookDeed:
    """An undo, or a merge back-out, by a playbook. `outcome` is None if the journal does not say how it ended."""

    stage: str
    playbook: str
    started: datetime
    finished: datetime | None
    outcome: str | None
    message: str | None
    facts: Mapping[str, Any] = field(default_factory=dict)


def attempts(found: Sequence[Entry]) -> list[StageAttempt]:
    """Return every run of a stage's playbook; `found` are the entries of that stage."""
    return [
        StageAttempt(
            number=begun.attempt or 1,
            started=entry.at,
            finished=end[0].at if end else None,
            outcome=end[1].outcome if end else None,
            message=end[1].message if end else None,
            facts=end[1].facts if end else {},
            steps=_steps(_between(found, entry, end[0] if end else None), end),
        )
        for entry, begun, end in pairs(found, StageStarted, StageFinished)
    ]


def gates(found: Iterable[Entry]) -> list[GatePassed]:
    """Return every question of a stage; `found` are the entries of that stage."""
    return [
        GatePassed(
            gate=asked.gate,
            item=asked.item,
            question=asked.question,
            evidence=asked.evidence,
            asked=entry.at,
            answer=end[1].answer if end else None,
            answered=end[0].at if end else None,
            by=end[1].by if end else None,
            source=end[1].source if end else None,
        )
        for entry, asked, end in pairs(found, GateAsked, GateAnswered)
    ]


def undos(found: Iterable[Entry]) -> list[PlaybookDeed]:
    """Return every undo of a stage; `found` are the entries of that stage."""
    return [
        PlaybookDeed(
            stage=begun.stage,
            playbook=begun.playbook,
            started=entry.at,
            finished=end[0].at if end else None,
            outcome=end[1].outcome if end else None,
            message=end[1].message if end else None,
        )
        for entry, begun, end in pairs(found, UndoStarted, UndoFinished)
    ]


def merge_back_outs(found: Iterable[Entry]) -> list[PlaybookDeed]:
    """Return every attempt to back out the merge (R17)."""
    return [
        PlaybookDeed(
            stage=begun.stage,
            playbook=begun.playbook,
            started=entry.at,
            finished=end[0].at if end else None,
            outcome=end[1].outcome if end else None,
            message=end[1].message if end else None,
            facts=end[1].facts if end else {},
        )
        for entry, begun, end in pairs(found, BackOutStarted, BackOutFinished)
    ]


def _between(found: Iterable[Entry], begun: Entry, ended: Entry | None) -> list[Entry]:
    """Return the entries of one attempt; one without an end lasts until the next begins."""
    inside: list[Entry] = []
    within = False
    for entry in found:
        if within and (entry is ended or isinstance(entry.event, StageStarted)):
            break
        if within:
            inside.append(entry)
        within = within or entry is begun
    return inside


def _steps(inside: Iterable[Entry], end: tuple[Entry, StageFinished] | None) -> list[StepTaken]:
    """Return the steps of one attempt: each lasts until the next begins, the last until the stage ends."""
    begun = [(event.step, event.since or entry.at) for entry, event in of(inside, StepStarted)]
    ends = [since for _, since in begun[1:]]
    steps = [StepTaken(step, since, until, whole=True) for (step, since), until in zip(begun, ends)]
    if begun:
        steps.append(StepTaken(*begun[-1], end[0].at if end else None, whole=bool(end and end[1].outcome == "ok")))
    return steps
