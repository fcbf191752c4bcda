"""Waiting for what other processes do, without a guess how long it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(what: Callable[[], T], seconds: float = 20) -> T:
    """The first true answer of `what`; fails the test when there is none in `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < deadline, f"still not, after {seconds} s"
        time.sleep(0.02)
    return answer
