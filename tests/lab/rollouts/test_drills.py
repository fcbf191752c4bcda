"""The drills, each as `./runbook.py drill NAME` plays it: with `make drills`, and in CI."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from lab.drills.command import table
from lab.drills.drills import DRILLS, rehearse
from lab.drills.rollout import Rollout


@pytest.mark.drill
@pytest.mark.parametrize("name", DRILLS)
def test_drill(name: str, at_the_window: Rollout, record_property: Callable[[str, Any], None]) -> None:
    checks = rehearse(DRILLS[name], at_the_window)
    shown = Console(file=io.StringIO(), width=120)
    shown.print(f"{name} · {DRILLS[name].story}", table(checks), sep="\n")
    record_property("drill", shown.file.getvalue())
    wrong = [check for check in checks if not check.right]
    screen = at_the_window.screen_file.read_text()
    assert not wrong, "\n".join([*(f"{w.what}: should be {w.should!r}, was {w.did!r}" for w in wrong), screen])
