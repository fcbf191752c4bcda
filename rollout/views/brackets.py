"""What is still switched on, in words: since when, why, and the command that ends it (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn


@dataclass(frozen=True)
class StillOn:
    """What is on in `rollout` since the instant `since`; `why` it stays so, None while nobody has tried to end it.

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
        """Return it as a line for a person, loud once somebody has tried to end it."""
        sooner = "" if self.why else " sooner"
        return f"{'! ' if self.why else ''}{self.sentence}.   To end it{sooner}:  {self.command}"

    @property
    def sentence(self) -> str:
        """Return `PQM is in RC mode since Mon 7 Dec 08:03 UTC: devel has the merge, and fixes must land`."""
        since = f"{self.what} since {self.since:%a} {self.since.day} {self.since:%b %H:%M} UTC"
        return f"{since}: {self.why.rstrip('.')}" if self.why else f"{since}, until {self.until} is done"


def still_on(bracket: SwitchedOn, rollout: str = "") -> StillOn:
    """Return it for the views of a rollout."""
    return StillOn(rollout, bracket.stage, bracket.what, bracket.since, bracket.why, bracket.ends_with, ends(bracket))


def sentence(bracket: SwitchedOn) -> str:
    """Return what is on, since when, and why or until when."""
    return still_on(bracket).sentence


def ends(bracket: SwitchedOn) -> str:
    """Return what to type to end it, whatever became of its rollout."""
    return f"./runbook.py run {bracket.ends_with}"
