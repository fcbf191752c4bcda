"""`./runbook.py lab up|status|down`: the embedded lab, which is a whole service on loopback."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import click

from rollout.views.console import console as terminal_console

console = terminal_console()


@click.group()
def lab() -> None:
    """Start, show or stop the embedded lab, a whole service on loopback."""


@lab.command("up")
def lab_up() -> None:
    """Make the lab if there is none, and start what does not run."""
    _lab().up(say=console.print)


@lab.command("status")
def lab_status() -> None:
    """Show every part of the lab, its address and whether it runs."""
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
    """Return the lab's module, imported only here: production lacks the packages that it needs."""
    return import_module("lab.lab")
