"""`./runbook.py schedule`: checks the year ahead, fills it, and writes it as a calendar (docs/operations.md)."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from rollout.commands.decisions import AS_JSON
from rollout.commands.options import INVENTORY
from rollout.journal.clock import Clock
from rollout.outcomes import ExitCode
from rollout.views.console import say
from rollout.views.text import as_json as as_json_text


@click.group()
def schedule() -> None:
    """Check, fill or export the windows of the year ahead (R1, R3, R4)."""


@schedule.command()
@INVENTORY
@AS_JSON
def check(inventory: Path, *, as_json: bool) -> None:
    """Show all problems of the schedule at once; exit code 2 if something has to be mended."""
    from rollout.schedule import check as checking

    facts, found = checking.check(inventory, Clock().now())
    if as_json:
        say(as_json_text(checking.as_json(facts, found)))
    else:
        say("\n".join(checking.lines(facts, found)))
    sys.exit(ExitCode.DONE if checking.sound(found) else ExitCode.BAD_INPUT)


@schedule.command()
@INVENTORY
@click.option("--from", "start", type=click.DateTime(["%Y-%m", "%Y-%m-%d"]), help="The first month; otherwise this.")
@click.option("--months", type=click.IntRange(1, 12), help="How many months to fill; otherwise the year ahead.")
@click.option("--write", is_flag=True, help="Put it into schedule.yml; comments and layout stay.")
def propose(inventory: Path, start: datetime | None, months: int | None, *, write: bool) -> None:
    """Propose a window for every month that lists none, by the rule; one that collides is moved, with the reason."""
    from rollout.schedule import proposal as proposing

    proposal = proposing.propose(inventory, Clock().now(), start, months)
    if write and proposal.new:
        proposing.write(proposal)
    say("\n".join(proposing.lines(proposal, written=write)))
    sys.exit(ExitCode.BAD_INPUT if proposal.leaves_out else ExitCode.DONE)


@schedule.command()
@INVENTORY
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Otherwise standard output.")
def ics(inventory: Path, output: Path | None) -> None:
    """Write the windows of the year ahead as an iCalendar file; an existing file is updated as calendars expect it."""
    from rollout.schedule import ics as publishing

    text = publishing.calendar(inventory, Clock().now(), output)
    if output is None:
        sys.stdout.buffer.write(text)
        return
    publishing.write(output, text)
    say(f"Calendar: {output}")
