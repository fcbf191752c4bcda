"""`./runbook.py doctor`: whether a rollout could begin, on any day (docs/operations.md)."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from rollout.commands.options import INVENTORY
from rollout.journal.clock import Clock
from rollout.outcomes import BadInputError, ExitCode
from rollout.views.console import console as terminal_console

console = terminal_console()


@click.command()
@INVENTORY
def doctor(inventory: Path) -> None:
    """Look at everything that a rollout needs, changing nothing; every finding has its mend."""
    from rollout.commands.run import at_work
    from rollout.engine import doctor as looking
    from rollout.engine import look_ahead
    from rollout.engine.doctor import Look

    wrong = 0

    def show(look: Look) -> None:
        nonlocal wrong
        wrong += not look.ok
        console.print("\n".join(look.lines()), markup=False, soft_wrap=True)

    now = Clock().now()
    for look in looking.of_the_site(inventory, now):
        show(look)
    try:
        kept = looking.plan_to_look_at(inventory, now)
    except BadInputError as error:
        show(looking.wrong("plan", error))
    else:
        show(looking.groups(inventory, kept.plan))
        rollout = at_work(kept, console)
        answer = looking.hosts(rollout)
        show(answer)
        if answer.ok:
            show(looking.programs(rollout))
            any_day = [stage for stage in kept.plan.process if stage.any_day]
            wrong += look_ahead.look_ahead(rollout, any_day) is not ExitCode.DONE
        else:
            console.print("· not looked at, until the hosts answer: programs, what the outage depends on")
    if not wrong:
        shutil.rmtree(kept.directory)  # otherwise Ansible's output, to which messages lead, is there
    said = f"{wrong} things have to be mended" if wrong > 1 else "One thing has to be mended"
    console.print(f"{said}; then again:  ./runbook.py doctor" if wrong else "A rollout could begin.", soft_wrap=True)
    sys.exit(ExitCode.BAD_INPUT if wrong else ExitCode.DONE)
