"""`./runbook.py announce`: previews announcements, sends what is queued and not out, corrects (docs/operations.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollout import ROOT
from rollout.commands.options import FILE, LINE, inventory_option, plan_option
from rollout.journal import store as journals
from rollout.outcomes import BadInputError, ExitCode, NoPlanError
from rollout.plan.messages import MESSAGES
from rollout.views.console import console as terminal_console
from rollout.views.console import say

if TYPE_CHECKING:
    from rollout.gates import model as gates
    from rollout.plan.store import KeptRollout


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `-i inventories/X` and `--plan FILE` to a command."""
    return inventory_option(plan_option(command))


class _Announce(click.Group):
    """The command group `announce`; with --preview, the words that follow are names of messages."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command that is meant: `preview` if --preview is given."""
        if ctx.params.get("preview"):
            return "preview", self.commands["preview"], args
        return super().resolve_command(ctx, args)


@click.group(cls=_Announce, invoke_without_command=True, subcommand_metavar="[--preview [MESSAGE]... | COMMAND ...]")
@_options
@click.option("--preview", "preview", is_flag=True, help="Show what goes out, as it will; nothing is sent.")
@click.pass_context
def announce(context: click.Context, inventory: Path | None, plan_file: Path | None, *, preview: bool) -> None:
    """Send what is queued and not out yet; --preview shows every message of the rollout instead."""
    context.obj = (inventory, plan_file)
    if context.invoked_subcommand is None and preview:
        context.invoke(preview_command)
    elif context.invoked_subcommand is None:
        from rollout.announcing import outstanding as on_hand

        settled = on_hand.send_open(plan_file, _asker(), say, _see_that_it_is_ours)
        sys.exit(ExitCode.DONE if settled else ExitCode.FAILED)


def _see_that_it_is_ours(kept: KeptRollout) -> None:
    """Raise ClaimRefusedError unless the service is still this rollout's."""
    from rollout.commands.run import at_work
    from rollout.engine.service_claim import ServiceClaim

    ServiceClaim(at_work(kept, terminal_console())).take()


@announce.command("preview")
@click.argument("messages", nargs=-1, type=click.Choice(MESSAGES), metavar="[MESSAGE]...")
@_options
@click.pass_context
def preview_command(
    context: click.Context, messages: tuple[str, ...] = (), inventory: Path | None = None, plan_file: Path | None = None
) -> None:
    """Show the messages of the rollout, or some, as they will go out; nothing is sent."""
    given = context.obj or (None, None)
    show(messages, inventory or given[0], plan_file or given[1])


@announce.command("correct")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--right", type=LINE, required=True, metavar="TEXT", help="What is right, in a sentence.")
@click.option("--plan", "plan_file", type=FILE, help="A plan file; otherwise the latest rollout's.")
@click.pass_context
def correct(context: click.Context, number: int, right: str, plan_file: Path | None) -> None:
    """Correct announcement NUMBER visibly, wherever it is out: what was wrong, and what is right."""
    from rollout.announcing import outstanding

    settled = outstanding.correct(plan_file or context.obj[1], number, right, _asker(), say)
    sys.exit(ExitCode.DONE if settled else ExitCode.FAILED)


def show(messages: tuple[str, ...], inventory: Path | None, plan_file: Path | None) -> None:
    """Print previews; nothing is read but plan, journal and inventory. Raises BadInputError."""
    from rollout.announcing import channels, preview
    from rollout.engine import announcements
    from rollout.journal.clock import as_left
    from rollout.plan import store

    try:
        directory, plan = store.current(inventory, plan_file)
    except NoPlanError:
        directory, plan = store.latest(plan_file)
    site = inventory or ROOT / plan.inventory
    where: dict[str, list[tuple[str, str]]] | None = None
    try:
        loaded = channels.load(site)
        where = {message: [(channel.name, channel.wording) for channel in loaded.of(message)] for message in MESSAGES}
    except BadInputError as error:
        why = "The channels cannot be used as they are (docs/operations.md, Channels): each wording is shown once."
        say(f"{error}\n{why}\n", err=True)
    entries = journals.entries(directory)
    after = announcements.aborted_before(plan) if plan.follows else None
    say(f"{plan.id} · window {plan.window.start:%a} {plan.window.start.day} {plan.window.start:%b %Y %H:%M} UTC\n")
    now = as_left(entries).now()
    for each in preview.previews(plan.as_vars(), entries, now, site, where, after):
        if not messages or each.message in messages:
            say("\n".join(preview.lines(each, entries)))


def _asker() -> gates.Asker:
    from rollout.gates import terminal

    return terminal.here()
