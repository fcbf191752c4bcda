"""`./runbook.py drill`: what is typed wrong is named before a lab is made; the table shows what was wrong."""

from __future__ import annotations

import subprocess

from rich.console import Console

from lab.drills.command import table
from lab.drills.judge import Check
from rollout import ROOT


def test_an_unknown_drill_is_named() -> None:
    done = subprocess.run(["./runbook.py", "drill", "slow-path"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("E-no-such-drill  slow-path. There are: slow-patch, stuck-lock, ")
    assert done.stdout == ""


def test_the_table_shows_what_should_have_been_and_what_was() -> None:
    console = Console(width=100)
    with console.capture() as shown:
        checks = [Check("exit code", "4", "4", right=True, seconds=41.52), Check("access", "open", "shut", right=False)]
        console.print(table(checks))
    _, exit_code, access = (line.split() for line in shown.get().splitlines())
    assert exit_code == ["✓", "exit", "code", "4", "4", "41.5"]
    assert access == ["✗", "access", "open", "shut"]
