"""Brackets that are still on, in words: since when, why, and the command that ends them (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn


@dataclass(frozen=True)
class StillOn:
    """A bracket that is on in `rollout` since `since`; `why` it stays on, None while nobody has tried to end it.

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
        """Return the bracket as a line for a person, loud once somebody has tried to end it."""
        sooner = "" if self.why else " sooner"
        return f"{'! ' if self.why else ''}{self.sentence}.   To end it{sooner}:  {self.command}"

    @property
    def sentence(self) -> str:
        """Return `PQM is in RC mode since Mon 7 Dec 08:03 UTC: devel has the merge, and fixes must land`."""
        since = f"{self.what} since {self.since:%a} {self.since.day} {self.since:%b %H:%M} UTC"
        return f"{since}: {self.why.rstrip('.')}" if self.why else f"{since}, until {self.until} is done"


def still_on(bracket: SwitchedOn, rollout: str = "") -> StillOn:
    """Return a bracket as the views of `rollout` show it."""
    return StillOn(rollout, bracket.stage, bracket.what, bracket.since, bracket.why, bracket.ends_with, ends(bracket))


def sentence(bracket: SwitchedOn) -> str:
    """Return what is on, since when, and why or until when."""
    return still_on(bracket).sentence


def ends(bracket: SwitchedOn) -> str:
    """Return the command that ends a bracket, whatever became of its rollout."""
    return f"./runbook.py run {bracket.ends_with}"
