"""What was begun and how it ended: the journal's lines in pairs. An end that is not on record (a crash) is None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.time import timeline

Entry = Mapping[str, Any]
RESERVED_FACTS = {"evidence", "pin", "estimates", "fits", "irreversible"}


@dataclass(frozen=True)
class StepTaken:
    """One step of a stage, as a host told of it. `whole`: it came to its own end, it was not cut off with the stage."""

    step: str
    since: datetime
    until: datetime | None
    whole: bool

    @property
    def duration(self) -> timedelta | None:
        """How long it ran; None when the journal does not say until when."""
        return self.until - self.since if self.until else None


@dataclass(frozen=True)
class Attempt:
    """One run of a stage's playbook. `finished` and `outcome` are None when the journal does not say how it ended."""

    number: int
    started: datetime
    finished: datetime | None
    outcome: str | None
    facts: Mapping[str, Any]
    message: str | None
    steps: Sequence[StepTaken] = ()

    @property
    def duration(self) -> timedelta | None:
        """How long it took."""
        return self.finished - self.started if self.finished else None

    @property
    def evidence(self) -> Sequence[str]:
        """The lines that the playbook left for people."""
        lines: Sequence[str] = self.facts.get("evidence", ())
        return lines

    @property
    def other_facts(self) -> dict[str, Any]:
        """What the playbook reported besides the contract's own keys."""
        return {key: value for key, value in self.facts.items() if key not in RESERVED_FACTS}


@dataclass(frozen=True)
class GateAsked:
    """One question, or one about an `item` of it, and its answer: None when the journal ends before it."""

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
class UndoStep:
    """One undo playbook. `outcome` is None when the journal does not say how it ended."""

    stage: str
    playbook: str
    started: datetime
    finished: datetime | None
    outcome: str | None
    message: str | None


@dataclass(frozen=True)
class BackOut:
    """One back-out (R17). `outcome` is None when the journal does not say how it ended."""

    stage: str
    playbook: str
    started: datetime
    finished: datetime | None
    outcome: str | None
    facts: Mapping[str, Any]
    message: str | None


@dataclass(frozen=True)
class Sitting:
    """One `./runbook.py run`: who opened it, how it ended (None: nothing more was due, or it crashed)."""

    opened: datetime
    by: str
    closed: datetime | None
    outcome: str | None
    exit_code: int | None
    message: str


def at(entry: Entry) -> datetime:
    """When the entry was written, on the rollout's clock."""
    return timeline.parse_instant(entry["at"])


def attempts(entries: Sequence[Entry]) -> list[Attempt]:
    """Every run of the playbook of the stage whose entries these are."""
    return [
        Attempt(
            number=begun.get("attempt", 1),
            started=at(begun),
            finished=at(ended) if ended else None,
            outcome=ended["outcome"] if ended else None,
            facts=(ended.get("facts") or {}) if ended else {},
            message=ended.get("message") if ended else None,
            steps=_steps(_between(entries, begun, ended), ended),
        )
        for begun, ended in pairs(entries, "stage_started", "stage_finished")
    ]


def _between(entries: Iterable[Entry], begun: Entry, ended: Entry | None) -> list[Entry]:
    """The entries of one attempt; one without an end lasts until the next begins."""
    found: list[Entry] = []
    inside = False
    for entry in entries:
        if inside and (entry is ended or entry["event"] == "stage_started"):
            break
        if inside:
            found.append(entry)
        inside = inside or entry is begun
    return found


def _steps(entries: Iterable[Entry], ended: Entry | None) -> list[StepTaken]:
    """The steps of one attempt: each lasts until the next begins, the last until the stage ends."""
    told = [entry for entry in entries if entry["event"] == "step_started"]
    begun = [(entry["step"], timeline.parse_instant(entry.get("since", entry["at"]))) for entry in told]
    ends = [since for _, since in begun[1:]]
    steps = [StepTaken(step, since, until, whole=True) for (step, since), until in zip(begun, ends, strict=False)]
    if begun:
        whole = bool(ended and ended["outcome"] == "ok")
        steps.append(StepTaken(*begun[-1], at(ended) if ended else None, whole))
    return steps


def gates(entries: Iterable[Entry]) -> list[GateAsked]:
    """Every question of the stage whose entries these are."""
    return [
        GateAsked(
            gate=asked["gate"],
            item=asked.get("item"),
            question=asked["question"],
            evidence=asked["evidence"],
            asked=at(asked),
            answer=answered["answer"] if answered else None,
            answered=at(answered) if answered else None,
            by=answered["by"] if answered else None,
            source=answered["source"] if answered else None,
        )
        for asked, answered in pairs(entries, "gate_asked", "gate_answered")
    ]


def undo_steps(entries: Iterable[Entry]) -> list[UndoStep]:
    """Every undo of the stage whose entries these are."""
    return [
        UndoStep(
            stage=begun["stage"],
            playbook=begun["playbook"],
            started=at(begun),
            finished=at(ended) if ended else None,
            outcome=ended["outcome"] if ended else None,
            message=ended.get("message") if ended else None,
        )
        for begun, ended in pairs(entries, "undo_started", "undo_finished")
    ]


def back_outs(entries: Iterable[Entry]) -> list[BackOut]:
    """Every time that everything was backed out, or was to be."""
    return [
        BackOut(
            stage=begun["stage"],
            playbook=begun["playbook"],
            started=at(begun),
            finished=at(ended) if ended else None,
            outcome=ended["outcome"] if ended else None,
            facts=(ended.get("facts") or {}) if ended else {},
            message=ended.get("message") if ended else None,
        )
        for begun, ended in pairs(entries, "back_out_started", "back_out_finished")
    ]


def sittings(entries: Iterable[Entry]) -> list[Sitting]:
    """Every run of the runbook."""
    return [
        Sitting(
            opened=at(opened),
            by=opened["by"],
            closed=at(closed) if closed else None,
            outcome=closed["outcome"] if closed else None,
            exit_code=closed["exit_code"] if closed else None,
            message=(closed["message"] or "") if closed else "",
        )
        for opened, closed in pairs(entries, "rollout_opened", "rollout_closed")
    ]


def pairs(entries: Iterable[Entry], begins: str, ends: str) -> Iterator[tuple[Entry, Entry | None]]:
    """Each beginning with the end that follows it before the next beginning."""
    begun: Entry | None = None
    for entry in entries:
        if entry["event"] == begins:
            if begun:
                yield begun, None
            begun = entry
        elif entry["event"] == ends and begun:
            yield begun, entry
            begun = None
    if begun:
        yield begun, None
