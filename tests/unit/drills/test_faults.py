"""What a drill stops goes on when the drill is over, whatever became of it; and what never happens is named."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import psutil
import pytest

from lab.drills import faults
from lab.waiting import NeverHappenedError, eventually


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sleep", "60"]) as process:  # noqa: S607
        yield psutil.Process(process.pid)
        process.kill()


def stands_still(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


def test_frozen_goes_on_when_told(sleeper: psutil.Process) -> None:
    with faults.frozen(lambda: [sleeper]) as go_on:
        eventually(lambda: stands_still(sleeper))
        go_on()
        eventually(lambda: not stands_still(sleeper))


def test_frozen_goes_on_when_the_drill_fails(sleeper: psutil.Process) -> None:
    with pytest.raises(ZeroDivisionError), faults.frozen(lambda: [sleeper]):
        assert eventually(lambda: stands_still(sleeper)) / 0
    eventually(lambda: not stands_still(sleeper))


def test_what_never_happens_is_named() -> None:
    with pytest.raises(NeverHappenedError, match="the end of the world: still not"):
        eventually(lambda: False, "the end of the world", seconds=0)
