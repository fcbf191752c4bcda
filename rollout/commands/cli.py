"""The commands of runbook.py (docs/operations.md). Each imports what only it needs itself: `status` must be quick."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout import ROOT, private, site
from rollout.commands import announce as announcing
from rollout.commands import decisions, doctor, incident, lab, plan, schedule, take_over
from rollout.commands.options import BRANCH, FILE, LINE, instant, instant_or_none, inventory_option, plan_option
from rollout.outcomes import ExitCode, RunbookError
from rollout.system_errors import system_error
from rollout.views import pasted
from rollout.views.console import console as terminal_console
from rollout.views.console import say
from rollout.views.text import as_json as as_json_text

if TYPE_CHECKING:
    from rollout.engine.verification import Expect

console = terminal_console()


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--site", "named", metavar="DIR", help="The site's folder; otherwise $RUNBOOK_SITE, or where you stand.")
@click.pass_context
def main(context: click.Context, named: str | None) -> None:
    """The monthly database downtime, as a runbook. Without a command, it shows where the rollout stands."""
    if context.invoked_subcommand in ("lab", "drill"):  # a lab is for no site, and has other users
        site.none()
    else:
        site.begin(named, Path.cwd())
        private.begin(site.var())
    pasted.begin(Path.cwd(), named, frozenset(_taking_inventory(main)))
    if context.invoked_subcommand is None:
        context.invoke(status)


@main.command()
@click.argument("stages", nargs=-1)
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Answers to the gates, for unattended runs.")
@click.option("--at", help="Rehearsal clock (lab only): an instant, or a time from the window such as -48h.")
@click.option("--check", is_flag=True, help="Try what is left, or the named stages, in check mode: nothing changes.")
@click.option("--follow", is_flag=True, help="Stay: carry out what falls due, wait for answers from any terminal.")
@click.option("--resolution", type=BRANCH, metavar="BRANCH", help="A developer's branch that resolves the conflicts.")
@click.option(
    "--fixed-in",
    type=click.IntRange(min=0),
    metavar="REVNO",
    help="With the stage that merges: a later revision of devel, with a fix of it, goes out; 0: the merge.",
)
def run(resolution: str | None, fixed_in: int | None, **request: Any) -> None:
    """Carry out what is due now, or the named STAGES; the runbook asks at gates."""
    from rollout.commands import run as runs
    from rollout.commands.given import RunRequest

    extra_vars: dict[str, str | int] = {"pqm_resolution": resolution} if resolution else {}
    if fixed_in is not None:
        extra_vars["pqm_fixed_in"] = fixed_in
    sys.exit(runs.run(RunRequest(extra_vars=extra_vars, **request), console))


@main.command()
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Answers to the gates, for unattended runs.")
def resume(**request: Any) -> None:
    """After a crash: show what survives or is unfinished, then go on or abort."""
    from rollout.commands import run as runs
    from rollout.commands.given import RunRequest

    sys.exit(runs.resume(RunRequest(**request), console))


@main.command()
@inventory_option
@plan_option
@click.option("--answers", type=FILE, help="Texts for the questions that follow, for unattended runs.")
@click.option("--reason", type=LINE, required=True, metavar="TEXT", help="Why, in one line: it goes on record.")
def abort(reason: str, **request: Any) -> None:
    """Abort the rollout, from any terminal: undo what the window did (R19), work out the next attempt (R21)."""
    from rollout.commands import run as runs
    from rollout.commands.given import RunRequest

    sys.exit(runs.abort(RunRequest(**request), reason, console))


@main.command()
@inventory_option
@plan_option
@click.argument("gate")
@click.argument("said", nargs=-1, required=True, metavar="[ITEM] yes|no")
@click.option("--name", type=LINE, help="Who says so, where the question needs a name.")
@click.option("--reason", type=LINE, help="Why, where the question needs a reason.")
def answer(
    gate: str, said: tuple[str, ...], inventory: Path | None, plan_file: Path | None, **told: str | None
) -> None:
    """Answer the question that the runbook at work asks, from any terminal; ITEM says which of several."""
    from rollout.gates import other_terminal
    from rollout.plan import store

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
    """Show where the rollout stands and what comes next."""
    from rollout.commands.status import show

    show(inventory, plan_file, watch=watch, json_wanted=as_json)


@main.command()
@click.option("--plan", "plan_file", type=FILE, required=True, help="A plan; a few fields of it will do.")
@click.option("--journal", "journal_file", type=FILE, required=True, help="A journal, also one written by hand.")
@click.option("--now", metavar="ISO", required=True, help="The moment to judge.")
@click.option("--json", "as_json", is_flag=True, help="As JSON (docs/operations.md).")
def late(plan_file: Path, journal_file: Path, now: str, *, as_json: bool) -> None:
    """Show the verdict on lateness at any moment, from nothing but a plan and a journal."""
    from rollout.commands import late as lateness

    found = lateness.late(plan_file, journal_file, instant(now))
    say(as_json_text(found) if as_json else lateness.line(found))


@main.command()
@inventory_option
@plan_option
@click.option(
    "--expect", type=click.Choice(["deployed", "as_before", "answers"]), default="deployed", show_default=True
)
def verify(inventory: Path | None, plan_file: Path | None, expect: Expect) -> None:
    """Look at every host with testinfra, and compare it with the plan."""
    from rollout.engine import verification as hosts
    from rollout.plan import store

    directory, plan = store.latest(plan_file)
    found = hosts.verify(directory, inventory or ROOT / plan.inventory, expect, show=True)
    sys.exit(ExitCode.DONE if found.ok else ExitCode.FAILED)


@main.command()
@plan_option
def report(plan_file: Path | None) -> None:
    """Write the report of the latest rollout again and say where it is."""
    from rollout.commands.report import write_report
    from rollout.plan import store

    directory, _ = store.latest(plan_file)
    console.print(os.path.relpath(write_report(directory)))


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...|all")
def drill(names: tuple[str, ...]) -> None:
    """Rehearse on the lab with a fault in it, and say whether the runbook did right (docs/drills.md)."""
    sys.exit(import_module("lab.drills.command").run(names, console))


@main.command("next")
@click.option("--plan", "plan_file", type=FILE, help="The plan that was aborted; otherwise the latest.")
@click.option("--source", type=LINE, metavar="TEXT", help="What the source of the problem was, in one line (R20).")
@click.option("--mended-at", metavar="ISO", help="When it can be fixed, at best; or: now.")
@click.option("--new-pin/--same-pin", default=None, help="Whether the fix needs a new revision, to be merged.")
@click.option("--waive-r8", "waived_by", type=LINE, metavar="NAME", help="Who waived the 48 h that R8 asks for.")
@click.option("--window", metavar="ISO", help="A window of your choice, if it keeps the distances.")
def next_attempt(window: str | None, **given: Any) -> None:
    """After an abort: work out the next attempt, or work it out again, and write its plan (R20, R21)."""
    from rollout.after_abort import conclusion
    from rollout.announcing.abort_notices import write_draft
    from rollout.commands import run as runs
    from rollout.commands.report import write_report
    from rollout.gates import terminal

    asker, request = terminal.here(), conclusion.NextRequest(window=instant_or_none(window), **given)
    directory, (*lines, then) = conclusion.follow_up(request, asker, write_draft)
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    runs.offer_new_date(directory, asker, lambda line: console.print(line, markup=False, soft_wrap=True))
    console.print(then, markup=False, soft_wrap=True)
    write_report(directory)


for command in (
    decisions.deployable,
    decisions.budget,
    decisions.rc_check,
    announcing.announce,
    incident.incident,
    schedule.schedule,
    plan.plan,
    take_over.take_over,
    doctor.doctor,
    lab.lab,
):
    main.add_command(command)


def _taking_inventory(group: click.Group, before: str = "") -> Iterator[str]:
    """Yield the names of the commands that take -i."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _taking_inventory(command, f"{name} ")
        elif any(option.name == "inventory" for option in command.params):
            yield f"{before}{name}"


def entry() -> None:
    """Run a command; errors for people are printed as they are, the system's in words, others as `E-unexpected`."""
    try:
        try:
            main(prog_name="./runbook.py")
        finally:
            sys.stdout.flush()  # here, and not at the end of everything, where nobody could say what went wrong
    except RunbookError as error:
        _end(str(error), error.exit_code)
    except BrokenPipeError:  # whoever read it has read enough
        _end("", ExitCode.FAILED)
    except OSError as error:
        command = " ".join(["./runbook.py", *sys.argv[1:2]])
        _end(f"{system_error(error)}\n  That was while:  {command}   Then the same again.", ExitCode.FAILED)
    except Exception as error:
        from rollout.commands import unexpected

        _end(unexpected.message(error), ExitCode.FAILED)


def _end(said: str, code: ExitCode) -> None:
    """Say it on stderr, and end; a terminal or a pipe that takes nothing any more is no reason for more."""
    with suppress(OSError):
        if said:
            say(said, err=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)
