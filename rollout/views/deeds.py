"""What was begun and how it ended: the journal's lines in pairs. An end that is not on record (a crash) is None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rollout_core import timeline

Entry = Mapping[str, Any]
RESERVED_FACTS = {"evidence", "pin", "estimates", "irreversible"}


@dataclass(frozen=True)
class Attempt:
    """One run of a stage's playbook. `finished` and `outcome` are None when the journal does not say how it ended."""

    number: int
    started: datetime
    finished: datetime | None
    outcome: str | None
    facts: Mapping[str, Any]
    message: str | None

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
    """One question, and its answer: `answer` is None when the journal ends before it."""

    gate: str
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


def attempts(entries: Iterable[Entry]) -> list[Attempt]:
    """Every run of the playbook of the stage whose entries these are."""
    return [
        Attempt(
            number=begun["attempt"],
            started=at(begun),
            finished=at(ended) if ended else None,
            outcome=ended["outcome"] if ended else None,
            facts=ended["facts"] if ended else {},
            message=ended["message"] if ended else None,
        )
        for begun, ended in _pairs(entries, "stage_started", "stage_finished")
    ]


def gates(entries: Iterable[Entry]) -> list[GateAsked]:
    """Every question of the stage whose entries these are."""
    return [
        GateAsked(
            gate=asked["gate"],
            question=asked["question"],
            evidence=asked["evidence"],
            asked=at(asked),
            answer=answered["answer"] if answered else None,
            answered=at(answered) if answered else None,
            by=answered["by"] if answered else None,
            source=answered["source"] if answered else None,
        )
        for asked, answered in _pairs(entries, "gate_asked", "gate_answered")
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
        for begun, ended in _pairs(entries, "undo_started", "undo_finished")
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
        for opened, closed in _pairs(entries, "rollout_opened", "rollout_closed")
    ]


def _pairs(entries: Iterable[Entry], begins: str, ends: str) -> Iterator[tuple[Entry, Entry | None]]:
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
