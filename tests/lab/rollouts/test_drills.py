"""Two of the drills (`make drills` has them all): the runbook stops in time; and it is killed itself."""

from __future__ import annotations

import pytest

from lab.drills.drills import DRILLS, rehearse


@pytest.mark.parametrize("name", ["slow-patch", "control-killed"])
def test_drill(at_the_window, name):
    wrong = [check for check in rehearse(DRILLS[name], at_the_window) if not check.right]
    screen = at_the_window.screen_file.read_text()
    assert not wrong, "\n".join([*(f"{w.what}: should be {w.should!r}, was {w.did!r}" for w in wrong), screen])
