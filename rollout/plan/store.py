"""Finds the rollout that is meant (the open one, the latest, or a plan file's), and reads it as it was left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rollout import ROOT
from rollout.journal import store
from rollout.journal.clock import Clock, as_left
from rollout.journal.file import NAME, Journal
from rollout.outcomes import BadInputError, NoPlanError
from rollout.plan import model as plans
from rollout.plan.model import Plan

NOTHING_YET = """E-no-rollout  Nothing has been rolled out from this checkout yet.
  See it work, on an embedded service:  make rollout
  Step by step, on the same:            ./runbook.py lab up && ./runbook.py plan new
  For a service of yours:               docs/operations.md, A site's folder; then  ./runbook.py --site DIR plan new"""
_NO_PLAN = "E-no-plan  There is no open plan.  Make one:  ./runbook.py plan new"


@dataclass(frozen=True)
class KeptRollout:
    """A rollout as it was left: its directory, plan, journal and clock."""

    directory: Path
    plan: Plan
    journal: Journal
    clock: Clock

    @property
    def plan_file(self) -> Path:
        """Return the path of the plan."""
        return self.directory / "plan.yml"


def kept(directory: Path, plan: Plan | None = None) -> KeptRollout:
    """Return the rollout in that directory. Raises BadInputError for a wrong plan, RunbookError for a wrong journal."""
    journal = Journal(directory / NAME)
    clock = as_left(journal.entries)
    journal.now = clock.now
    return KeptRollout(directory, plan or plans.load(directory / "plan.yml"), journal, clock)


@contextmanager
def locked(directory: Path, plan: Plan | None = None) -> Iterator[KeptRollout]:
    """Yield the rollout in that directory, under its lock. Raises LockedError while a runbook is at work on it."""
    with store.lock(directory):
        yield kept(directory, plan)


def current(inventory: Path | None, plan_file: Path | None = None) -> tuple[Path, Plan]:
    """Return directory and plan of the given file, else of this inventory's newest rollout that is not closed.

    Raises NoPlanError when there is none, BadInputError when the plan is for another inventory.
    """
    if plan_file is not None:
        plan = plans.load(plan_file)
        if inventory is not None and (ROOT / plan.inventory).resolve() != inventory:
            raise BadInputError(f"E-other-inventory  {plan_file} is a plan for {plan.inventory}, not for {inventory}.")
        return plan_file.resolve().parent, plan
    candidates = sorted(store.directory().glob("*/plan.yml"), key=lambda path: path.stat().st_ctime, reverse=True)
    for path in candidates:
        if store.is_closed(path.parent):
            continue
        plan = plans.load(path)
        if inventory is None or (ROOT / plan.inventory).resolve() == inventory:
            return path.parent, plan
    raise NoPlanError(_NO_PLAN)


def latest_of(inventory: Path | None) -> tuple[Path, Plan]:
    """Return directory and plan of this inventory's rollout whose journal was written last, but for dropped ones.

    Raises NoPlanError when there is none.
    """
    for directory in store.newest_first():
        if store.outcome(directory) == "dropped":
            continue
        plan = plans.load(directory / "plan.yml")
        if inventory is None or (ROOT / plan.inventory).resolve() == inventory:
            return directory, plan
    raise NoPlanError(_NO_PLAN)


def open_rollouts() -> Iterator[tuple[Path, Plan]]:
    """Give directory and plan of each rollout that is not over. Raises BadInputError for a plan that cannot be read."""
    for path in sorted(store.directory().glob("*/plan.yml")):
        if not store.is_closed(path.parent):
            yield path.parent, plans.load(path)


def open_plans(inventory: Path) -> list[str]:
    """Return the ids of the plans of an inventory whose rollouts are not over."""
    return [path.name for path, plan in open_rollouts() if (ROOT / plan.inventory).resolve() == inventory]


def latest(plan_file: Path | None = None) -> tuple[Path, Plan]:
    """Return directory and plan of the given file, else of the rollout whose journal was written last, closed or not.

    One that was dropped has never been: it is shown only when there is no other. Raises NoPlanError.
    """
    if plan_file is None:
        written = list(store.newest_first())
        newest = next((path for path in written if store.outcome(path) != "dropped"), next(iter(written), None))
        if newest is None:
            raise NoPlanError(NOTHING_YET)
        plan_file = newest / "plan.yml"
    return plan_file.resolve().parent, plans.load(plan_file)
