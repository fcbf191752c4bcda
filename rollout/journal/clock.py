"""The rollout's clock. Nothing else in the conductor asks what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from plugins.module_utils.rollout_core.journal.entries import Entry, last
from plugins.module_utils.rollout_core.journal.events import ClockSet

Tick = Callable[[], None]
WAIT_SECONDS = 0.5  # between two ticks


def _boot_time() -> float:
    """Return seconds since the machine started, suspended time included; nobody can set this clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _system() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The time in UTC: read from the system once, then counted on, so that setting the system's clock delays nothing.

    `offset` is what a rehearsal adds.
    """

    offset = timedelta()
    jumps = False

    def __init__(self, system: Callable[[], datetime] = _system, monotonic: Callable[[], float] = _boot_time) -> None:
        """Set this clock by the system's."""
        self._system, self._monotonic = system, monotonic
        self._start, self._zero = system(), monotonic()

    def now(self) -> datetime:
        """Return the present instant of the rollout."""
        return self._start + timedelta(seconds=self._monotonic() - self._zero) + self.offset

    @property
    def ahead_of_system(self) -> timedelta:
        """Return what playbooks on this machine must add to the system's clock to have the rollout's time."""
        return self.now() - self._system()

    def wait_until(self, instant: datetime, tick: Tick) -> None:
        """Return at `instant`; `tick` is called about twice a second until then, and may raise."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            tick()
            time.sleep(min(left, WAIT_SECONDS))


def as_left(entries: Sequence[Entry]) -> Clock:
    """Return the clock as the journal left it: the system's, or a rehearsal's at its last offset."""
    clock = Clock()
    if found := last(entries, ClockSet):
        clock.offset = timedelta(seconds=found[1].offset_seconds)
    return clock


class RehearsalClock(Clock):
    """A rehearsal's clock, which runs at normal speed while work runs and jumps over waiting.

    `jumped` gets each new offset from the system clock, for the journal, before that takes effect.
    """

    jumps = True

    def __init__(self, offset: timedelta, jumped: Callable[[timedelta, str], object]) -> None:
        """Begin at `offset` from the system clock."""
        super().__init__()
        self.offset = offset
        self._jumped = jumped

    def wait_until(self, instant: datetime, tick: Tick) -> None:
        """Jump to `instant` if it is still to come."""
        left = instant - self.now()
        if left > timedelta():
            tick()
            self._jumped(self.offset + left, f"nothing to do until {instant:%F %H:%M} UTC")
            self.offset += left
