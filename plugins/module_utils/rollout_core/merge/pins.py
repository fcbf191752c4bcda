"""What the stages have settled (`pin`), and what rests on it: computed from the process and the journal's entries.

A stage that is run again may settle something else: another revision, or the one with a fix of the merge (R11, R13).
What was done on what is not so any more is to be done again; the entry that settles it says what, as `redo`.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ..time.timeline import Entry, actual, ended_well


def settled(entries: Iterable[Entry]) -> dict[str, Any]:
    """What is settled: of each stage what its last good end said, unless that is to be done again."""
    found: dict[str, Any] = {}
    for pin in _by_stage(entries).values():
        found.update(pin)
    return found


def fields(entries: Iterable[Entry]) -> set[str]:
    """Every field that a stage has ever settled: in the plan, its value is the stages', not a person's."""
    return {field for entry in entries if ended_well(entry) for field in _pin(entry)}


def to_redo(
    process: Sequence[Mapping[str, Any]], entries: Sequence[Entry], stage: str, pin: Mapping[str, Any]
) -> list[str]:
    """What is to be done again once `stage` settles `pin`, in the order of the process; empty if that is as before.

    Those are the stages behind it in the process that are done. A stage of the window stays done: what it did to the
    hosts, only its undo takes back.
    """
    before = _by_stage(entries).get(stage)
    if not pin or before is None or before == pin:
        return []
    names = [each["stage"] for each in process]
    records = actual(entries)
    return [
        each["stage"]
        for each in process[names.index(stage) + 1 :]
        if not each.get("window") and each["stage"] in records and records[each["stage"]].done
    ]


def _by_stage(entries: Iterable[Entry]) -> dict[str, Mapping[str, Any]]:
    """What each stage has settled, in the order in which they did last."""
    pins: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if ended_well(entry):
            if pin := _pin(entry):
                pins.pop(entry["stage"], None)
                pins[entry["stage"]] = pin
            for name in entry.get("redo", ()):
                pins.pop(name, None)
    return pins


def _pin(entry: Entry) -> Mapping[str, Any]:
    pin: Mapping[str, Any] = (entry.get("facts") or {}).get("pin") or {}
    return pin
