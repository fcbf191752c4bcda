"""Which fault, at which access, at which moment of an outage: all of it follows from a seed (R18, R19)."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

GATES = ("postgres", "pgbouncer")
# What is done at the moment. `stage.py` has a method for each.
FAULTS = (
    "worker_killed",
    "worker_and_guardian_killed",
    "starter_killed",
    "primary_crashes",
    "pooler_killed_or_standby_crashes",
    "access_session_ended",
    "worker_gets_sigterm",
    "worker_frozen_then_stopped",
    "asked_to_stop",
    "machine_loses_power",
    "guardian_killed",  # not among the ten of `make test`, nor is the next
    "patching_session_ended",
)
# Without these nobody is left on the host who could open access: it may stay closed, if that is told.
NOBODY_LEFT = ("worker_and_guardian_killed", "machine_loses_power")
# Without the standby, it stays on record that it is to be resumed.
NO_STANDBY = ("pooler_killed_or_standby_crashes",)
CLOSED, PAUSED, ON_RECORD = "access left closed", "replay left paused", "left on record"
OPENERS = ("the command", "database_access", "the next outage")
FIRST_STEPS = 10  # an outage has about as many
SECONDS_BEFORE, SECONDS_INTO = 0.9, 0.15  # a module takes about so long to begin, and a step to end


@dataclass(frozen=True)
class Moment:
    """`fault` happens `seconds` after the worker has begun `steps` steps; None: after the module was started.

    With steps, not with seconds alone, it is about the same moment on any machine, however much it has to do.
    """

    seed: int
    access: str
    fault: str
    steps: int | None
    seconds: float
    opener: str  # by which way access is opened if it was left closed

    @classmethod
    def of(cls, seed: int) -> Moment:
        """The moment of a seed: faults and gates take turns, the rest is random."""
        chance = random.Random(seed)  # noqa: S311
        steps = chance.randrange(-1, FIRST_STEPS)
        return cls(
            seed=seed,
            access=GATES[(seed // len(FAULTS) + seed) % len(GATES)],
            fault=FAULTS[seed % len(FAULTS)],
            steps=None if steps < 0 else steps,
            seconds=round(chance.uniform(0, SECONDS_BEFORE if steps < 0 else SECONDS_INTO), 3),
            opener=chance.choice(OPENERS),
        )

    def may_leave(self, left: Collection[str]) -> bool:
        """Whether nobody is to blame that `left` (of CLOSED, PAUSED, ON_RECORD) is so."""
        return self.fault in NOBODY_LEFT or (self.fault in NO_STANDBY and set(left) == {ON_RECORD})

    def __str__(self) -> str:
        """It as the name of a test."""
        since = "module" if self.steps is None else f"{self.steps}-steps"
        return f"{self.seed}-{self.access}-{self.fault}-{self.seconds:.3f}s-after-{since}"
