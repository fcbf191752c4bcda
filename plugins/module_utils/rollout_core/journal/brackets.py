"""Brackets: what a stage switches on and a later one ends (`bracket` in process.yml, R13, R15), by the journal.

A bracket is on from the moment at which its stage begins: a stage that fails half-way may have switched it on. It ends
when stage `ends_with` is done after that, or when the playbook `end_early`, the merge back-out or the stage's own undo
has ended it. All of it is computed from the process and the journal's entries.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Iterable, Mapping, Sequence

from ..time.timeline import parse_instant
from .entries import Entry
from .events import BackOutFinished, ReleaseFinished, StageCarried, StageStarted, UndoFinished
from .stages import ended_well

Process = Sequence[Mapping[str, Any]]
# What process.yml called it before: plans of then are not carried out any more, but their journals are still read.
EARLIER = {"what": "what", "until": "ends_with", "release": "end_early"}


@dataclass(frozen=True)
class SwitchedOn:
    """One time that a bracket was on.

    `why` it is still on, as `end_early` found last (None: nobody has tried to end it). `ended` and `ended_by`, a stage
    or a playbook, are None while it is on.
    """

    stage: str
    what: str
    ends_with: str
    end_early: str
    since: datetime
    why: str | None = None
    ended: datetime | None = None
    ended_by: str | None = None

    @property
    def on(self) -> bool:
        """Return True while nothing has ended the bracket."""
        return self.ended is None


def brackets(process: Process) -> dict[str, Mapping[str, str]]:
    """Return `{what, ends_with, end_early}` of each stage that has a bracket."""
    earlier = {
        stage["stage"]: {EARLIER[name]: value for name, value in stage["holds"].items()}
        for stage in process
        if stage.get("holds")
    }
    return {**earlier, **{stage["stage"]: stage["bracket"] for stage in process if stage.get("bracket")}}


def switched_on(process: Process, found: Iterable[Entry]) -> list[SwitchedOn]:
    """Return every time that a bracket was switched on, in order. `process` is the plan's.

    A stage that is tried again while its bracket is on switches nothing new on. A bracket that was carried over from an
    earlier rollout is on since then.
    """
    known = brackets(process)
    times: list[SwitchedOn] = []
    on: dict[str, int] = {}  # which of `times` each stage has on now
    for entry in found:
        event = entry.event
        for stage, by in _ended(entry, known, on):
            number = on.pop(stage)
            times[number] = replace(times[number], ended=entry.at, ended_by=by)
        if isinstance(event, ReleaseFinished) and event.stage in on:
            times[on[event.stage]] = replace(times[on[event.stage]], why=event.why)
        if isinstance(event, (StageStarted, StageCarried)) and event.stage in known and event.stage not in on:
            on[event.stage] = len(times)
            before = (event.hold or {}) if isinstance(event, StageCarried) else {}
            since = parse_instant(before["since"]) if "since" in before else entry.at
            times.append(_begun(event.stage, known[event.stage], since, before.get("why")))
    return times


def still_on(process: Process, found: Iterable[Entry]) -> list[SwitchedOn]:
    """Return the brackets that are on now."""
    return [each for each in switched_on(process, found) if each.on]


def begins(entry: Entry) -> bool:
    """Return True if the entry says that a bracket was switched on, or was still on when its stage was carried over."""
    event = entry.event
    return bool(isinstance(event, StageStarted) and event.until) or bool(isinstance(event, StageCarried) and event.hold)


def _begun(stage: str, bracket: Mapping[str, str], since: datetime, why: str | None) -> SwitchedOn:
    return SwitchedOn(stage, bracket["what"], bracket["ends_with"], bracket["end_early"], since, why)


def _ended(entry: Entry, known: Mapping[str, Mapping[str, str]], on: Mapping[str, int]) -> list[tuple[str, str | None]]:
    """Return the stages whose bracket this entry ends, each with the stage or playbook that ended it."""
    event = entry.event
    if ended := ended_well(event):
        return [(stage, ended.stage) for stage in on if known[stage]["ends_with"] == ended.stage]
    if isinstance(event, ReleaseFinished) and event.released and event.stage in on:
        return [(event.stage, known[event.stage]["end_early"])]
    if isinstance(event, BackOutFinished) and event.facts.get("released"):
        return [(stage, event.playbook or None) for stage in on]
    if isinstance(event, UndoFinished) and event.outcome == "ok" and event.stage in on:
        return [(event.stage, event.playbook or None)]
    return []
