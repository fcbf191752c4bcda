"""The commands of runbook.py (docs/operations.md). What only one command needs it imports itself: `status` is quick."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import click
from rich.console import Console

from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT
from rollout.commands import announce as announcing
from rollout.commands import decisions, incident, schedule
from rollout.journal import store
from rollout.journal.clock import Clock, as_left
from rollout.journal.file import Journal
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
@click.option(
    "--fixed-in",
    type=click.IntRange(min=0),
    metavar="REVNO",
    help="With the stage that merges: a later revision of devel, with a fix of it, goes out; 0: the merge.",
)
def run(resolution: str | None, fixed_in: int | None, **request: Any) -> None:
    """Carry out what is due now, or the named STAGES; asks at gates."""
    from rollout.commands import run as runs

    extra_vars: dict[str, str | int] = {"pqm_resolution": resolution} if resolution else {}
    if fixed_in is not None:
        extra_vars["pqm_fixed_in"] = fixed_in
    sys.exit(runs.run(runs.Request(extra_vars=extra_vars, **request), console))


@main.command()
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Answers to the gates, for unattended runs.")
def resume(**request: Any) -> None:
    """After a crash: show what survives or stands open, then go on or abort."""
    from rollout.commands import run as runs

    sys.exit(runs.resume(runs.Request(**request), console))


@main.command()
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Texts for the questions that follow, for unattended runs.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in one line: it goes on record.")
def abort(reason: str, **request: Any) -> None:
    """Abort the rollout, from any terminal: what the window did is undone (R19), the next attempt worked out (R21)."""
    from rollout.commands import run as runs

    sys.exit(runs.abort(runs.Request(**request), reason, console))


@main.command()
@inventory_option
@plan_option
@click.argument("gate")
@click.argument("said", nargs=-1, required=True, metavar="[ITEM] yes|no")
@click.option("--name", help="Who says so, where the question needs a name.")
@click.option("--reason", help="Why, where the question needs a reason.")
def answer(
    gate: str, said: tuple[str, ...], inventory: Path | None, plan_file: Path | None, **told: str | None
) -> None:
    """Answer the question that the runbook at work asks, from any terminal; of several, name the ITEM."""
    from rollout.gates import other_terminal

    *items, word = said
    item = " ".join(items) or None
    given = {need: text for need, text in told.items() if text}
    taken = other_terminal.answer(store.current(inventory, plan_file)[0], gate, item, word, given)
    console.print(taken, markup=False, soft_wrap=True)


@main.command()
@inventory_option
@plan_option
@click.option("--watch", is_flag=True, help="Go on looking, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON (docs/operations.md).")
def status(
    inventory: Path | None = None, plan_file: Path | None = None, *, watch: bool = False, as_json: bool = False
) -> None:
    """Where the rollout stands and what comes next."""
    from rollout.engine import earlier_brackets
    from rollout.incidents import open_incidents
    from rollout.views import screen
    from rollout.views.holding import told
    from rollout.views.overview import Overview, overview

    try:
        directory, plan = store.current(inventory, plan_file)
    except NoPlanError:
        if as_json:
            raise
        console.print("No rollout is open.")
        directory, plan = store.latest()

    def look() -> Overview:
        entries = Journal(directory / "journal.jsonl").entries
        view = overview(plan.as_vars(), entries, as_left(entries).now())
        left = earlier_brackets.left_on(ROOT / plan.inventory, but=directory)
        others = [told(hold, left.plan.id) for hold in left.holds] if left else []
        incidents = open_incidents.standing_in(ROOT / plan.inventory)
        return replace(view, holds=[*view.holds, *others], incidents=incidents)

    if as_json:
        console.print_json(json.dumps(asdict(look()), default=_json_value))
    elif watch:
        screen.watch(console, lambda: (look(), store.owner(directory)))
    else:
        screen.show(console, look(), store.owner(directory))


@main.command()
@click.option("--plan", "plan_file", type=FILE, required=True, help="A plan; a few fields of it will do.")
@click.option("--journal", "journal_file", type=FILE, required=True, help="A journal, also one written by hand.")
@click.option("--now", metavar="ISO", required=True, help="The moment to judge.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (docs/operations.md).")
def late(plan_file: Path, journal_file: Path, now: str, *, as_json: bool) -> None:
    """The verdict on lateness at any moment, from nothing but a plan and a journal."""
    from rollout.commands import late as lateness

    found = lateness.late(plan_file, journal_file, _moment(now))
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else lateness.line(found))


@main.group()
def plan() -> None:
    """The paper side of a rollout."""


@plan.command("new")
@inventory_option
@click.option("--window", metavar="ISO", help="Start of the window; otherwise the schedule's next.")
@click.option("--backup", metavar="ISO", help="Start of the backup window; otherwise the schedule's.")
@click.option("--process", "kind", metavar="NAME", help="One of processes/; otherwise the monthly deployment.")
@click.option("--playbook", type=FILE, help="With partial_downtime: the site's own, for which access is closed.")
@click.option("--of", metavar="ID", help="With schema_undo: the rollout whose schema is backed out.")
def plan_new(inventory: Path | None, window: str | None, backup: str | None, **wanted: Any) -> None:
    """Make the plan of the next rollout, or of another downtime."""
    from rollout.plan import creation, kinds

    inventory = inventory or ROOT / "inventories" / "lab"
    others = store.open_plans(inventory)
    path = creation.new_plan(inventory, Clock().now(), _instant(window), _instant(backup), kinds.Wanted(**wanted))
    console.print(f"Plan: {os.path.relpath(path)}")
    if others:
        said = (
            f"Open as well: {', '.join(others)}. Commands without --plan are for the newest plan: say which you mean."
        )
        console.print(said, soft_wrap=True)
    status.callback(None, path)  # type: ignore[misc]


@plan.command("move")
@inventory_option
@plan_option
@click.option("--window", required=True, metavar="ISO", help="The new start of the window.")
@click.option("--backup", metavar="ISO", help="Start of the backup window; otherwise as the schedule has it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why, in one line: it goes on record.")
def plan_move(inventory: Path | None, plan_file: Path | None, window: str, backup: str | None, reason: str) -> None:
    """Move the window: what was confirmed is withdrawn (R3), and who has heard of it is told (R7)."""
    from rollout.plan import move

    wanted = move.Move(_moment(window), reason, _instant(backup))
    lines = move.move(inventory, plan_file, wanted)
    console.print("\n".join(lines), markup=False, soft_wrap=True)


@plan.command("check")
@click.argument("file", required=False, type=FILE)
def plan_check(file: Path | None) -> None:
    """Say whether a plan can be carried out."""
    from rollout.commands import run as runs

    runs.check(runs.Request(plan_file=file))
    console.print("The plan is sound.")


@plan.command("show")
@click.argument("file", required=False, type=FILE)
def plan_show(file: Path | None) -> None:
    """Show a plan as it stands."""
    directory, _ = store.current(None, file)
    console.print((directory / "plan.yml").read_text(encoding="utf-8"), markup=False)


@main.command()
@inventory_option
@plan_option
@click.option("--expect", type=click.Choice(["deployed", "as_before"]), default="deployed", show_default=True)
def verify(inventory: Path | None, plan_file: Path | None, expect: Literal["deployed", "as_before"]) -> None:
    """Look at every host with testinfra, against the plan."""
    from rollout.engine import verification as hosts

    directory, plan = store.latest(plan_file)
    found = hosts.verify(directory, inventory or ROOT / plan.inventory, expect, show=True)
    sys.exit(ExitCode.DONE if found.ok else ExitCode.FAILED)


@main.command()
@plan_option
def report(plan_file: Path | None) -> None:
    """Write the report of the latest rollout again and say where it is."""
    from rollout.commands import run as runs

    directory, _ = store.latest(plan_file)
    console.print(os.path.relpath(runs.write_report(directory)))


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...|all")
def drill(names: tuple[str, ...]) -> None:
    """Rehearse on the lab with a fault in it, and say whether the runbook did right (docs/drills.md)."""
    sys.exit(import_module("lab.drills.command").run(names, console))


@main.command("next")
@click.option("--plan", "plan_file", type=FILE, help="The plan that was aborted; otherwise the latest.")
@click.option("--source", metavar="TEXT", help="What the source of the problem was, in one line (R20).")
@click.option("--mended-at", metavar="ISO", help="When it can be fixed, at best; or: now.")
@click.option("--new-pin/--same-pin", default=None, help="Whether the fix needs a new revision, to be merged.")
@click.option("--waive-r8", "waived_by", metavar="NAME", help="Who waived the 48 h that R8 asks for.")
@click.option("--window", metavar="ISO", help="A window of your choice, if it keeps the distances.")
def next_attempt(window: str | None, **given: Any) -> None:
    """After an abort: work out the next attempt, or do it again, and write its plan (R20, R21)."""
    from rollout.after_abort import conclusion
    from rollout.commands import run as runs
    from rollout.gates import model as gates

    asker = gates.Terminal() if sys.stdin.isatty() else gates.Nobody()
    directory, (*lines, then) = conclusion.follow_up(conclusion.Request(window=_instant(window), **given), asker)
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    runs.offer_new_date(directory, asker, lambda line: console.print(line, markup=False, soft_wrap=True))
    console.print(then, markup=False, soft_wrap=True)
    runs.write_report(directory)


for command in (
    decisions.deployable,
    decisions.budget,
    decisions.rc_check,
    announcing.announce,
    incident.incident,
    schedule.schedule,
):
    main.add_command(command)


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
    return _moment(text) if text else None


def _moment(text: str) -> datetime:
    try:
        return timeline.parse_instant(text)
    except ValueError as error:
        raise BadInputError(f"E-bad-instant  {error}.") from error


def entry() -> None:
    """Run a command; errors meant for people are printed as they are."""
    try:
        main(prog_name="./runbook.py")
    except RunbookError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
