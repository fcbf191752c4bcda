"""A limit to the time that a reader may take: what takes longer hangs."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 10.0  # of the processor, however busy the machine is


class HangsError(BaseException):
    """A reader did not come back. No reader may catch it."""


@contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raise HangsError in what takes more than so many seconds of the processor."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise HangsError(f"it takes more than {seconds:g} s")

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
