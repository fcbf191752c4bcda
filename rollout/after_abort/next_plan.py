"""The plan of the next attempt (R21): what it takes over from the rollout that was aborted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import brackets as holds
from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT
from rollout.after_abort.aborted import Aborted
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import creation
from rollout.plan import model as plans
from rollout.plan.kinds import Wanted
from rollout.plan.model import Pinned, Plan

REPLACED = "replaced"
Entry = Mapping[str, Any]


def write(aborted: Aborted, start: datetime, backup: datetime, *, same_pin: bool) -> Path:
    """Write the plan of the attempt at `start` and return its path. Raises BadInputError; then nothing was written.

    With the same pin, what was done and `carries` is done in the new rollout too: its journal says so from the start.
    """
    plan, clock = aborted.plan, aborted.clock
    path = creation.new_plan(ROOT / plan.inventory, clock.now(), start, backup, Wanted.as_in(plan))
    fresh = plans.load(path)
    seed = Journal(path.with_name("journal.jsonl"), now=clock.now)
    if clock.offset:
        reason = f"the rehearsal of {plan.id} goes on"
        seed.write("clock_set", offset_seconds=clock.offset.total_seconds(), reason=reason)
    update: dict[str, Any] = {"follows": [*plan.follows, plan.id]}
    if same_pin:
        pinned = fresh.pinned.model_dump(exclude_none=True)
        pinned.update({} if plan.pinned.revision is None else {"revision": plan.pinned.revision})
        for entry in carried(plan, aborted.journal.entries):
            if any(stage.stage == entry["stage"] for stage in fresh.process):
                seed.write("stage_carried", **entry)
                pinned.update(entry["facts"].get("pin", {}))
        update["pinned"] = Pinned.model_validate(pinned)
    plans.save(fresh.model_copy(update=update), path)
    return path


def carried(plan: Plan, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The fields of `stage_carried` for every stage before the window that need not be repeated with the same pin.

    A stage rests on those before it: from the first that is not done, all is done again. `hold`: since when, and why,
    what the stage has switched on still holds.
    """
    done = _done(plan, entries)
    for hold in holds.still_on(plan.as_vars()["process"], entries):
        if hold.stage in done:
            done[hold.stage]["hold"] = {"since": hold.since.isoformat(), "why": hold.why}
    found = []
    for stage in plan.process:
        if stage.carries and not stage.window:
            if stage.stage not in done:
                break
            found.append(done[stage.stage])
    return found


def _done(plan: Plan, entries: Sequence[Entry]) -> dict[str, dict[str, Any]]:
    """Where each stage was done; not what was backed out, even in part, released, or rests on an older pin."""
    done: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["event"] == "stage_carried":
            done[entry["stage"]] = {key: entry[key] for key in ("stage", "rollout", "facts")}
        elif timeline.ended_well(entry):
            done[entry["stage"]] = {"stage": entry["stage"], "rollout": plan.id, "facts": entry.get("facts") or {}}
            for rests in entry.get("redo", ()):
                done.pop(rests, None)
        elif entry["event"] == "release_finished" and entry["released"]:
            done.pop(entry["stage"], None)
        elif entry["event"] == "back_out_started":
            done.clear()
    return done


@contextmanager
def earlier_set_aside(aborted: Aborted) -> Iterator[Path | None]:
    """Move a plan that was made before, and not begun, into `replaced/`; gives where it is, None when there was none.

    It comes back when the block raises. Raises BadInputError when it has begun, LockedError while a runbook is at work.
    """
    path = aborted.earlier_plan
    if path is None:
        yield None
        return
    earlier, aside = path.parent, aborted.directory / REPLACED
    with store.lock(earlier):
        if any(entry["event"] == "rollout_opened" for entry in Journal(earlier / "journal.jsonl").entries):
            said = f"E-next-begun  The next attempt, {earlier.name}, has begun: it is not planned anew."
            raise BadInputError(f"{said}\n  See where it stands:  ./runbook.py status --plan {path}")
        aside.mkdir(exist_ok=True)
        moved = earlier.rename(aside / f"{len(list(aside.iterdir())) + 1}-{earlier.name}")
    try:
        yield moved
    except BaseException:
        moved.rename(earlier)
        raise
