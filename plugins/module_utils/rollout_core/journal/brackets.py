"""What a stage leaves switched on until a later one is done (`holds` in process.yml): the bracket of R13 and R15.

It holds from the moment at which the stage begins: a stage that fails half-way may have switched it on. It ends when
stage `until` is done after that, when the `release` playbook, a back-out or the stage's own undo has ended it. All of
it is computed from the process and the journal's entries; instants are timezone-aware UTC datetimes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Iterable, Mapping, Sequence

from ..time.timeline import Entry, ended_well, parse_instant


@dataclass(frozen=True)
class Hold:
    """One time that it held.

    `why` it is still on, as the release playbook found last (None: nobody has tried to end it). `ended` and `ended_by`,
    a stage or a playbook, are None while it holds.
    """

    stage: str
    what: str
    until: str
    release: str
    since: datetime
    why: str | None = None
    ended: datetime | None = None
    ended_by: str | None = None

    @property
    def on(self) -> bool:
        """Whether it still holds."""
        return self.ended is None


def holds(process: Sequence[Mapping[str, Any]], entries: Iterable[Entry]) -> list[Hold]:
    """Every time that something held, in the order in which they began.

    `process` is the plan's, `entries` the journal's in their order. A holding stage that is tried again while it still
    holds begins nothing new; one that was carried over from an earlier rollout holds as it did there.
    """
    holders = {stage["stage"]: stage["holds"] for stage in process if stage.get("holds")}
    found: list[Hold] = []
    on: dict[str, int] = {}  # which of `found` each stage holds now
    for entry in entries:
        stage = entry.get("stage", "")
        for holder, by in _ended(entry, holders, on):
            number = on.pop(holder)
            found[number] = replace(found[number], ended=parse_instant(entry["at"]), ended_by=by)
        if entry["event"] == "release_finished" and stage in on:
            found[on[stage]] = replace(found[on[stage]], why=entry["why"])
        if entry["event"] in ("stage_started", "stage_carried") and stage in holders and stage not in on:
            on[stage] = len(found)
            found.append(_begun(entry, holders[stage]))
    return found


def still_on(process: Sequence[Mapping[str, Any]], entries: Iterable[Entry]) -> list[Hold]:
    """What holds now."""
    return [hold for hold in holds(process, entries) if hold.on]


def _begun(entry: Entry, holder: Mapping[str, Any]) -> Hold:
    before = entry.get("hold") or {}  # of a stage that was carried over: since when, and why
    return Hold(
        stage=entry["stage"],
        what=holder["what"],
        until=holder["until"],
        release=holder["release"],
        since=parse_instant(before.get("since", entry["at"])),
        why=before.get("why"),
    )


def _ended(
    entry: Entry, holders: Mapping[str, Mapping[str, Any]], on: Mapping[str, int]
) -> list[tuple[str, str | None]]:
    """Which holders this entry ends, and by which stage or playbook."""
    event, stage = entry["event"], entry.get("stage", "")
    if ended_well(entry):
        return [(holder, stage) for holder in on if holders[holder]["until"] == stage]
    if event == "release_finished" and entry["released"] and stage in on:
        return [(stage, holders[stage]["release"])]
    if event == "back_out_finished" and (entry.get("facts") or {}).get("released"):
        return [(holder, entry.get("playbook")) for holder in on]
    if event == "undo_finished" and entry["outcome"] == "ok" and stage in on:
        return [(stage, entry.get("playbook"))]
    return []
