"""Incidents in words: whether people were told of them, and what somebody still has to do (R24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.incidents import Incident
from plugins.module_utils.rollout_core.journal.outbox import Announcement


@dataclass(frozen=True)
class OpenIncident:
    """An incident that is open or not announced, for `status`. `due` is the message that `command` sends."""

    rollout: str
    number: int
    summary: str
    seen: datetime
    file: str
    state: str
    due: str | None
    command: str

    @property
    def line(self) -> str:
        """Return the incident as a line for a person; loud if it is to be announced."""
        seen = f"{self.seen:%a} {self.seen.day} {self.seen:%b %H:%M} UTC"
        line = f"incident {self.number} of {self.rollout}, {self.state}, seen {seen}: {self.summary}   {self.file}"
        return f"! {line}\n!   its `{self.due}` is not announced (R24):  {self.command}" if self.due else line


def standing(found: Sequence[Incident], rollout: str, option: str = "") -> list[OpenIncident]:
    """Return the incidents that are open, or whose end is not announced.

    `option` is the --plan that commands need to find `rollout`.
    """
    return [
        OpenIncident(
            rollout=rollout,
            number=each.number,
            summary=each.summary,
            seen=each.seen,
            file=each.file,
            state=each.state,
            due=each.due,
            command=f"./runbook.py incident announce {each.number}{option}",
        )
        for each in found
        if each.open or each.due
    ]


def announced(incident: Incident) -> str:
    """Return in words whether people were told of an incident."""
    words = [f"{each.message} {_standing(each)}" for each in incident.told]
    words += [f"{message} not announced, says {by}" for message, by in incident.waived.items()]
    if incident.due:
        words.append(f"{incident.due} not announced yet")
    elif not words:
        words.append("never announced")
    return "; ".join(words)


def _standing(announcement: Announcement) -> str:
    """Return where an announcement is out, `on status 08:12, developers 08:12`, and what is still to be done."""
    return "on " + ", ".join(
        f"{copy.channel} {copy.at:%a %H:%M}" if copy.state == outbox.SENT else f"{copy.channel} {copy.state.upper()}"
        for copy in announcement.copies
    )
