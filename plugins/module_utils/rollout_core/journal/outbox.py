"""What is announced, computed from the journal: where it is out, where it is in doubt, what is due, what was late.

An announcement is queued with its texts, one for each channel, before the first of them is sent (R7, R20-R24). An
attempt is on record before it is made, and what came of it afterwards: one without an end is in doubt, and a person
says whether it went out. Nothing is posted twice on a guess, and nothing is dropped.

*entries* are the journal's; all instants are timezone-aware UTC datetimes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Iterable, Mapping, Sequence

from ..time.timeline import Entry, Plan, actual, parse_instant, window

QUEUED, FAILED, IN_DOUBT, SENT, GIVEN_UP = "queued", "failed", "in doubt", "sent", "given up"
SETTLED = (SENT, GIVEN_UP)
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(minutes=5)  # between two attempts; each twice the one before


@dataclass(frozen=True)
class Copy:
    """One announcement on one channel. `at` is when the state began, `said` what the channel or a person said of it.

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
        """Whether nothing more is to be done about it."""
        return self.state in SETTLED

    def doubtful(self, now: datetime) -> bool:
        """Whether it may be out already, and to send it again might post it twice."""
        return self.state == IN_DOUBT or (
            self.state == FAILED and self.harmless_until is not None and now > self.harmless_until
        )


