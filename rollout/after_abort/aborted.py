"""A rollout that was aborted: what its journal knows of it, and its abort pack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from rollout import ROOT
from rollout.after_abort.problem import Told
from rollout.journal import store
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.views import aborts
from rollout.views.abort_pack import render_abort_pack

PACK = "abort.md"


@dataclass(frozen=True)
class Aborted:
    """`directory` holds plan.yml, journal.jsonl, the abort pack and the draft of the announcement."""

    directory: Path
    plan: Plan
    journal: Journal
    clock: Clock

    @property
    def told(self) -> Told:
        """What the journal knows of the problem."""
        known = aborts.problem(self.journal.entries)
        return Told(known.source, known.mended_at, known.new_pin) if known else Told()

    @property
    def replica_back(self) -> datetime:
        """When the read-only replica of this attempt is restored (R21)."""
        at = aborts.aborted_at(self.journal.entries) or self.clock.now()
        return at + timedelta(hours=self.plan.policy.replica_restore_hours)

    @property
    def earlier_plan(self) -> Path | None:
        """The plan file that was made for the next attempt before, if there is one."""
        known = aborts.next_attempt(self.journal.entries)
        path = (self.directory / known.plan).resolve() if known and known.plan else None
        return path if path and path.exists() else None

    def put_on_record(self, told: Told, by: str) -> None:
        """Write what was told into the journal, if it is news (R20)."""
        if told != self.told or aborts.problem(self.journal.entries) is None:
            mended_at = told.mended_at.isoformat() if told.mended_at else None
            self.journal.write("problem_told", source=told.source, mended_at=mended_at, new_pin=told.new_pin, by=by)

    def write_pack(self) -> None:
        """Write the abort pack, as much of it as is known."""
        text = render_abort_pack(self.plan.as_vars(), self.journal.entries, typed(self.directory))
        (self.directory / PACK).write_text(text, encoding="utf-8")


def last_aborted(plan_file: Path | None) -> tuple[Path, Plan]:
    """The given plan's rollout, else the aborted one whose journal was written last.

    Raises BadInputError when it was not aborted, or none was.
    """
    if plan_file is not None:
        directories = [plan_file.resolve().parent]
    else:
        journals = sorted(store.directory().glob("*/journal.jsonl"), key=lambda path: path.stat().st_mtime)
        directories = [path.parent for path in reversed(journals)]
    for directory in directories:
        if store.outcome(directory) == "aborted":
            return directory, plans.load(directory / "plan.yml")
    which = f"{directories[0].name} was not aborted" if plan_file else "No rollout was aborted"
    said = f"E-not-aborted  {which}: there is no next attempt to work out."
    raise BadInputError(f"{said}\n  See where things stand:  ./runbook.py status")


def typed(path: Path) -> str:
    """A path as a person types it: from the top of the checkout, where it is inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
