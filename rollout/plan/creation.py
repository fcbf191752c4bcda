"""Makes a plan: the next window, policy, process, estimates and cowboys, frozen as they are now."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, Field

from rollout import ROOT, documents, site, whole_file
from rollout import inventory as inventories
from rollout.fields import Line, Model, Word
from rollout.journal import store
from rollout.outcomes import BadInputError
from rollout.plan import findings, kinds, old_runs, past, schedule, windows
from rollout.plan import model as plans
from rollout.plan.kinds import PlanWanted
from rollout.plan.model import Cowboy, Plan, Window
from rollout.plan.process import Stage

MONTHLY = PlanWanted()


class Deployed(Model):
    """The revision that runs in production, and the rollout that deployed it."""

    revision: int
    revid: Word
    at: AwareDatetime
    rollout: Line


class ProductionStatus(Model):
    """The deployed revision, and the cowboys on it (R16). Written by the module production_status."""

    deployed: Deployed | None = None
    cowboys: list[Cowboy] = Field(default_factory=list)


def new_plan(
    inventory: Path,
    now: datetime,
    window: datetime | None,
    backup: datetime | None,
    wanted: PlanWanted = MONTHLY,
    after: str | None = None,
) -> Path:
    """Write a new plan file and return its path; `after` is the rollout whose next attempt it is.

    Raises BadInputError naming the file that is wrong, or the open plan that has the window.
    """
    plan = drafted(inventory, now, window, backup, wanted, after)
    directory = store.directory() / plan.id
    directory.mkdir(parents=True)
    try:
        plans.save(plan, directory / "plan.yml")
    except BaseException:
        directory.rmdir()  # a plan is there whole, or not at all
        raise
    whole_file.sync_directory(directory.parent)
    old_runs.remove()
    return directory / "plan.yml"


def drafted(
    inventory: Path,
    now: datetime,
    window: datetime | None = None,
    backup: datetime | None = None,
    wanted: PlanWanted = MONTHLY,
    after: str | None = None,
) -> Plan:
    """Return the plan as it would be written; nothing is. Raises BadInputError like `new_plan`."""
    kinds.stages(wanted, inventory)  # first of all: what was typed
    dates = schedule.load(inventory)
    policy = inventories.policy(inventory)
    known = inventories.facts(inventory)
    start = window or schedule.next_window(dates.schedule, now + timedelta(hours=policy.merge_hours_before))
    backup = backup or dates.schedule.backup_of(start)
    frame = Window(start=start, minutes=policy.window_minutes)
    windows.refuse_taken(inventory, known.service or None, frame, but=[after] if after else [])
    if not known.production_status.is_file():
        said = f"E-no-production-status  {known.production_status} is not there, so nobody knows what production runs."
        lab = "The lab's is made with it:  ./runbook.py lab up"
        raise BadInputError(f"{said}\n  production_status_file of {inventory.name} names it.  {lab}")
    status = documents.load(known.production_status, ProductionStatus)
    if missing := cowboy_findings(status.cowboys, ("cowboys",), known):
        raise documents.refused(known.production_status, missing)
    site_playbook = kinds.playbook(wanted, inventory, known)
    free = _free_id(f"{start:%Y-%m}" + (f"-{wanted.kind.replace('_', '-')}" if wanted.kind else ""))
    name = site.name_of(inventory)
    plan = Plan(
        id=free,
        kind=wanted.kind,
        playbook=site_playbook,
        of=wanted.of,
        inventory=name,
        service=known.service or None,
        window=frame,
        backup_window=Window(start=backup, minutes=policy.window_minutes),
        people=dates.people,
        policy=policy,
        process=kinds.in_this_service(process(name, wanted, site_playbook), known),
        cowboys=status.cowboys,
        pinned=kinds.pinned(wanted, inventory),
    )
    if wrong := findings.findings(plan, now):
        lines = [f"  {'.'.join(map(str, where))}: {what}" for where, what in wrong]
        raise BadInputError("\n".join(["E-bad-plan  This cannot be a plan; nothing was written.", *lines]))
    return plan


def process(inventory: str, wanted: PlanWanted = MONTHLY, site_playbook: str | None = None) -> list[Stage]:
    """Return the stages of the process, with the estimates from earlier rollouts of its kind and from drills.

    Only those of this inventory count, and of the same playbook of the site's own.
    """
    same = {"inventory": inventory, "kind": wanted.kind, "playbook": site_playbook}
    kept = store.directory()
    rollouts, drills = past.journals(kept, same), past.journals(kept.with_name("drills"), same)
    return past.with_history(kinds.stages(wanted, ROOT / inventory), rollouts, drills)


def cowboy_findings(
    cowboys: Sequence[Cowboy], prefix: documents.Location, known: inventories.InventoryFacts
) -> list[documents.Finding]:
    """Return a finding for each cowboy whose diff does not exist, or whose hosts the inventory does not have (R16)."""
    hosts = {host for group in known.groups.values() for host in group}
    found: list[documents.Finding] = []
    for number, cowboy in enumerate(cowboys):
        diff = known.production_status.parent / cowboy.diff
        if not diff.is_file():
            what = f"cowboy {cowboy.id} ({cowboy.who}) needs the file {diff}, which is not there"
            found.append(((*prefix, number, "diff"), what))
        unknown = sorted(set(cowboy.hosts or ()) - hosts)
        found += [((*prefix, number, "hosts"), f"the inventory has no host {host}") for host in unknown]
    return found


def _free_id(name: str) -> str:
    """Return an id that no plan has: `2026-12` or `2026-12-partial-downtime`, or `2026-12.2`."""
    found = (name if number == 1 else f"{name}.{number}" for number in itertools.count(1))
    return next(each for each in found if not (store.directory() / each).exists())
