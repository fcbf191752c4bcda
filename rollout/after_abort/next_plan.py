"""Writes the plan of the next attempt (R21): what it takes over from the rollout that was aborted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import brackets
from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import (
    BackOutStarted,
    ClockSet,
    ReleaseFinished,
    RolloutOpened,
    StageCarried,
    StageFinished,
)
from rollout import ROOT
from rollout.after_abort.aborted import Aborted
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import creation
from rollout.plan import model as plans
from rollout.plan.kinds import PlanWanted
from rollout.plan.model import Pinned, Plan

REPLACED = "replaced"


def write(aborted: Aborted, start: datetime, backup: datetime, *, same_pin: bool) -> Path:
    """Write the plan of the attempt at `start` and return its path. Raises BadInputError; then nothing was written.

    With the same pin, what was done and `carries` is done in the new rollout too: its journal says so from the start.
    """
    plan, clock = aborted.plan, aborted.clock
    path = creation.new_plan(ROOT / plan.inventory, clock.now(), start, backup, PlanWanted.as_in(plan), plan.id)
    try:
        _fill(path, aborted, same_pin=same_pin)
    except BaseException:
        shutil.rmtree(path.parent)  # with half of what it should carry it would be another plan
        raise
    return path


def _fill(path: Path, aborted: Aborted, *, same_pin: bool) -> None:
    """Have the new plan follow the aborted rollout, and carry what stands of it. Raises OSError."""
    plan, clock = aborted.plan, aborted.clock
    fresh = plans.load(path)
    seed = Journal(path.with_name("journal.jsonl"), now=clock.now)
    if clock.offset:
        reason = f"the rehearsal of {plan.id} goes on"
        seed.write(ClockSet(offset_seconds=clock.offset.total_seconds(), reason=reason))
    update: dict[str, Any] = {"follows": [*plan.follows, plan.id]}
    if same_pin:
        pinned = fresh.pinned.model_dump(exclude_none=True)
        pinned.update({} if plan.pinned.revision is None else {"revision": plan.pinned.revision})
        for event in carried(plan, aborted.journal.entries):
            if any(stage.stage == event.stage for stage in fresh.process):
                seed.write(event)
                pinned.update(event.facts.get("pin", {}))
        update["pinned"] = Pinned.model_validate(pinned)
    plans.save(fresh.model_copy(update=update), path)


def carried(plan: Plan, entries: Sequence[Entry]) -> list[StageCarried]:
    """Return the events that the next journal begins with: the stages that are carried over (R21).

    They are the stages before the window that need not be repeated for this pin. A stage rests on those before it: from
    the first one that is not done, everything is done again.
    """
    done = _done(plan, entries)
    for bracket in brackets.still_on(plan.as_vars()["process"], entries):
        if bracket.stage in done:
            still = {"since": bracket.since.isoformat(), "why": bracket.why}
            done[bracket.stage] = replace(done[bracket.stage], hold=still)
    found = []
    for stage in plan.process:
        if stage.carries and not stage.window:
            if stage.stage not in done:
                break
            found.append(done[stage.stage])
    return found


def _done(plan: Plan, entries: Sequence[Entry]) -> dict[str, StageCarried]:
    """Return the stages that are done, by name; none that was backed out, ended early, or rests on an older pin."""
    done: dict[str, StageCarried] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, StageCarried):
            done[event.stage] = replace(event, hold=None)
        elif isinstance(event, StageFinished) and event.outcome == "ok":
            done[event.stage] = StageCarried(stage=event.stage, rollout=plan.id, facts=event.facts)
            for rests in event.redo:
                done.pop(rests, None)
        elif isinstance(event, ReleaseFinished) and event.released:
            done.pop(event.stage, None)
        elif isinstance(event, BackOutStarted):
            done.clear()
    return done


@contextmanager
def earlier_set_aside(aborted: Aborted) -> Iterator[Path | None]:
    """Move an earlier plan for the next attempt into `replaced/`; yield its new place, or None if there was none.

    It is moved back when the block raises. Raises BadInputError if it has begun, LockedError while a runbook is at
    work.
    """
    path = aborted.earlier_plan
    if path is None:
        yield None
        return
    earlier, aside = path.parent, aborted.directory / REPLACED
    with store.lock(earlier):
        if any(True for _ in of(store.entries(earlier), RolloutOpened)):
            said = f"E-next-begun  The next attempt, {earlier.name}, has begun: it is not planned anew."
            raise BadInputError(f"{said}\n  See where it stands:  ./runbook.py status --plan {path}")
        aside.mkdir(exist_ok=True)
        moved = earlier.rename(aside / f"{len(list(aside.iterdir())) + 1}-{earlier.name}")
    try:
        yield moved
    except BaseException:
        moved.rename(earlier)
        raise
