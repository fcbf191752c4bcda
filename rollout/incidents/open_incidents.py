"""The incidents of all rollouts that somebody still has to deal with, for `status` (R24)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal.incidents import incidents
from rollout import ROOT
from rollout.journal import store
from rollout.views.incidents import OpenIncident, standing

MARK = b'"incident_opened"'


def standing_in(inventory: Path) -> list[OpenIncident]:
    """Return the incidents of this inventory's rollouts that are open or not announced, the newest rollout's first.

    Their commands are for the newest rollout; for another one they name its plan.
    """
    found: list[OpenIncident] = []
    for number, rollout in enumerate(store.newest_first()):
        if not store.mentions(rollout, (MARK,)):
            continue
        plan_file = rollout / "plan.yml"
        plan = _plan(plan_file)
        if (ROOT / str(plan["inventory"])).resolve() == inventory.resolve():
            option = f" --plan {_typed(plan_file)}" if number else ""
            found += standing(incidents(store.entries(rollout)), str(plan["id"]), option)
    return found


def _plan(path: Path) -> dict[str, Any]:
    """Return id and inventory of a plan; nothing else is read, for old plans lack fields that today's must have."""
    from rollout.plan import past  # here: it needs the plan's models, which take 0.1 s

    return past.fields(path, ("id", "inventory")) or {"id": path.parent.name, "inventory": ""}


def _typed(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
