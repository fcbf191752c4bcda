"""A script of the site's own while access is closed: an interruption comes wherever it likes (R18, R19)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from plugins.module_utils.rollout_host.database.outage.run import Interruption
from plugins.module_utils.rollout_host.database.work.script_run import GrowingLog

WRITTEN = [f"line {number}" for number in range(1, 4)]


def interrupted_at(step: int, work: Callable[[], None]) -> bool:
    """Do the work, with an interruption at that step of GrowingLog's code; return whether there was such a step."""
    left = step
    code = GrowingLog.take_new.__code__

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code is not code:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise Interruption
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except Interruption:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("step", range(1, 12))
def test_an_interruption_while_lines_are_taken_ends_nothing_and_repeats_nothing(tmp_path: Path, step: int) -> None:
    log = tmp_path / "upgrade.log"
    log.write_text("".join(f"{line}\n" for line in WRITTEN) + "not yet who")
    taken: list[str] = []
    output = GrowingLog(log, taken.append)
    assert interrupted_at(step, output.take_new)
    with log.open("a") as file:
        file.write("le\n")
    output.take_new()
    missed = [line for line in WRITTEN if line not in taken]
    assert len(missed) <= 1
    assert taken == [line for line in [*WRITTEN, "not yet whole"] if line not in missed]
