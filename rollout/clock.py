"""The rollout's clock. Nothing else in the conductor asks what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Tick = Callable[[], None]


class Clock:
    """The system clock, in UTC."""

    offset = timedelta()
    jumps = False

    def now(self) -> datetime:
        """The present instant of the rollout."""
        return datetime.now(UTC) + self.offset

    def wait_until(self, instant: datetime, tick: Tick) -> None:
        """Return at `instant`; `tick` is called about every second until then."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            tick()
            time.sleep(min(left, 1.0))


def as_left(entries: Iterable[Mapping[str, Any]]) -> Clock:
    """The clock as the journal left it: the system's, or a rehearsal's that goes on 1:1."""
    clock = Clock()
    for entry in entries:
        if entry["event"] == "clock_set":
            clock.offset = timedelta(seconds=entry["offset_seconds"])
    return clock


class RehearsalClock(Clock):
    """A virtual clock that goes 1:1 while work runs and jumps over waiting.

    `jumped` is told each new offset from the system clock before it takes effect: it stands in the journal first.
    """

    jumps = True

    def __init__(self, offset: timedelta, jumped: Callable[[timedelta, str], object]) -> None:
        """Begin `offset` away from the system clock."""
        self.offset = offset
        self._jumped = jumped

    def wait_until(self, instant: datetime, tick: Tick) -> None:
        """Jump to `instant` if it is still to come."""
        left = instant - self.now()
        if left > timedelta():
            tick()
            self._jumped(self.offset + left, f"nothing to do until {instant:%F %H:%M} UTC")
            self.offset += left