@dataclass(frozen=True)
class Announcement:
    """One announcement: `number` counts from 1 in its journal, `by` is its deadline, None without one."""

    number: int
    message: str
    stage: str | None
    by: datetime | None
    queued_at: datetime
    copies: tuple[Copy, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be done about it, on any channel."""
        return all(copy.settled for copy in self.copies)

    @property
    def open(self) -> tuple[Copy, ...]:
        """Where something is still to be done."""
        return tuple(copy for copy in self.copies if not copy.settled)


@dataclass(frozen=True)
class Missed:
    """A message that did not make its deadline on a channel: `sent_at` is None where it is not out at all (R7, R21)."""

    message: str
    channel: str | None
    deadline: datetime
    sent_at: datetime | None

    def told(self) -> str:
        """It in a line for people."""
        where = f"{self.message} on {self.channel}" if self.channel else self.message
        missed = f"was to be out by {_minute(self.deadline)}"
        if self.sent_at is None:
            return f"{where} {missed} and is not"
        return f"{where} {missed} and went out at {_minute(self.sent_at, to_the_second=True)}"


def announcements(entries: Iterable[Entry]) -> list[Announcement]:
    """Every announcement that was queued, in order."""
    found: dict[int, Announcement] = {}
    for entry in entries:
        event = entry["event"]
        if event == "announcement_queued":
            found[entry["announcement"]] = _queued(entry)
        elif event in _CHANGES and entry["announcement"] in found:
            before = found[entry["announcement"]]
            copies = (
                _CHANGES[event](copy, entry) if copy.channel == entry["channel"] else copy for copy in before.copies
            )
            found[before.number] = replace(before, copies=tuple(copies))
        elif event == "window_moved":
            found = {number: _withdrawn(each, entry) for number, each in found.items()}
    return list(found.values())


def next_attempt_at(copy: Copy) -> datetime:
    """When a copy that did not go out is tried again."""
    doubled = min(max(0, copy.attempts - 1), 10)
    return copy.at + min(FIRST_WAIT * 2**doubled, LONGEST_WAIT) if copy.state == FAILED else copy.at


def key(plan_id: str, announcement: Announcement, copy: Copy) -> str:
    """What is the same for every attempt at this copy, and for no other: channels that can, know a repeat by it."""
    parts = (plan_id, announcement.queued_at.isoformat(), announcement.message, copy.channel, copy.title, copy.body)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def standing(entries: Sequence[Entry], message: str, stage: str | None) -> Announcement | None:
    """The latest announcement of that stage and message, None when the window was moved since it was queued."""
    found = [each for each in announcements(since_move(entries)) if (each.message, each.stage) == (message, stage)]
    return found[-1] if found else None


def since_move(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries since the window was last moved: what was said of the time before is not so any more (R3)."""
    for number in range(len(entries) - 1, -1, -1):
        if entries[number]["event"] == "window_moved":
            return entries[number + 1 :]
    return entries


def message_of(plan: Plan, entries: Sequence[Entry], announces: Mapping[str, Any]) -> tuple[str, datetime | None]:
    """Which message a stage that `announces` has to send, and by when.

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
    """By when it must be out: so many hours before the window as the policy's number says that `by` names."""
    if announces.get("by") is None:
        return None
    return window(plan)[0] - timedelta(hours=plan["policy"][announces["by"]])


def missed(plan: Plan, entries: Sequence[Entry], now: datetime) -> list[Missed]:
    """Every message with a deadline that is over and was not kept, on every channel; nobody has waived it (R7, R21)."""
    waived = {entry["message"] for entry in since_move(entries) if entry["event"] == "announcement_waived"}
    carried = {entry["stage"] for entry in entries if entry["event"] == "stage_carried"}
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
    """The stages that are done and rest on when the window is: what was confirmed and announced of it (R3, R7)."""
    records = actual(entries)
    return [
        stage["stage"]
        for stage in plan["process"]
        if stage["stage"] in records
        and records[stage["stage"]].done
        and (any(gate.get("named") for gate in stage.get("gates", ())) or (stage.get("announces") or {}).get("by"))
    ]


def _queued(entry: Entry) -> Announcement:
    at = parse_instant(entry["at"])
    copies = (
        Copy(name, text["title"], text["body"], QUEUED, at, via=text.get("via") or name, to=text.get("to"))
        for name, text in entry["texts"].items()
    )
    return Announcement(
        number=entry["announcement"],
        message=entry["message"],
        stage=entry.get("stage"),
        by=parse_instant(entry["by"]) if entry.get("by") else None,
        queued_at=at,
        copies=tuple(copies),
    )


def _withdrawn(announcement: Announcement, entry: Entry) -> Announcement:
    """What a stage announces and is not out names a window that is not so any more; the stage queues it anew."""
    if announcement.stage is None:
        return announcement
    at, said = parse_instant(entry["at"]), "withdrawn: the window was moved"
    copies = (
        copy if copy.settled else replace(copy, state=GIVEN_UP, at=at, by=entry.get("by"), said=said)
        for copy in announcement.copies
    )
    return replace(announcement, copies=tuple(copies))


def _sending(copy: Copy, entry: Entry) -> Copy:
    at = parse_instant(entry["at"])
    return replace(copy, state=IN_DOUBT, at=at, attempts=entry["attempt"], begun=copy.begun or at, said="")


def _tried(copy: Copy, entry: Entry) -> Copy:
    until = entry.get("repeatable_until")
    harmless_until = parse_instant(until) if until else copy.harmless_until
    states = {"sent": SENT, "not_sent": FAILED, "unknown": FAILED if until else IN_DOUBT}
    state, at = states[entry["outcome"]], parse_instant(entry["at"])
    return replace(copy, state=state, at=at, said=entry["said"], harmless_until=harmless_until)


def _settled(copy: Copy, entry: Entry) -> Copy:
    states = {"sent": SENT, "again": QUEUED, "given_up": GIVEN_UP}
    said = entry.get("reason") or ""
    state, at = states[entry["as"]], parse_instant(entry["at"])
    if state == QUEUED and not copy.doubtful(at):  # nobody was asked whether an earlier attempt went out
        return replace(copy, state=state, at=at, by=entry["by"], said=said)
    if state == SENT and copy.state == IN_DOUBT:
        at = copy.at  # the attempt is what was seen: it counts for the deadline
    return replace(copy, state=state, at=at, by=entry["by"], said=said, begun=None, harmless_until=None)


_CHANGES = {
    "announcement_sending": _sending,
    "announcement_tried": _tried,
    "announcement_settled": _settled,
}


def _minute(instant: datetime, *, to_the_second: bool = False) -> str:
    return f"{instant:%a %d %b %H:%M:%S} UTC" if to_the_second else f"{instant:%a %d %b %H:%M} UTC"
