"""The outbox, computed from the journal: where an announcement is out or in doubt, what is due, what was late.

An announcement is queued with its texts, one for each channel, before the first of them is sent (R7, R20-R24). An
attempt is on record before it is made, and its outcome afterwards. An attempt without an outcome is in doubt, and a
person says whether it went out. Nothing is posted twice on a guess, and nothing is dropped.

*entries* are the journal's; all instants are timezone-aware UTC datetimes.

An announcement is queued with its texts, one for each channel, before the first of them is sent (R7, R20-R24). An
attempt is on record before it is made, and what came of it afterwards: one without an end is in doubt, and a person
says whether it went out. Nothing is posted twice on a guess, and nothing is dropped.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Iterable, Mapping, Sequence

from ..time.timeline import Plan, window
from .entries import Entry, of
from .events import (
    AnnouncementQueued,
    AnnouncementSending,
    AnnouncementSettled,
    AnnouncementTried,
    AnnouncementWaived,
    StageCarried,
    WindowMoved,
)
from .stages import actual

QUEUED, FAILED, IN_DOUBT, SENT, GIVEN_UP = "queued", "failed", "in doubt", "sent", "given up"
SETTLED = (SENT, GIVEN_UP)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)  # between two attempts; each twice the one before


@dataclass(frozen=True)
class Copy:
    """An announcement on one channel. `at` is when its state began, `said` what the channel or a person said of it.

    `by` is the person who settled it; `title` and `body` are the text on record. `channel` is the copy's name; it goes
    out on channel `via`, to the address `to` where that takes one (a cowboy's owner, R16). `begun` is when it was first
    tried; `harmless_until`: an attempt may have gone out, and until then the channel knows a repeat by its key.
    """

    channel: str
    title: str
    body: str
    state: str
    at: datetime
    attempts: int = 0
    said: str = ""
    by: str | None = None
    via: str = ""
    to: str | None = None
    begun: datetime | None = None
    harmless_until: datetime | None = None

    @property
    def settled(self) -> bool:
        """Return True if nothing more is to be done about this copy."""
        return self.state in SETTLED

    def doubtful(self, now: datetime) -> bool:
        """Return True if the copy may be out already, so that sending it again might post it twice."""
        return self.state == IN_DOUBT or (
            self.state == FAILED and self.harmless_until is not None and now > self.harmless_until
        )


@dataclass(frozen=True)
class Announcement:
    """One announcement. `number` counts from 1 in its journal; `by` is its deadline, `incident` its incident's number.

    Both are None for an announcement without one.
    """

    number: int
    message: str
    stage: str | None
    by: datetime | None
    queued_at: datetime
    copies: tuple[Copy, ...]
    incident: int | None = None

    @property
    def settled(self) -> bool:
        """Return True if nothing more is to be done about any copy."""
        return all(copy.settled for copy in self.copies)

    @property
    def open(self) -> tuple[Copy, ...]:
        """Return the copies about which something is still to be done."""
        return tuple(copy for copy in self.copies if not copy.settled)


@dataclass(frozen=True)
class Missed:
    """A message that missed its deadline on a channel: `sent_at` is None if it is not out at all (R7, R21)."""

    message: str
    channel: str | None
    deadline: datetime
    sent_at: datetime | None

    def told(self) -> str:
        """Return the missed message as a line for people."""
        where = f"{self.message} on {self.channel}" if self.channel else self.message
        missed = f"was to be out by {_minute(self.deadline)}"
        if self.sent_at is None:
            return f"{where} {missed} and is not"
        return f"{where} {missed} and went out at {_minute(self.sent_at, to_the_second=True)}"


def announcements(found: Iterable[Entry]) -> list[Announcement]:
    """Return every announcement that was queued, in order."""
    queued: dict[int, Announcement] = {}
    for entry in found:
        event = entry.event
        if isinstance(event, AnnouncementQueued):
            queued[event.announcement] = _queued(event, entry.at)
        elif isinstance(event, (AnnouncementSending, AnnouncementTried, AnnouncementSettled)):
            if before := queued.get(event.announcement):
                copies = [_changed(each, event, entry.at) for each in before.copies]
                queued[before.number] = replace(before, copies=tuple(copies))
        elif isinstance(event, WindowMoved):
            queued = {number: _withdrawn(each, event, entry.at) for number, each in queued.items()}
    return list(queued.values())


def next_attempt_at(copy: Copy) -> datetime:
    """Return when a copy that did not go out is tried again."""
    doubled = min(max(0, copy.attempts - 1), 10)
    return copy.at + min(FIRST_WAIT * 2**doubled, LONGEST_WAIT) if copy.state == FAILED else copy.at


def key(plan_id: str, announcement: Announcement, copy: Copy) -> str:
    """Return the key of every attempt at this copy, and of no other copy; some channels know a repeat by it."""
    parts = (plan_id, announcement.queued_at.isoformat(), announcement.message, copy.channel, copy.title, copy.body)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def standing(entries: Sequence[Entry], message: str, stage: str | None) -> Announcement | None:
    """Return the latest announcement of that stage and message; None if the window was moved since it was queued."""
    found = [each for each in announcements(since_move(entries)) if (each.message, each.stage) == (message, stage)]
    return found[-1] if found else None


def since_move(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries since the window was last moved; what was said of the earlier time no longer counts (R3)."""
    for number in range(len(entries) - 1, -1, -1):
        if isinstance(entries[number].event, WindowMoved):
            return entries[number + 1 :]
    return entries


def message_of(plan: Plan, entries: Sequence[Entry], announces: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Return the message that a stage which `announces` has to send, and its deadline.

    A window that was moved after people had heard of it is `when_moved`, one that follows an abort `after_abort`.
    """
    chosen = announces
    before_move = entries[: len(entries) - len(since_move(entries))]  # nothing, when it was not moved
    others = (announces.get(when) or announces for when in ("when_moved", "after_abort"))
    dates = {announces["message"], *(each["message"] for each in others)}
    heard = any(
        copy.state == SENT for each in announcements(before_move) if each.message in dates for copy in each.copies
    )
    if announces.get("when_moved") and heard:
        chosen = announces["when_moved"]
    elif announces.get("after_abort") and plan.get("follows"):
        chosen = announces["after_abort"]
    return chosen["message"], deadline(plan, chosen)


def deadline(plan: Plan, announces: Mapping[str, Any]) -> datetime | None:
    """Return the deadline: the window's start minus the policy's number of hours that `by` names; None without `by`."""
    if announces.get("by") is None:
        return None
    return window(plan)[0] - timedelta(hours=plan["policy"][announces["by"]])


def missed(plan: Plan, entries: Sequence[Entry], now: datetime) -> list[Missed]:
    """Return every message whose deadline has passed and was missed, on every channel, unless waived (R7, R21)."""
    waived = {event.message for _, event in of(since_move(entries), AnnouncementWaived)}
    carried = {event.stage for _, event in of(entries, StageCarried)}
    found: list[Missed] = []
    for stage in plan["process"]:
        if not stage.get("announces") or stage["stage"] in carried:
            continue
        message, by = message_of(plan, entries, stage["announces"])
        if by is None or message in waived or now <= by:
            continue
        out = standing(entries, message, stage["stage"])
        if out is None:
            found.append(Missed(message, None, by, None))
        for copy in out.copies if out else ():
            if copy.state != SENT:
                found.append(Missed(message, copy.channel, by, None))
            elif copy.at > by:
                found.append(Missed(message, copy.channel, by, copy.at))
    return found


def withdrawn_by_move(plan: Plan, entries: Sequence[Entry]) -> list[str]:
    """Return the done stages that a move of the window makes undone: they confirmed or announced its time (R3, R7)."""
    records = actual(entries)
    return [
        stage["stage"]
        for stage in plan["process"]
        if stage["stage"] in records
        and records[stage["stage"]].done
        and (any(gate.get("named") for gate in stage.get("gates", ())) or (stage.get("announces") or {}).get("by"))
    ]


def _queued(event: AnnouncementQueued, at: datetime) -> Announcement:
    copies = (
        Copy(name, text["title"], text["body"], QUEUED, at, via=text.get("via") or name, to=text.get("to"))
        for name, text in event.texts.items()
    )
    return Announcement(
        number=event.announcement,
        message=event.message,
        stage=event.stage,
        by=event.by,
        queued_at=at,
        copies=tuple(copies),
        incident=event.incident,
    )


def _withdrawn(announcement: Announcement, moved: WindowMoved, at: datetime) -> Announcement:
    """Return an announcement as it stands after a move: what is not out names the old window, and is queued anew."""
    if announcement.stage is None:
        return announcement
    said = "withdrawn: the window was moved"
    copies = (
        copy if copy.settled else replace(copy, state=GIVEN_UP, at=at, by=moved.by or None, said=said)
        for copy in announcement.copies
    )
    return replace(announcement, copies=tuple(copies))


def _changed(copy: Copy, event: AnnouncementSending | AnnouncementTried | AnnouncementSettled, at: datetime) -> Copy:
    """Return the copy as it stands after an event; an event of another copy does not change it."""
    if event.channel != copy.channel:
        return copy
    if isinstance(event, AnnouncementSending):
        return replace(copy, state=IN_DOUBT, at=at, attempts=event.attempt, begun=copy.begun or at, said="")
    return _tried(copy, event, at) if isinstance(event, AnnouncementTried) else _settled(copy, event, at)


def _tried(copy: Copy, event: AnnouncementTried, at: datetime) -> Copy:
    until = event.repeatable_until
    states = {"sent": SENT, "not_sent": FAILED, "unknown": FAILED if until else IN_DOUBT}
    harmless_until = until or copy.harmless_until
    state = states.get(event.outcome, IN_DOUBT)  # a word that nobody wrote is not known either
    return replace(copy, state=state, at=at, said=event.said, harmless_until=harmless_until)


def _settled(copy: Copy, event: AnnouncementSettled, at: datetime) -> Copy:
    state = {"sent": SENT, "again": QUEUED, "given_up": GIVEN_UP}.get(event.as_, IN_DOUBT)
    said = event.reason or ""
    if state == QUEUED and not copy.doubtful(at):  # nobody was asked whether an earlier attempt went out
        return replace(copy, state=state, at=at, by=event.by, said=said)
    if state == SENT and copy.state == IN_DOUBT:
        at = copy.at  # the attempt is what was seen: it counts for the deadline
    return replace(copy, state=state, at=at, by=event.by, said=said, begun=None, harmless_until=None)


def _minute(instant: datetime, *, to_the_second: bool = False) -> str:
    return f"{instant:%a %d %b %H:%M:%S} UTC" if to_the_second else f"{instant:%a %d %b %H:%M} UTC"
