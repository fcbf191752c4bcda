"""`./runbook.py take-over`: the claim on the service, from a rollout of which nothing is at work any more."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from plugins.module_utils.rollout_core.journal.claims import TakeOver
from plugins.module_utils.rollout_core.journal.events import ClaimTakeOver
from rollout.commands.options import inventory_option, plan_option
from rollout.outcomes import BadInputError
from rollout.views.console import console as terminal_console

console = terminal_console()


@click.command("take-over")
@inventory_option
@plan_option
@click.option(
    "--from", "from_", required=True, metavar="ID", help="The rollout that has the service, as E-claimed names it."
)
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why nothing of it is at work any more: it goes on record."
)
def take_over(inventory: Path | None, plan_file: Path | None, from_: str, reason: str) -> None:
    """Take the service over from a rollout that nobody can end any more; or have this one's journal count as it is."""
    from rollout.commands.given import RunRequest, check
    from rollout.commands.run import at_work
    from rollout.engine.service_claim import ServiceClaim
    from rollout.journal import service_lock
    from rollout.journal import store as journals
    from rollout.plan import store

    over = TakeOver(from_, " ".join(reason.split()))
    if not over.reason:
        raise BadInputError("E-no-reason  Say in one line why it is taken over:  --reason TEXT")
    directory, plan = store.current(inventory, plan_file)
    with journals.lock(directory), service_lock.held(plan.service_name, directory):
        kept, _ = check(RunRequest(inventory=inventory, plan_file=plan_file), goes_on=False)
        rollout = at_work(kept, console)
        rollout.journal.write(ClaimTakeOver(over.rollout, getpass.getuser(), over.reason))
        ServiceClaim(rollout).take(over)
    console.print(f"{plan.service_name} is claimed for {plan.id} now.", markup=False, soft_wrap=True)
    console.print(
        f"What {over.rollout} has left stays as it is: look at it where it ran, and at the hosts, before you go on."
    )
    console.print("Then:  ./runbook.py run", soft_wrap=True)
