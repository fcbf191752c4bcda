"""`./runbook.py incident new|list|show|close|announce` (docs/operations.md): problems found after a rollout (R24)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from plugins.module_utils.rollout_core.journal.incidents import ProblemSeen
from rollout.commands.options import FILE, LINE, instant_or_none
from rollout.journal import store as journals
from rollout.journal.clock import as_left
from rollout.outcomes import BadInputError, ExitCode, LockedError
from rollout.views.console import console as terminal_console

if TYPE_CHECKING:
    from rollout.plan.store import KeptRollout

PLAN = click.option("--plan", "plan_file", type=FILE, help="The plan of the rollout; otherwise the latest rollout.")
ANNOUNCE = click.option("--announce/--no-announce", "wanted", default=None, help="Without asking; otherwise it asks.")
NUMBER = click.argument("number", type=click.IntRange(min=1))
console = terminal_console()


@click.group()
def incident() -> None:
    """Record, announce and close problems found after a rollout (R24)."""


@incident.command("new")
@click.argument("summary")
@PLAN
@click.option("--seen", metavar="ISO", help="When it was seen; otherwise now.")
@click.option("--details", metavar="TEXT|FILE", help="All that is known of it; the name of a file stands for its text.")
@ANNOUNCE
def new(summary: str, plan_file: Path | None, seen: str | None, details: str | None, *, wanted: bool | None) -> None:
    """Record a problem that somebody has seen, in one line: SUMMARY."""
    from rollout.incidents import record as incidents
    from rollout.plan import store

    directory, _ = store.latest(plan_file)
    now = as_left(journals.entries(directory)).now()
    what = incidents.seen(summary, details, instant_or_none(seen), now)
    try:
        with _locked(plan_file) as given:
            opened = incidents.record(given.directory, given.journal, what)
            incidents.write_pages(given.directory, given.plan.as_vars(), given.journal.entries)
            _say(f"Incident {opened.number}, in rollout {given.plan.id}: {os.path.relpath(directory / opened.file)}")
            told = _tell(given, opened.number, wanted=wanted)
    except LockedError as locked:
        _while_at_work(plan_file, what, locked)
        told = False
    sys.exit(ExitCode.DONE if told or not wanted else ExitCode.FAILED)


@incident.command("list")
@PLAN
def list_(plan_file: Path | None) -> None:
    """List every incident of the rollout, those that are open first."""
    from plugins.module_utils.rollout_core.journal.incidents import incidents
    from rollout.incidents.record import write_pages
    from rollout.plan import store
    from rollout.views.incidents import announced, standing

    directory, plan = store.latest(plan_file)
    entries = journals.entries(directory)
    write_pages(directory, plan.as_vars(), entries)
    found = incidents(entries)
    if not found:
        _say(f'Rollout {plan.id} has no incident.  When something is wrong:  ./runbook.py incident new "…"')
        return
    grid = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("", "seen (UTC)", "state", "summary", "announced", "file"):
        grid.add_column(heading, no_wrap=heading in ("", "seen (UTC)", "state"), overflow="fold")
    for each in sorted(found, key=lambda one: (not one.open, one.number)):
        cells = [str(each.number), f"{each.seen:%a %d %b %H:%M}", each.state, each.summary, announced(each), each.file]
        grid.add_row(*map(Text, cells))
    console.print(grid)
    option = f" --plan {os.path.relpath(plan_file)}" if plan_file else ""
    for one in standing(found, plan.id, option):
        if one.due:
            _say(f"! {one.number}: its `{one.due}` is not announced (R24):  {one.command}")


@incident.command("show")
@NUMBER
@PLAN
def show(number: int, plan_file: Path | None) -> None:
    """Show one incident: its page as people have written it, and how it stands."""
    from rollout import documents
    from rollout.incidents import record as incidents
    from rollout.plan import store
    from rollout.views.incidents import announced

    directory, plan = store.latest(plan_file)
    entries = journals.entries(directory)
    found = incidents.get(directory, entries, number)
    incidents.write_pages(directory, plan.as_vars(), entries)
    _say(documents.read_text(directory / found.file).rstrip())
    _say(f"\n{os.path.relpath(directory / found.file)} · {found.state} · {announced(found)}")


@incident.command("close")
@NUMBER
@PLAN
@click.option("--resolution", type=LINE, required=True, metavar="TEXT", help="How it ended, in one line.")
@click.option("--source", type=LINE, metavar="TEXT", help="The source of the problem; otherwise what its page says.")
@click.option("--mended-by", type=LINE, metavar="TEXT", help="Who or what mended it; otherwise what its page says.")
@click.option("--affected-from", metavar="ISO", help="Since when users were affected.")
@click.option("--affected-until", metavar="ISO", help="Until when they were.")
@ANNOUNCE
def close(
    number: int,
    plan_file: Path | None,
    affected_from: str | None,
    affected_until: str | None,
    *,
    wanted: bool | None,
    **ended: Any,
) -> None:
    """Close an incident: the resolution goes on record and into its page, where what people wrote stays."""
    from rollout.incidents import record as incidents

    since, until = instant_or_none(affected_from), instant_or_none(affected_until)
    with _locked(plan_file) as given:
        ended_so = incidents.TypedEnd(affected_from=since, affected_until=until, **ended)
        closed = incidents.close(given.directory, given.plan, given.journal, number, ended_so)
        _say(
            f"Incident {number} of rollout {given.plan.id} is closed: {os.path.relpath(given.directory / closed.file)}"
        )
        if not closed.told:
            _say("It was never announced (R24), so its end is not either.")
        told = _tell(given, number, wanted=wanted)
    sys.exit(ExitCode.DONE if told or not wanted else ExitCode.FAILED)


@incident.command("announce")
@NUMBER
@PLAN
@click.option(
    "--saying", type=LINE, metavar="TEXT", help="What its readers are told, in one line; otherwise the summary."
)
def announce(number: int, plan_file: Path | None, saying: str | None) -> None:
    """Announce what is due of an incident, its problem or its end; or go on where a channel was down."""
    from rollout.incidents import record as incidents
    from rollout.views.incidents import announced

    with _locked(plan_file) as given:
        found = incidents.get(given.directory, given.journal.entries, number)
        if not found.due and all(each.settled for each in found.told):
            _say(f"Nothing is due of incident {number}: {announced(found)}.")
            return
        sys.exit(ExitCode.DONE if _tell(given, number, wanted=True, saying=saying) else ExitCode.FAILED)


@contextmanager
def _locked(plan_file: Path | None) -> Iterator[KeptRollout]:
    """Yield the rollout under its lock, and write its report at the end. Raises LockedError, which says what to do."""
    from rollout.commands.report import write_report
    from rollout.plan import store

    try:
        with store.locked(*store.latest(plan_file)) as kept:
            try:
                yield kept
            finally:
                write_report(kept.directory)
    except LockedError as error:
        raise LockedError(f"{error}\n  Once it is through, the same again.  Look:  ./runbook.py status") from error


def _tell(given: KeptRollout, number: int, *, wanted: bool | None, saying: str | None = None) -> bool:
    """Announce an incident, or ask whether to. A missing text or channel is an error; the incident stays on record."""
    from rollout.announcing.incident_notices import IncidentTeller
    from rollout.gates import terminal

    teller = IncidentTeller(given, terminal.here(), _say)
    try:
        return teller.tell(number, wanted=wanted, saying=saying)
    except BadInputError as error:
        then = f"Then:  ./runbook.py incident announce {number}"
        said = f"! Incident {number} is on record, and what is due of it is NOT ANNOUNCED (R24).  {then}"
        raise BadInputError(f"{error}\n{said}") from error


def _while_at_work(plan_file: Path | None, what: ProblemSeen, locked: LockedError) -> None:
    """Have the runbook at work put a problem on record; it is announced when that ends, or by hand later."""
    from rollout.gates import other_terminal
    from rollout.incidents import record as incidents
    from rollout.plan import store

    directory, plan = store.latest(plan_file)
    opened = other_terminal.incident(directory, what)
    incidents.write_pages(directory, plan.as_vars(), journals.entries(directory))
    _say(f"Incident {opened.number}, in rollout {plan.id}: {os.path.relpath(directory / opened.file)}")
    _say(str(locked).splitlines()[0].replace("E-locked  ", "! Not announced: "))
    _say(f"! That runbook asks when it ends.  Or then:  ./runbook.py incident announce {opened.number}")


def _say(text: str) -> None:
    console.print(Text(text), soft_wrap=True)
