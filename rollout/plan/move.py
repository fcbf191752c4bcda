"""Moves the window of a plan: what was confirmed and announced was another time, and is done again (R3, R7)."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT, documents
from rollout import inventory as inventories
from rollout.journal import store
from rollout.journal.clock import as_left
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import model as plans
from rollout.plan.model import Plan, Window
from rollout.schedule import file as schedule
from rollout.views import telling

BY_HAND = "the plan was changed by hand"


@dataclass(frozen=True)
class Move:
    """Where to: `backup` is the schedule's if it is not given. `reason` goes on record."""

    window: datetime
    reason: str
    backup: datetime | None = None


def move(inventory: Path | None, plan_file: Path | None, wanted: Move) -> list[str]:
    """Move the window of the open plan; returns lines for the screen.

    Raises BadInputError when the window has begun, or the plan cannot be then; LockedError while a runbook is at work.
    """
    reason = " ".join(wanted.reason.split())
    if not reason:
        raise BadInputError("E-no-reason  Say in one line why the window is moved:  --reason TEXT")
    directory, plan = store.current(inventory, plan_file)
    with store.lock(directory):
        journal = Journal(directory / "journal.jsonl")
        clock = as_left(journal.entries)
        journal.now = clock.now
        plan = as_on_record(plan, journal, directory)
        done = timeline.actual(journal.entries)
        if any(stage.window and stage.stage in done and not done[stage.stage].undone for stage in plan.process):
            said = "E-window-begun  The window has begun: it is not moved."
            raise BadInputError(f"{said}\n  To end it and work out the next attempt:  ./runbook.py abort --reason …")
        moved = _at(plan, wanted.window, wanted.backup or _backup(plan, wanted.window))
        if wrong := plans.findings(moved, clock.now(), journal.entries):
            raise documents.refused(directory / "plan.yml", wrong)
        redo = put_on_record(plan, moved, journal, reason)
        plans.save(moved, directory / "plan.yml")
    late = telling.missed(moved.as_vars(), journal.entries, clock.now())
    said = f"The window was {_day(plan.window.start)} and is {_day(moved.window.start)}: {reason}"
    return [said, *_again(redo, late)]


def as_on_record(plan: Plan, journal: Journal, directory: Path) -> Plan:
    """The plan with the window that the journal says it was moved to, should a crash have come between the two.

    A window that was changed by hand is put on record as moved.
    """
    known = next((entry for entry in reversed(journal.entries) if _window(entry)), None)
    if known is None or timeline.parse_instant(_window(known)) == plan.window.start:
        return plan
    if known["event"] == "window_moved" and timeline.parse_instant(known["from"]) == plan.window.start:
        moved = _at(plan, timeline.parse_instant(known["to"]), timeline.parse_instant(known["backup"]))
        plans.save(moved, directory / "plan.yml")
        return moved
    before = _at(plan, timeline.parse_instant(_window(known)), plan.backup_window.start)
    put_on_record(before, plan, journal, BY_HAND)
    return plan


def put_on_record(plan: Plan, moved: Plan, journal: Journal, reason: str) -> list[str]:
    """Write into the journal that the window is another, before the plan says so; returns the stages to redo."""
    redo = outbox.withdrawn_by_move(plan.as_vars(), journal.entries)
    where = {"from": plan.window.start.isoformat(), "to": moved.window.start.isoformat()}
    backup = moved.backup_window.start.isoformat()
    journal.write("window_moved", **where, backup=backup, by=getpass.getuser(), reason=reason, redo=redo)
    return redo


def _window(entry: dict[str, object]) -> str | None:
    """The start of the window as this entry has it."""
    found = {"window_moved": entry.get("to"), "rollout_opened": entry.get("window")}.get(str(entry["event"]))
    return str(found) if found else None


def _at(plan: Plan, start: datetime, backup: datetime) -> Plan:
    minutes = plan.policy.window_minutes
    windows = {
        "window": Window(start=start, minutes=minutes),
        "backup_window": Window(start=backup, minutes=minutes),
    }
    return plan.model_copy(update=windows)


def _backup(plan: Plan, start: datetime) -> datetime:
    """The backup of a window that starts then: the plan's, while it is as far away as the policy asks for (R1, R21)."""
    policy = inventories.policy(ROOT / plan.inventory)
    apart = timedelta(hours=policy.next_attempt_hours_notice, minutes=policy.window_minutes)
    if plan.backup_window.start >= start + apart:
        return plan.backup_window.start
    return schedule.load(ROOT / plan.inventory).schedule.backup_of(start)


def _again(redo: list[str], late: Iterable[str]) -> list[str]:
    lines = [f"Withdrawn, to be done again: {', '.join(redo)}"] if redo else []
    return [*lines, *late, "Then:  ./runbook.py run"]


def _day(instant: datetime) -> str:
    return f"{instant:%a %d %b %Y %H:%M} UTC"
