"""What rollouts that are over have left switched on: an aborted one may leave PQM in RC mode (R13)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.module_utils.rollout_core.journal import brackets as holds
from plugins.module_utils.rollout_core.journal.brackets import Hold
from plugins.module_utils.rollout_core.time.timeline import Entry
from rollout import ROOT
from rollout.journal import store

if TYPE_CHECKING:
    from rollout.plan.model import Plan

MARKS = (b'"until":', b'"hold":')  # of a stage that began to hold, or was carried over while it held


@dataclass(frozen=True)
class Left:
    """A rollout that is over, and what of it still holds."""

    directory: Path
    plan: Plan
    holds: list[Hold]


def left_on(inventory: Path | None, but: Path | None = None) -> Left | None:
    """The rollout, of this inventory, that is over and has left something on; None: nothing is.

    What one rollout began, a later one may have taken over or ended: only the latest that had to do with it says how it
    is. `but` is the rollout that somebody looks at already.
    """
    from rollout.plan import model as plans  # here: its models take 0.1 s

    journals = sorted(store.directory().glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in journals:
        if not any(mark in path.read_bytes() for mark in MARKS):  # cheap, and many have nothing to do with it
            continue
        entries = store.entries(path.parent)
        if not any(_begins(entry) for entry in entries):
            continue
        plan = plans.load(path.with_name("plan.yml"))
        if inventory is not None and (ROOT / plan.inventory).resolve() != inventory:
            continue
        return _left(path.parent, plan, entries) if path.parent != but else None
    return None


def to_end(stage: str, inventory: Path | None, plan_file: Path | None) -> Left | None:
    """The rollout that is over and has left on what `stage` ends; None: there is none. The given plan's, if any."""
    if plan_file is not None:
        directory, plan = store.latest(plan_file)
        left = _left(directory, plan, store.entries(directory))
    else:
        left = left_on(inventory)
    return left if left and any(hold.until == stage for hold in left.holds) else None


def _left(directory: Path, plan: Plan, entries: Sequence[Entry]) -> Left | None:
    on = holds.still_on(plan.as_vars()["process"], entries)
    return Left(directory, plan, on) if on and store.is_closed(directory) else None


def _begins(entry: Entry) -> bool:
    return (entry["event"], True) in (("stage_started", "until" in entry), ("stage_carried", "hold" in entry))
