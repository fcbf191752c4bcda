"""The commands of runbook.py (docs/operations.md). What only one command needs it imports itself: `status` is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rollout_core import timeline

from rollout import ROOT, records
from rollout.clock import Clock, as_left
from rollout.journal import Journal
from rollout.outcomes import BadInputError, ExitCode, NoPlanError, RunbookError

console = Console(highlight=False, width=None if sys.stdout.isatty() else 130)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def inventory_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """-i inventories/X."""
    path = click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True)
    return click.option("-i", "--inventory", type=path, help="An inventory directory; otherwise the plan's.")(command)


def plan_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--plan FILE."""
    return click.option("--plan", "plan_file", type=FILE, help="A plan file; otherwise the open plan.")(command)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """The monthly database downtime, as a runbook. Without a command: where the rollout stands."""
    if context.invoked_subcommand is None:
        context.invoke(status)


@main.command()
@click.argument("stages", nargs=-1)
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Answers to the gates, for unattended runs.")
@click.option("--at", help="Rehearsal clock (lab only): an instant, or a time from the window such as -48h.")
@click.option("--check", is_flag=True, help="Try the next stage, or the named ones, in check mode: nothing changes.")
@click.option("--resolution", metavar="BRANCH", help="A developer's branch with the merge's conflicts resolved.")
def run(resolution: str | None, **request: Any) -> None:
    """Carry out what is due now, or the named STAGES; asks at gates."""
    from rollout import run as runs

    extra_vars = {"pqm_resolution": resolution} if resolution else None
    sys.exit(runs.run(runs.Request(extra_vars=extra_vars, **request), console))


@main.command()
@inventory_option
@plan_option
@click.option("--json", "as_json", is_flag=True, help="The same as JSON (docs/operations.md).")
def status(inventory: Path | None = None, plan_file: Path | None = None, *, as_json: bool = False) -> None:
    """Where the rollout stands and what comes next."""
    from rollout.views import screen
    from rollout.views.overview import overview

    try:
        directory, plan = records.current(inventory, plan_file)
    except NoPlanError:
        if as_json:
            raise
        console.print("No rollout is open.")
        directory, plan = records.latest()
    entries = Journal(directory / "journal.jsonl").entries
    view = overview(plan.as_vars(), entries, as_left(entries).now())
    if as_json:
        console.print_json(json.dumps(asdict(view), default=_json_value))
        return
    console.print(screen.headline(view), soft_wrap=True)
    console.print(screen.table(view))
    console.print(screen.lateness_line(view), soft_wrap=True)
    if view.next_stage is None or records.is_closed(directory):
        console.print("Next: ./runbook.py plan new")
    else:
        row = view.next_stage
        console.print(f"Next: ./runbook.py run   ({row.stage}, planned {row.planned_start:%a %d %b %H:%M} UTC)")


@main.group()
def plan() -> None:
    """The paper side of a rollout."""


@plan.command("new")
@inventory_option
@click.option("--window", metavar="ISO", help="Start of the window; otherwise the schedule's next.")
@click.option("--backup", metavar="ISO", help="Start of the backup window; otherwise the schedule's.")
def plan_new(inventory: Path | None, window: str | None, backup: str | None) -> None:
    """Make the plan of the next rollout."""
    from rollout import planning

    inventory = inventory or ROOT / "inventories" / "lab"
    path = planning.new_plan(inventory, Clock().now(), _instant(window), _instant(backup))
    console.print(f"Plan: {os.path.relpath(path)}")
    status.callback(None, path)  # type: ignore[misc]


@plan.command("check")
@click.argument("file", required=False, type=FILE)
def plan_check(file: Path | None) -> None:
    """Say whether a plan can be carried out."""
    from rollout import run as runs

    runs.check(runs.Request(plan_file=file))
    console.print("The plan is sound.")


@plan.command("show")
@click.argument("file", required=False, type=FILE)
def plan_show(file: Path | None) -> None:
    """Show a plan as it stands."""
    directory, _ = records.current(None, file)
    console.print((directory / "plan.yml").read_text(encoding="utf-8"), markup=False)


@main.command()
@inventory_option
@plan_option
def verify(inventory: Path | None, plan_file: Path | None) -> None:
    """Look at every host with testinfra, against the plan."""
    directory, plan = records.latest(plan_file)
    environment = {
        **os.environ,
        "ROLLOUT_PLAN": str(directory / "plan.yml"),
        "ROLLOUT_INVENTORY": str(inventory or ROOT / plan.inventory),
    }
    command = [sys.executable, "-m", "pytest", "--basetemp=var/verify", "tests/verify"]
    tests = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    sys.exit(ExitCode.DONE if tests.returncode == 0 else ExitCode.FAILED)


@main.command()
@plan_option
def report(plan_file: Path | None) -> None:
    """Write the report of the latest rollout again and say where it is."""
    from rollout import run as runs

    directory, _ = records.latest(plan_file)
    console.print(os.path.relpath(runs.write_report(directory)))


@main.group()
def lab() -> None:
    """The embedded lab: a whole service on loopback."""


@lab.command("up")
def lab_up() -> None:
    """Make the lab if there is none, and start what does not run."""
    _lab().up(say=console.print)


@lab.command("status")
def lab_status() -> None:
    """Every part of the lab, its address and whether it runs."""
    found = _lab().status()
    for part in found:
        console.print(f"  {part.name:<18} {part.address:<17} {part.state}")
    if not found:
        console.print("There is no lab.  Make one:  ./runbook.py lab up")


@lab.command("down")
def lab_down() -> None:
    """Stop every part of the lab and delete its state."""
    _lab().down(say=console.print)


def _lab() -> ModuleType:
    """The lab needs packages that a control machine in production does not have, so it is only imported here."""
    return import_module("lab.lab")


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _instant(text: str | None) -> datetime | None:
    try:
        return timeline.parse_instant(text) if text else None
    except ValueError as error:
        raise BadInputError(f"E-bad-instant  {error}.") from error


def entry() -> None:
    """Run a command; errors meant for people are printed as they are."""
    try:
        main(prog_name="./runbook.py")
    except RunbookError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
