"""`./runbook.py status`: shows where the rollout stands and what comes next (docs/operations.md)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rollout import ROOT
from rollout.engine import earlier_brackets
from rollout.incidents import open_incidents
from rollout.journal import store as journals
from rollout.journal.clock import as_left
from rollout.journal.file import NAME, Journal
from rollout.outcomes import NoPlanError
from rollout.plan import store
from rollout.views import screen
from rollout.views.brackets import still_on
from rollout.views.console import console as terminal_console
from rollout.views.overview import Overview, as_json, overview

console = terminal_console()


def show(inventory: Path | None, plan_file: Path | None, *, watch: bool = False, json_wanted: bool = False) -> None:
    """Show where the rollout stands: once, every second (`watch`), or as JSON."""
    try:
        directory, plan = store.current(inventory, plan_file)
    except NoPlanError:
        if json_wanted:
            raise
        directory, plan = store.latest()
        console.print("No rollout is open.")

    def look() -> Overview:
        entries = Journal(directory / NAME).entries
        view = overview(plan.as_vars(), entries, as_left(entries).now())
        left = earlier_brackets.left_on(ROOT / plan.inventory, but=directory)
        others = [still_on(each, left.rollout) for each in left.still_on] if left else []
        incidents = open_incidents.standing_in(ROOT / plan.inventory)
        return replace(view, still_on=[*view.still_on, *others], incidents=incidents)

    if json_wanted:
        console.print_json(json.dumps(as_json(look()), default=_json_value))
    elif watch:
        screen.watch(console, lambda: (look(), journals.owner(directory)))
    else:
        if (clock := as_left(journals.entries(directory))).offset:
            now = f"{clock.now():%a %d %b %H:%M} UTC"
            console.print(f"A rehearsal: all times are its own, and its clock stands at {now}.", soft_wrap=True)
        screen.show(console, look(), journals.owner(directory))


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
