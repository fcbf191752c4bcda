"""Waits for what other processes do, without a guess how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NeverHappenedError(Exception):
    """An error: what was waited for did not happen; the text says what it was."""


def eventually(what: Callable[[], T], it: str = "what was waited for", seconds: float = 20) -> T:
    """Return the first true answer of `what`. Raises NeverHappenedError naming `it` if there is none in `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := what()):
        if time.monotonic() > deadline:
            raise NeverHappenedError(f"{it}: still not, after {seconds:.0f} s")
        time.sleep(0.02)
    return answer
