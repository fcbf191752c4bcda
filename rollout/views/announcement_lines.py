"""Lines of `status`: who has confirmed the time, and which announcements are not out or were late (R3, R7, R21)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.questions import confirmed
from plugins.module_utils.rollout_core.journal.stages import actual


def lines(plan: Mapping[str, Any], entries: Sequence[Entry], now: datetime) -> list[str]:
    """Return what a person should know of announcements; a line that begins with `!` asks them to do something."""
    return [*_confirmations(plan, entries), *_unsent(entries), *missed(plan, entries, now)]


def _confirmations(plan: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[str]:
    for stage in plan["process"]:
        named = [gate["gate"] for gate in stage.get("gates", ()) if gate.get("named")]
        said = {gate: _said(entries, stage["stage"], gate) for gate in named}
        if any(said.values()):
            people = [f"{gate} ({name})" for gate, name in said.items() if name]
            missing = [gate for gate, name in said.items() if not name]
            mark, still = ("✓", "") if not missing else (" ", f" · not yet: {', '.join(missing)}")
            yield f"{mark}  {stage['stage']}: {', '.join(people)}{still}"


def _said(entries: Sequence[Entry], stage: str, gate: str) -> str | None:
    """Return who answered the gate, and when; None while nobody has."""
    found = confirmed(entries, stage, gate)
    if found is None:
        return None
    entry, answer = found
    return f"{answer.name or answer.by}, {entry.at:%a %d %b}"


def _unsent(entries: Sequence[Entry]) -> Iterator[str]:
    for announcement in outbox.announcements(entries):
        by = f", to be out by {announcement.by:%a %d %b %H:%M} UTC" if announcement.by else ""
        for copy in announcement.open:
            why = f": {copy.said}" if copy.said else ""
            where = f"{announcement.message} is not out on {copy.channel}"
            yield f"! {where} ({copy.state}{why}){by}   ./runbook.py announce"


def missed(plan: Mapping[str, Any], entries: Sequence[Entry], now: datetime) -> Iterator[str]:
    """Yield the announcements that were late; none once the window has begun, whose gate has asked about them."""
    records = actual(entries)
    if any(stage.get("window") and stage["stage"] in records for stage in plan["process"]):
        return
    for each in outbox.missed(plan, entries, now):
        yield f"! {each.told()}: before the window a person must waive it"
