"""Finds what closed rollouts have left switched on: an aborted one may leave PQM in RC mode (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import brackets
from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn
from rollout import ROOT
from rollout.journal import store

MARKS = (b'"until":', b'"hold":')  # of a stage that switched something on, or was carried over while that was on


@dataclass(frozen=True)
class LeftOn:
    """A closed rollout, by its id, and what it has left switched on."""

    directory: Path
    rollout: str
    still_on: list[SwitchedOn]


def left_on(inventory: Path | None, but: Path | None = None) -> LeftOn | None:
    """Return the rollout, of this inventory, that is over and has left something on; None: nothing is.

    What one rollout began, a later one may have taken over or ended: only the latest that had to do with it says how it
    is. `but` is the rollout that somebody looks at already.
    """
    for directory in store.newest_first():
        if not store.mentions(directory, MARKS):
            continue
        if not any(map(brackets.begins, store.entries(directory))):
            continue
        if inventory is not None and _inventory(directory) != inventory:
            continue
        return _left(directory) if directory != but else None
    return None


def to_end(stage: str, inventory: Path | None, plan_file: Path | None) -> LeftOn | None:
    """Return the closed rollout, or the given plan's, that has left on what `stage` ends; None if there is none."""
    left = _left(plan_file.resolve().parent) if plan_file is not None else left_on(inventory)
    return left if left and any(each.ends_with == stage for each in left.still_on) else None


def _left(directory: Path) -> LeftOn | None:
    plan = _plan(directory)
    on = brackets.still_on(plan["process"] or (), store.entries(directory))
    return LeftOn(directory, str(plan["id"]), on) if on and store.is_closed(directory) else None


def _inventory(directory: Path) -> Path:
    return (ROOT / str(_plan(directory)["inventory"])).resolve()


def _plan(directory: Path) -> dict[str, Any]:
    """Return only the plan fields needed here: an old plan may lack fields that today's must have."""
    from rollout.plan import past  # here: it needs the plan's models, which take 0.1 s

    return past.fields(directory / "plan.yml", ("id", "inventory", "process")) or {
        "id": directory.name,
        "inventory": "",
        "process": [],
    }
