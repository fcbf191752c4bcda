"""Estimates how long a stage, and its undo, takes, from earlier rollouts and drills (R2, R19).

Only the work counts: the time that a person took to answer a gate of the stage is not part of it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import (
    ClockSet,
    Event,
    GateAnswered,
    GateAsked,
    RolloutClosed,
    StageFinished,
    StageStarted,
    UndoFinished,
    UndoStarted,
)
from rollout import documents
from rollout.journal import store
from rollout.outcomes import BadInputError, RunbookError
from rollout.plan.process import Expects, Stage, Undo

Entries = Sequence[Entry]

NEWEST = 12  # rollouts, and as many drills
ENOUGH = 3  # samples, for a stage's estimate
HISTORY = "history"
MEASURED_BEFORE = "staging"  # an earlier stage of each rollout measures these: history does not replace them (R9)


def with_history(process: Sequence[Stage], rollouts: Sequence[Entries], drills: Sequence[Entries]) -> list[Stage]:
    """Return the process with estimates from history; a stage without history keeps its own.

    `rollouts` and `drills` are journals of one inventory. A stage takes the median of its durations in the rollouts
    that were done; undoing takes the longest that it ever took, in drills too.
    """
    gates = {gate.gate for stage in process for gate in stage.gates if gate.ask == "after"}
    took = _collected(_stages(entries, gates) for entries in rollouts if _done(entries))
    undone = _collected(_undos(entries) for entries in (*rollouts, *drills))
    return [_estimated(stage, took.get(stage.stage, []), undone.get(stage.stage, [])) for stage in process]


def journals(directory: Path, same: Mapping[str, str | None]) -> list[Entries]:
    """Return the newest journals below a directory whose plans have the `same` fields, newest first.

    Journals that cannot be read are left out.
    """
    found: list[Entries] = []
    for rollout in store.newest_first("**", below=directory):
        if len(found) == NEWEST:
            break
        if fields(rollout / "plan.yml", same) == same:
            with suppress(RunbookError):
                found.append(store.entries(rollout))
    return found


def fields(plan_file: Path, names: Iterable[str]) -> dict[str, Any] | None:
    """Return these fields of a plan file; nothing else is read, for old plans lack fields that today's must have."""
    try:
        return documents.checked(plan_file, lambda document: {name: document["rollout"].get(name) for name in names})
    except (BadInputError, KeyError, TypeError, AttributeError):
        return None


def _done(entries: Entries) -> bool:
    closed = [event.outcome for _, event in of(entries, RolloutClosed)]
    return closed[-1:] == ["done"]


def _estimated(stage: Stage, took: Sequence[float], undone: Sequence[float]) -> Stage:
    update: dict[str, Expects | Undo] = {}
    if len(took) >= ENOUGH and stage.expects.source != MEASURED_BEFORE:
        fields = {"minutes": _minutes(statistics.median(took)), "worst_minutes": _minutes(max(took))}
        update["expects"] = Expects.model_validate({**fields, "samples": len(took), "from": HISTORY})
    if undone and stage.undo:
        fields = {"minutes": _minutes(max(undone)), "samples": len(undone)}
        update["undo"] = Undo.model_validate({**fields, "playbook": stage.undo.playbook, "from": HISTORY})
    return stage.model_copy(update=update)


def _minutes(seconds: float) -> float:
    """Return seconds as minutes, rounded up to a thousandth; never less than a second."""
    return math.ceil(max(seconds, 1) / 60 * 1000) / 1000


def _collected(found: Iterable[Iterator[tuple[str, float]]]) -> dict[str, list[float]]:
    collected: dict[str, list[float]] = {}
    for durations in found:
        for stage, seconds in durations:
            collected.setdefault(stage, []).append(seconds)
    return collected


def _stages(entries: Entries, gates: Container[str]) -> Iterator[tuple[str, float]]:
    """Yield stage and seconds of every attempt that ended well; what a person did by hand was not timed."""
    for ended, inside in _spans(entries, StageStarted, StageFinished):
        if isinstance(ended, StageFinished) and not ended.facts.get("by_hand"):
            yield ended.stage, _seconds(inside) - _waited(ended.stage, inside, gates)


def _undos(entries: Entries) -> Iterator[tuple[str, float]]:
    """Yield stage and seconds of every undo that ended well."""
    for ended, inside in _spans(entries, UndoStarted, UndoFinished):
        yield ended.stage, _seconds(inside)


def _spans(
    entries: Entries, begins: type[StageStarted | UndoStarted], ends: type[StageFinished | UndoFinished]
) -> Iterator[tuple[StageFinished | UndoFinished, Entries]]:
    """Yield each good end with the entries from its beginning to it, unless the clock was set between them."""
    begun: dict[str, int] = {}
    for number, entry in enumerate(entries):
        event: Event = entry.event
        if isinstance(event, ClockSet):
            begun.clear()
        elif isinstance(event, begins):
            begun[event.stage] = number
        elif isinstance(event, ends):
            start = begun.pop(event.stage, None)
            if start is not None and event.outcome == "ok":
                yield event, entries[start : number + 1]


def _seconds(inside: Entries) -> float:
    return (inside[-1].at - inside[0].at).total_seconds()


def _waited(stage: str, inside: Entries, gates: Container[str]) -> float:
    """Return for how many seconds the stage's gates waited for answers after its work."""
    waited = 0.0
    asked: dict[str, Entry] = {}
    for entry in inside:
        event = entry.event
        if not isinstance(event, (GateAsked, GateAnswered)) or event.stage != stage or event.gate not in gates:
            continue
        if isinstance(event, GateAsked):
            asked[event.gate] = entry
        elif event.gate in asked:
            waited += _seconds((asked.pop(event.gate), entry))
    return waited
