"""The pin: what stages have settled, and which done stages rest on it, by the process and the journal's entries.

A stage that is run again may settle something else: another revision, or the same with a fix of the merge (R11, R13).
Stages that rested on the earlier value must be done again; the entry that settles the new one lists them as `redo`.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..journal.entries import Entry
from ..journal.events import StageFinished
from ..journal.stages import actual, ended_well


def settled(found: Iterable[Entry]) -> dict[str, Any]:
    """Return the values that are settled: each stage's from its last good end, unless it must be done again."""
    told: dict[str, Any] = {}
    for pin in _by_stage(found).values():
        told.update(pin)
    return told


def fields(found: Iterable[Entry]) -> set[str]:
    """Return every field that a stage has ever settled: in the plan, its value is not a person's."""
    ended = (ended_well(entry.event) for entry in found)
    return {field for event in ended if event for field in event.facts.get("pin") or {}}


def to_redo(
    process: Sequence[Mapping[str, Any]], found: Sequence[Entry], stage: str, pin: Mapping[str, Any]
) -> list[str]:
    """Return the stages to be done again once `stage` settles `pin`, in the order of the process.

    They are the done stages after it in the process. A stage of the window stays done: only its undo takes back what it
    did to the hosts.
    """
    before = _by_stage(found).get(stage)
    if not pin or before is None or all(pin.get(field) == value for field, value in before.items()):
        return []  # what a newer version of ours settles besides is no other value
    names = [each["stage"] for each in process]
    records = actual(found)
    return [
        each["stage"]
        for each in process[names.index(stage) + 1 :]
        if not each.get("window") and each["stage"] in records and records[each["stage"]].done
    ]


def _by_stage(found: Iterable[Entry]) -> dict[str, Mapping[str, Any]]:
    """Return what each stage has settled, in the order in which they settled it last."""
    pins: dict[str, Mapping[str, Any]] = {}
    for entry in found:
        if event := ended_well(entry.event):
            if pin := event.facts.get("pin"):
                pins.pop(event.stage, None)
                pins[event.stage] = pin
            for name in event.redo if isinstance(event, StageFinished) else ():
                pins.pop(name, None)
    return pins
