"""One open rollout a window: no two plans of a service have the same time."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from rollout import ROOT
from rollout.journal import store as journals
from rollout.outcomes import BadInputError
from rollout.plan import store
from rollout.plan.drop import begun
from rollout.plan.model import Plan, Window


def refuse_taken(inventory: Path, service: str | None, window: Window, but: Collection[str] = ()) -> None:
    """Raise BadInputError if an open plan of the inventory, or of the service, has some of that time.

    `but` are the ids of plans that do not count: the one that is moved, or the one whose next attempt it is.
    """
    for directory, plan in store.open_rollouts():
        same = (ROOT / plan.inventory).resolve() == inventory.resolve() or (service and plan.service == service)
        apart = window.end <= plan.window.start or plan.window.end <= window.start
        if same and not apart and plan.id not in but:
            raise BadInputError("\n".join(_told(directory, plan)))


def _told(directory: Path, plan: Plan) -> list[str]:
    path = os.path.relpath(directory / "plan.yml")
    when = f"{plan.window.start:%a %d %b %Y %H:%M} to {plan.window.end:%H:%M} UTC"
    ends = f"./runbook.py plan drop {plan.id} --reason …"
    if begun(journals.entries(directory)):
        ends = f"./runbook.py abort --plan {path} --reason …"
    return [
        f"E-window-taken  {plan.id} has that window: {when}. Nothing was written.",
        f"  Go on with it:  ./runbook.py run --plan {path}",
        f"  Or end it:      {ends}",
        "  Or choose another time:  --window ISO",
    ]
