"""Problems that were found after a rollout, or seen by a person, as the journal knows them (R24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.outbox import Announcement
from plugins.module_utils.rollout_core.time import timeline
from rollout.views.deeds import Entry, at
from rollout.views.text import first_sentence

PROBLEM, SOLVED = "problem", "solved"  # the messages that tell of an incident, of its beginning and its end


@dataclass(frozen=True)
class Closing:
    """How it ended. What nobody told is None; `affected` is in words, the two instants what is known of it exactly."""

    at: datetime
    by: str
    resolution: str
    source: str | None = None
    mended_by: str | None = None
    affected: str | None = None
    affected_from: datetime | None = None
    affected_until: datetime | None = None


@dataclass(frozen=True)
class Incident:
    """One problem. `by` is who saw it (None: the rollout's own checks), `details` what was seen, as text.

    `told` are the announcements of it, `waived` the messages that a person decided not to send, and who did.
    """

    number: int
    file: str
    summary: str
    details: str
    seen: datetime
    opened: datetime
    by: str | None
    closing: Closing | None
    told: Sequence[Announcement]
    waived: dict[str, str]

    @property
    def open(self) -> bool:
        """Whether nobody has closed it."""
        return self.closing is None

    @property
    def state(self) -> str:
        """`open` or `closed`."""
        return "open" if self.open else "closed"

    @property
    def due(self) -> str | None:
        """The message that is to be sent and is not queued: the problem as soon as it is known, then its end (R24).

        The end of what was never announced is announced to nobody.
        """
        queued = {each.message for each in self.told}
        if self.open:
            return None if {PROBLEM} & (queued | set(self.waived)) else PROBLEM
        return SOLVED if PROBLEM in queued and not {SOLVED} & (queued | set(self.waived)) else None

    @property
    def announced(self) -> str:
        """Whether people were told of it, in words."""
        words = [f"{each.message} {_standing(each)}" for each in self.told]
        words += [f"{message} not announced, says {by}" for message, by in self.waived.items()]
        if self.due:
            words.append(f"{self.due} not announced yet")
        elif not words:
            words.append("never announced")
        return "; ".join(words)


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
        """It for a person; what is to be announced is loud."""
        seen = f"{self.seen:%a} {self.seen.day} {self.seen:%b %H:%M} UTC"
        line = f"incident {self.number} of {self.rollout}, {self.state}, seen {seen}: {self.summary}   {self.file}"
        return f"! {line}\n!   its `{self.due}` is not announced (R24):  {self.command}" if self.due else line


def incidents(entries: Sequence[Entry]) -> list[Incident]:
    """Every incident, in the order of their numbers."""
    queued = {e["announcement"]: e.get("incident") for e in entries if e["event"] == "announcement_queued"}
    told = outbox.announcements(entries) if any(number is not None for number in queued.values()) else []
    closed = {entry["number"]: _closing(entry) for entry in entries if entry["event"] == "incident_closed"}
    return [
        Incident(
            number=entry["number"],
            file=entry["file"],
            summary=first_sentence(entry["problem"]),
            details=entry.get("details") or entry["problem"],
            seen=timeline.parse_instant(entry.get("seen") or entry["at"]),
            opened=at(entry),
            by=entry.get("by"),
            closing=closed.get(entry["number"]),
            told=[each for each in told if queued[each.number] == entry["number"]],
            waived={
                other["message"]: other["by"]
                for other in entries
                if other["event"] == "announcement_waived" and other.get("incident") == entry["number"]
            },
        )
        for entry in entries
        if entry["event"] == "incident_opened"
    ]


def standing(found: Sequence[Incident], rollout: str, option: str = "") -> list[OpenIncident]:
    """Those that are open, or whose end is not announced. `option`: the --plan that commands need to find `rollout`."""
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


def _closing(entry: Entry) -> Closing:
    instants = (timeline.parse_instant(text) if text else None for text in map(entry.get, _AFFECTED))
    words = (entry.get(field) for field in ("source", "mended_by", "affected"))
    return Closing(at(entry), entry["by"], entry["resolution"], *words, *instants)


_AFFECTED = ("affected_from", "affected_until")


def _standing(announcement: Announcement) -> str:
    """`on status 08:12, developers 08:12`, and what is still to be done."""
    return "on " + ", ".join(
        f"{copy.channel} {copy.at:%a %H:%M}" if copy.state == outbox.SENT else f"{copy.channel} {copy.state.upper()}"
        for copy in announcement.copies
    )
