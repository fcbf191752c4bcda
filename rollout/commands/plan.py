"""`./runbook.py plan new|move|drop|check|show`: the paper side of a rollout (docs/operations.md)."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout import site
from rollout.commands.options import FILE, INVENTORY, LINE, instant, instant_or_none, inventory_option, plan_option
from rollout.journal.clock import Clock
from rollout.views.console import console as terminal_console

if TYPE_CHECKING:
    from rollout.plan.move import Moved

console = terminal_console()


@click.group()
def plan() -> None:
    """Make, move, check or show the plan of a rollout."""


@plan.command("new")
@INVENTORY
@click.option("--window", metavar="ISO", help="Start of the window; otherwise the schedule's next.")
@click.option("--backup", metavar="ISO", help="Start of the backup window; otherwise the schedule's.")
@click.option("--process", "kind", metavar="NAME", help="One of processes/; otherwise the monthly deployment.")
@click.option("--playbook", type=FILE, help="With partial_downtime: the site's own, for which access is closed.")
@click.option("--of", metavar="ID", help="With schema_undo: the rollout whose schema is undone.")
def plan_new(inventory: Path, window: str | None, backup: str | None, **wanted: Any) -> None:
    """Make the plan of the next rollout, or of another downtime."""
    from rollout.commands.status import show
    from rollout.plan import creation, kinds, model, store

    site.refuse_outside(inventory)
    others = store.open_plans(inventory)
    path = creation.new_plan(
        inventory, Clock().now(), instant_or_none(window), instant_or_none(backup), kinds.PlanWanted(**wanted)
    )
    console.print(f"Plan: {os.path.relpath(path)}")
    if others:
        said = (
            f"Open as well: {', '.join(others)}. Commands without --plan are for the newest plan: say which you mean."
        )
        console.print(said, soft_wrap=True)
    for line in kinds.left_out(model.load(path)):
        console.print(line, markup=False, soft_wrap=True)
    show(None, path)


@plan.command("move")
@inventory_option
@plan_option
@click.option("--window", required=True, metavar="ISO", help="The new start of the window.")
@click.option("--backup", metavar="ISO", help="Start of the backup window; otherwise as the schedule has it.")
@click.option("--reason", type=LINE, required=True, metavar="TEXT", help="Why, in one line: it goes on record.")
def plan_move(inventory: Path | None, plan_file: Path | None, window: str, backup: str | None, reason: str) -> None:
    """Move the window: what was confirmed is withdrawn (R3), and who has heard of it is told (R7)."""
    from rollout.plan import move

    moved = move.move(inventory, plan_file, move.Move(instant(window), reason, instant_or_none(backup)))
    console.print("\n".join(told(moved)), markup=False, soft_wrap=True)


@plan.command("drop")
@click.argument("rollout", metavar="ID")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in one line: it goes on record.")
def plan_drop(rollout: str, reason: str) -> None:
    """Drop a plan of which nothing has begun: its window is free again, and its claim on the service ends."""
    from rollout.commands.run import at_work
    from rollout.engine.service_claim import ServiceClaim
    from rollout.plan import drop

    with drop.dropped(rollout, reason) as kept:
        ServiceClaim(at_work(kept, console)).settle(drop.DROPPED)
        said = f"{rollout} is dropped: {' '.join(reason.split())}"
        console.print(said, markup=False, soft_wrap=True)
    console.print("Then:  ./runbook.py plan new", soft_wrap=True)


def told(moved: Moved) -> list[str]:
    """Return lines that tell of a move: from when to when, what is withdrawn, and who has not heard of the new time."""
    from rollout.views.announcement_lines import missed

    plan, rollout = moved.rollout.plan, moved.rollout
    lines = [f"The window was {_day(moved.before)} and is {_day(plan.window.start)}: {moved.reason}"]
    lines += [f"Withdrawn, to be done again: {', '.join(moved.redo)}"] if moved.redo else []
    lines += missed(plan.as_vars(), rollout.journal.entries, rollout.clock.now())
    return [*lines, "Then:  ./runbook.py run"]


@plan.command("check")
@click.argument("file", required=False, type=FILE)
def plan_check(file: Path | None) -> None:
    """Say whether a plan can be carried out."""
    from rollout.commands.given import RunRequest, check
    from rollout.plan import kinds

    kept, _asker = check(RunRequest(plan_file=file))
    for line in kinds.left_out(kept.plan):
        console.print(line, markup=False, soft_wrap=True)
    console.print("The plan is sound.")


@plan.command("show")
@click.argument("file", required=False, type=FILE)
def plan_show(file: Path | None) -> None:
    """Show a plan as it stands."""
    from rollout.plan import store

    directory, _ = store.current(None, file)
    console.print((directory / "plan.yml").read_text(encoding="utf-8"), markup=False)


def _day(instant: datetime) -> str:
    return f"{instant:%a %d %b %Y %H:%M} UTC"
