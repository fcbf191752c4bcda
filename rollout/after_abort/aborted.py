"""A rollout that was aborted: what its journal knows of the abort, and its abort pack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import aborts
from plugins.module_utils.rollout_core.journal.events import ProblemTold
from rollout import ROOT
from rollout.after_abort.problem import Told
from rollout.journal import store as journals
from rollout.outcomes import BadInputError
from rollout.plan.model import Plan
from rollout.plan.store import KeptRollout
from rollout.views.abort_pack import render_abort_pack
from rollout.whole_file import write_whole

PACK = "abort.md"
# Writes the draft of the announcement of the next attempt, whose plan is given, to a path.
WriteDraft = Callable[[KeptRollout, Plan, Path], None]


@dataclass(frozen=True)
class Aborted(KeptRollout):
    """A rollout that was aborted; its directory also holds the abort pack and the draft of the announcement."""

    @classmethod
    def of(cls, kept: KeptRollout) -> Aborted:
        """Return the rollout as one that was aborted."""
        return cls(kept.directory, kept.plan, kept.journal, kept.clock)

    @property
    def told(self) -> Told:
        """Return what the journal knows of the problem (R20)."""
        known = aborts.problem(self.journal.entries)
        return Told(known.source, known.mended_at, known.new_pin) if known else Told()

    @property
    def replica_back(self) -> datetime:
        """Return when the read-only replica of this attempt is restored (R21)."""
        at = aborts.aborted_at(self.journal.entries) or self.clock.now()
        return at + timedelta(hours=self.plan.policy.replica_restore_hours)

    @property
    def earlier_plan(self) -> Path | None:
        """Return the plan file that was made for the next attempt already, or None."""
        known = aborts.next_attempt(self.journal.entries)
        path = (self.directory / known.plan).resolve() if known and known.plan else None
        return path if path and path.exists() else None

    def put_on_record(self, told: Told, by: str) -> None:
        """Write what a person told into the journal, if it is new (R20)."""
        if told != self.told or aborts.problem(self.journal.entries) is None:
            self.journal.write(ProblemTold(told.source, told.mended_at, told.new_pin, by))

    def write_pack(self) -> None:
        """Write the abort pack, with what is known so far."""
        text = render_abort_pack(self.plan.as_vars(), self.journal.entries, typed(self.directory))
        write_whole(self.directory / PACK, text)


def last_aborted(plan_file: Path | None) -> Path:
    """Return the directory of the given plan's rollout, or of the aborted one whose journal was written last.

    Raises BadInputError when it was not aborted, or none was.
    """
    directories = [plan_file.resolve().parent] if plan_file is not None else [*journals.newest_first()]
    for directory in directories:
        if journals.outcome(directory) == "aborted":
            return directory
    which = f"{directories[0].name} was not aborted" if plan_file else "No rollout was aborted"
    said = f"E-not-aborted  {which}: there is no next attempt to work out."
    raise BadInputError(f"{said}\n  See where things stand:  ./runbook.py status")


def typed(path: Path) -> str:
    """Return a path as a person types it: relative to the top of the checkout if it is inside."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
