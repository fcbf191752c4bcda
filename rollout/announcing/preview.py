"""Shows every message of a rollout as it will go out; what is not known yet stands as «…» in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import AbortPacked, Event, StageCarried, StageFinished
from plugins.module_utils.rollout_core.time import timeline
from rollout.announcing import wording
from rollout.announcing.names import WHEN_KNOWN
from rollout.announcing.text import Text
from rollout.plan.messages import MESSAGES

Facts = Mapping[str, Any]
Entries = Sequence[Entry]

# When a message goes out that no stage of the process announces. docs/operations.md has the same words.
OCCASIONS = {
    "rescheduled": "when the window was moved after it had been announced",
    "problem": "when a problem is found after the rollout, once somebody has read it",
    "solved": "when that is closed",
    "aborted": "at once after an abort, if people were told of the window",
    "new_date": "after an abort, when the next attempt is planned",
    "correction": "when somebody corrects what was wrong",
}
ON_REQUEST = "when a stage of the process announces it"  # of any other message that this process does not announce


@dataclass(frozen=True)
class Shown:
    """One text, and its channel. `size` of at most `most`, in `unit`: how much of the channel's limit it takes."""

    channel: str
    wording: str
    text: Text
    size: int
    most: int
    unit: str


@dataclass(frozen=True)
class Preview:
    """One message: when it is due, its deadline if it has one, and its texts."""

    message: str
    due: datetime | None
    by: datetime | None
    when: str
    texts: Sequence[Shown]


def previews(
    plan: Facts,
    entries: Entries,
    now: datetime,
    site: Path,
    channels: Mapping[str, Sequence[tuple[str, str]]] | None,
    after: tuple[Facts, Entries] | None = None,
) -> Iterator[Preview]:
    """Return a preview of every message; those that the process announces come first, in its order.

    `channels` has (name, wording) of the channels of each message; with None each wording is shown once. `after` is the
    aborted rollout whose next attempt this is, with its journal. Raises BadInputError for a template that is wrong.
    """
    names = {message: [name for name, _ in found] for message, found in (channels or {}).items()}
    facts = wording.about(plan, entries, now, channels=names)
    announced = {one["message"]: one for one in facts["goes_out"]}
    for message in dict.fromkeys([*announced, *MESSAGES]):
        known = announced.get(message)
        where = channels.get(message, ()) if channels is not None else _by_wording(message, site)
        told = _told(message, plan, entries, now, after, names)
        texts = [shown for one in told for shown in _texts(message, one, where, site)]
        when = "" if known else OCCASIONS.get(message, ON_REQUEST)
        yield Preview(message, known and known["at"], known and known["by"], when, texts)


def _by_wording(message: str, site: Path) -> list[tuple[str, str]]:
    return [(how, how) for how in wording.wordings(message, site)]


def _texts(message: str, facts: Facts, where: Sequence[tuple[str, str]], site: Path) -> Iterator[Shown]:
    for channel, how in where:
        text, kind = wording.render(message, how, facts, site), wording.WORDINGS[how]
        yield Shown(channel, how, text, kind.size(text), kind.most, kind.unit)


def _told(
    message: str, plan: Facts, entries: Entries, now: datetime, after: tuple[Facts, Entries] | None, names: Facts
) -> Iterator[dict[str, Any]]:
    """Yield the values for a message, for each person whom it goes to; a placeholder stands for what is not known."""
    more: dict[str, Any] = {"channels": names}
    window = timeline.parse_instant(plan["window"]["start"])
    assumed: dict[str, Any] = {}
    if message == "new_date" and after is not None:
        more["after"] = after
    elif message == "new_date":  # of the attempt after this one: usually its backup window
        plan, entries, assumed = {**plan, "window": plan["backup_window"]}, (), {"tried": window, **STOPPED}
    elif message == "aborted":
        assumed = {} if any(True for _ in of(entries, AbortPacked)) else STOPPED
    persons = next((facts[message] for e in reversed(entries) if message in (facts := _facts(e.event))), None)
    for person in [None] if persons is None else persons:
        facts = wording.about(plan, entries, now, **more, **({} if person is None else {message: person}))
        yield {**PLACEHOLDERS, **facts, **assumed}


def _facts(event: Event) -> Facts:
    """Return the facts that a stage reported, in this rollout or in the one it was carried over from."""
    return event.facts if isinstance(event, StageFinished | StageCarried) else {}


def _placeholder(means: str) -> str:
    return f"«{re.split(r' [(]|, |:|;', means)[0]}»"


STOPPED = {"begun": True, "all_back": True}  # the abort that a text is about: in the window, and all taken back
PLACEHOLDERS: dict[str, Any] = {
    **{name: _placeholder(means) for name, means in WHEN_KNOWN.items()},
    "mended": False,
    "deployed": {},
    # shorter: they stand in subjects and in short texts
    "number": "«N»",
    "owner": "«owner»",
    "branch": "«branch»",
    "revno": "«revision»",
    "out_for": "«how long»",
    "moved_from": "«earlier date»",
    "next_merge": "«next merge»",
    "next_window": "«next window»",
    "wrong": "«wrong subject»",
    "cowboys": [
        {"id": "«cowboy»", "why": "«why»", "bug": None, "files": ["«files»"], "hosts": [], "state": "to_apply"}
    ],
}


def lines(preview: Preview, entries: Entries) -> Iterator[str]:
    """Yield the lines of a preview for the screen."""
    due = f"due {_moment(preview.due)}" if preview.due else preview.when
    by = f" · at the latest {_moment(preview.by)}" if preview.by else ""
    earlier = [each for each in outbox.announcements(entries) if each.message == preview.message]
    stands = f" · {earlier[-1].number}: {_states(earlier[-1])}" if earlier else ""
    yield f"{preview.message} · {due}{by}{stands}"
    if not preview.texts:
        yield "  goes nowhere"
    for shown in preview.texts:
        yield f"  {shown.channel}: {shown.size} of {shown.most} {shown.unit}"
        body = shown.text.as_mail() if shown.text.title else shown.text.body
        yield from (f"    | {line}".rstrip() for line in body.splitlines())
    yield ""


def _states(announcement: outbox.Announcement) -> str:
    return ", ".join(f"{copy.state} on {copy.channel}" for copy in announcement.copies)


def _moment(instant: datetime) -> str:
    return f"{instant:%a} {instant.day} {instant:%b %Y %H:%M} UTC"
