"""The command line's arguments, all checked before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal.events import ClockSet
from plugins.module_utils.rollout_core.journal.stages import actual, estimates
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import ROOT, documents, inventory
from rollout.gates import answers_file, terminal
from rollout.gates import model as gates
from rollout.journal.clock import Clock, RehearsalClock
from rollout.outcomes import BadInputError
from rollout.plan import creation, findings, store
from rollout.plan.drop import refuse_dropped
from rollout.plan.model import Plan
from rollout.plan.store import KeptRollout


@dataclass(frozen=True)
class RunRequest:
    """The arguments of `run`, `resume` and `abort`, as typed."""

    stages: tuple[str, ...] = ()
    inventory: Path | None = None
    plan_file: Path | None = None
    answers: Path | None = None
    at: str | None = None
    check: bool = False
    follow: bool = False
    extra_vars: Mapping[str, str | int] | None = None


def check(request: RunRequest, *, goes_on: bool = True) -> tuple[KeptRollout, gates.Asker]:
    """Check all arguments before anything is touched; return the rollout, and who answers its gates.

    A rollout that is to be aborted (`goes_on` is False) need not fit its window, nor be in time for it. Raises
    BadInputError.
    """
    directory, plan = store.current(request.inventory, request.plan_file)
    file = request.answers
    asker = answers_file.load(file, plan) if file is not None else terminal.here(follows=request.follow)
    known = inventory.facts(ROOT / plan.inventory)
    inventory.check_groups(ROOT / plan.inventory, known, plan.playbooks(), plan.playbook)
    kept = _with_clock(store.kept(directory, plan), request.at, rehearsals_allowed=known.rehearsals_allowed)
    refuse_dropped(kept)
    if goes_on:
        _check_plan(kept, known)
    return kept, asker


def _with_clock(kept: KeptRollout, at: str | None, *, rehearsals_allowed: bool) -> KeptRollout:
    """Return the rollout with the system's clock, or a rehearsal's: set by --at, else as an earlier run left it.

    Raises BadInputError.
    """
    plan, journal, left = kept.plan, kept.journal, kept.clock
    if at is None and not left.offset:
        return kept
    if not rehearsals_allowed:
        raise BadInputError(f"E-no-rehearsal  {plan.inventory} does not allow rehearsals: --at is for the lab only.")
    offset = left.offset
    if at is not None:
        offset = _instant(at, plan) - Clock().now()
        last = journal.entries[-1].at if journal.entries else None
        if last is not None and Clock().now() + offset < last:
            said = f"E-clock-back  --at {at} is before the journal's last entry ({last:%F %H:%M:%S} UTC)."
            raise BadInputError(
                f"{said}\n  Name a later time, or leave --at out: the rehearsal goes on where it stands."
            )
    clock = RehearsalClock(offset, lambda to, why: journal.write(ClockSet(to.total_seconds(), why)))
    journal.now = clock.now
    return KeptRollout(kept.directory, plan, journal, clock)


def _instant(at: str, plan: Plan) -> datetime:
    """Return the instant that was typed: in ISO 8601, or a duration from the start of the window such as -48h."""
    try:
        return plan.window.start + timeline.parse_duration(at)
    except ValueError:
        pass
    try:
        return timeline.parse_instant(at)
    except ValueError as error:
        raise BadInputError(
            f"E-bad-instant  --at {at}: expected 2026-12-09T08:00:00Z, or -48h from the window."
        ) from error


def _check_plan(kept: KeptRollout, known: inventory.InventoryFacts) -> None:
    """Refuse a plan that cannot be carried out, or whose window is already so late that it would be aborted (R19)."""
    plan, entries, now = kept.plan, kept.journal.entries, kept.clock.now()
    found = creation.cowboy_findings(plan.cowboys, ("rollout", "cowboys"), known)
    found += findings.findings(plan, now, entries)
    if found:
        raise documents.refused(kept.plan_file, found)
    layout = timeline.planned(plan.as_vars(), estimates(entries))
    view = lateness.outlook(layout, actual(entries), plan.window.end, now)
    limit = timedelta(minutes=plan.policy.abort_after_minutes)
    if lateness.too_late_to_begin(view, limit):
        raise BadInputError(
            f"E-too-late-to-begin  {lateness.reason(view, limit)}.\n  Nothing was touched. "
            "Work out the next attempt:  ./runbook.py abort --reason …"
        )
