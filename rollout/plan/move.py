"""Moves the window of a plan; what was confirmed and announced for the old time is done again (R3, R7)."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import RolloutOpened, WindowMoved
from plugins.module_utils.rollout_core.journal.stages import actual
from rollout import ROOT, documents
from rollout import inventory as inventories
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import findings, schedule, store, windows
from rollout.plan import model as plans
from rollout.plan.drop import refuse_dropped
from rollout.plan.model import Plan, Window
from rollout.plan.store import KeptRollout

BY_HAND = "the plan was changed by hand"


@dataclass(frozen=True)
class Move:
    """The new window; `backup` is the schedule's if it is not given. `reason` goes on record."""

    window: datetime
    reason: str
    backup: datetime | None = None


@dataclass(frozen=True)
class Moved:
    """The rollout with its new window, the start of the window `before`, and the stages that are to be done again."""

    rollout: KeptRollout
    before: datetime
    reason: str
    redo: list[str]


def move(inventory: Path | None, plan_file: Path | None, wanted: Move) -> Moved:
    """Move the window of the open plan; return the rollout with its new window.

    Raises BadInputError if the window has begun, or the plan cannot be carried out then; LockedError while a runbook is
    at work.
    """
    reason = " ".join(wanted.reason.split())
    if not reason:
        raise BadInputError("E-no-reason  Say in one line why the window is moved:  --reason TEXT")
    with store.locked(*store.current(inventory, plan_file)) as kept:
        plan = as_on_record(kept.plan, kept.journal, kept.directory)
        done = actual(kept.journal.entries)
        if any(stage.window and stage.stage in done and not done[stage.stage].undone for stage in plan.process):
            said = "E-window-begun  The window has begun: it is not moved."
            raise BadInputError(f"{said}\n  To end it and work out the next attempt:  ./runbook.py abort --reason …")
        refuse_dropped(kept)
        moved = _at(plan, wanted.window, wanted.backup or _backup(plan, wanted.window))
        windows.refuse_taken(ROOT / plan.inventory, plan.service, moved.window, but=[plan.id])
        if wrong := findings.findings(moved, kept.clock.now(), kept.journal.entries):
            raise documents.refused(kept.plan_file, wrong)
        redo = put_on_record(plan, moved, kept.journal, reason)
        plans.save(moved, kept.plan_file)
    return Moved(KeptRollout(kept.directory, moved, kept.journal, kept.clock), plan.window.start, reason, redo)


def as_on_record(plan: Plan, journal: Journal, directory: Path) -> Plan:
    """Return the plan with the window that the journal has: a crash may have kept a move out of the plan.

    A window that was changed by hand is put on record as moved.
    """
    known = next((entry for entry in reversed(journal.entries) if _window(entry)), None)
    start = _window(known) if known else None
    if known is None or start is None or start == plan.window.start:
        return plan
    event = known.event
    if isinstance(event, WindowMoved) and event.from_ == plan.window.start:
        moved = _at(plan, event.to, event.backup or plan.backup_window.start)
        plans.save(moved, directory / "plan.yml")
        return moved
    before = _at(plan, start, plan.backup_window.start)
    put_on_record(before, plan, journal, BY_HAND)
    return plan


def put_on_record(plan: Plan, moved: Plan, journal: Journal, reason: str) -> list[str]:
    """Write into the journal that the window is moved, before the plan says so; return the stages to redo."""
    redo = outbox.withdrawn_by_move(plan.as_vars(), journal.entries)
    journal.write(
        WindowMoved(
            from_=plan.window.start,
            to=moved.window.start,
            backup=moved.backup_window.start,
            by=getpass.getuser(),
            reason=reason,
            redo=redo,
        )
    )
    return redo


def _window(entry: Entry) -> datetime | None:
    """Return the start of the window that a journal entry tells, or None."""
    event = entry.event
    if isinstance(event, WindowMoved):
        return event.to
    return event.window if isinstance(event, RolloutOpened) else None


def _at(plan: Plan, start: datetime, backup: datetime) -> Plan:
    minutes = plan.policy.window_minutes
    windows = {
        "window": Window(start=start, minutes=minutes),
        "backup_window": Window(start=backup, minutes=minutes),
    }
    return plan.model_copy(update=windows)


def _backup(plan: Plan, start: datetime) -> datetime:
    """Return the backup for a window at `start`: the plan's if far enough after it (R1, R21), else the schedule's."""
    policy = inventories.policy(ROOT / plan.inventory)
    apart = timedelta(hours=policy.next_attempt_hours_notice, minutes=policy.window_minutes)
    if plan.backup_window.start >= start + apart:
        return plan.backup_window.start
    return schedule.load(ROOT / plan.inventory).schedule.backup_of(start)
