"""What is still switched on, in words: since when, why, and the command that ends it (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.brackets import Hold


@dataclass(frozen=True)
class Holding:
    """What holds in `rollout` since the instant `since`; `why` it stays on, None as long as nobody has tried to end it.

    It ends with stage `until`, by `command`.
    """

    rollout: str
    stage: str
    what: str
    since: datetime
    why: str | None
    until: str
    command: str

    @property
    def line(self) -> str:
        """It for a person, loud once somebody has tried to end it."""
        sooner = "" if self.why else " sooner"
        return f"{'! ' if self.why else ''}{sentence(self)}.   To end it{sooner}:  {self.command}"


def told(hold: Hold, rollout: str) -> Holding:
    """It for the views of a rollout."""
    return Holding(rollout, hold.stage, hold.what, hold.since, hold.why, hold.until, ends(hold))


def sentence(hold: Hold | Holding) -> str:
    """`PQM is in RC mode since Mon 7 Dec 08:03 UTC: devel has the merge, and fixes must land`."""
    since = f"{hold.what} since {hold.since:%a} {hold.since.day} {hold.since:%b %H:%M} UTC"
    return f"{since}: {hold.why.rstrip('.')}" if hold.why else f"{since}, until {hold.until} is done"


def ends(hold: Hold) -> str:
    """What to type to end it, whatever became of its rollout."""
    return f"./runbook.py run {hold.until}"
