"""The outbox: an announcement is in the journal before it is sent, and stays due until it is out (R7, R20–R24).

Each attempt is on record before it is made. If nobody knows how one ended, a person is asked: it is never repeated on a
guess. A channel that is down is tried again for a while, and then a person says what is to be done.

An attempt is on record before it is made. One whose end is not known is asked about, never repeated on a guess; a
channel that is down is tried again for a while, and then a person says what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import outbox as core
from plugins.module_utils.rollout_core.journal.events import (
    AnnouncementQueued,
    AnnouncementSending,
    AnnouncementSettled,
    AnnouncementTried,
)
from plugins.module_utils.rollout_core.journal.outbox import Announcement, Copy
from rollout import ROOT
from rollout.announcing import channels, wording
from rollout.announcing.attempt import Delivered
from rollout.announcing.channels import Channels
from rollout.announcing.delivery import deliver
from rollout.announcing.text import Text
from rollout.gates import model as gates
from rollout.gates.model import Answer, Question
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.plan.model import Plan
from rollout.plan.store import KeptRollout

IN_DOUBT, UNSENT = "in_doubt", "unsent"
LOSA = ("losa",)
WAITS = timedelta(minutes=15)  # for a person's answer; for a channel if no deadline is near
SHORTLY = timedelta(minutes=5)  # for a channel if users wait for the news or the window
MEANS = {
    "out": "you have seen it there, or somebody has",
    "again": "it is not there: it is sent once more",
    "retry": "it is tried again",
    "by-hand": "somebody has posted it there by hand",
    "without": "it is given up, and why goes on record",
    "later": "it stays due:  ./runbook.py announce",
}


@dataclass
class Outbox:
    """The outbox of one rollout; `inventory` is the directory that has the channels.

    `ask` puts a question on record and waits for the answer; `wait` waits until an instant; `look` is called while
    something is being sent. An error that these raise ends the sending, with all that is known on record.
    """

    plan: Plan
    inventory: Path
    journal: Journal
    clock: Clock
    say: Callable[[str], None]
    ask: Callable[[Question], Answer]
    wait: Callable[[datetime, str], None]
    look: Callable[[], None] = lambda: None

    @cached_property
    def channels(self) -> Channels:
        """Return the channels of the inventory. Raises BadInputError."""
        return channels.load(self.inventory)

    def texts(self, message: str, on: Sequence[str] | None = None, **more: Any) -> dict[str, dict[str, Any]]:
        """Return the texts of a message as they would be queued, by the name of the copy. Raises BadInputError.

        They are for the message's own channels, or for the channels `on`. `more` is what `wording.about` takes;
        `recipients` in it are what each person is told, with an `address` each, when a message goes to several persons.
        """
        now = self.clock.now()
        recipients = more.pop("recipients", None)
        ways = self.channels.of(message) if on is None else [self.channels[name] for name in on]
        found: dict[str, dict[str, Any]] = {}
        for person in [None] if recipients is None else recipients:
            told = {**more, **({} if person is None else {message: person})}
            where = {name: list(names) for name, names in self.channels.messages.items()}
            facts = wording.about(self.plan.as_vars(), self.journal.entries, now, channels=where, **told)
            for way in ways:
                text = wording.render(message, way.wording, facts, self.inventory)
                to = person["address"] if person else None
                name = f"{way.name} → {to}" if to else way.name
                if name in found:  # another person with the same address
                    name = f"{name} ({len(found) + 1})"
                found[name] = {"title": text.title, "body": text.body, "via": way.name, "to": to}
        return found

    def queue(
        self,
        message: str,
        *,
        stage: str | None = None,
        by: datetime | None = None,
        on: Sequence[str] | None = None,
        **more: Any,
    ) -> int:
        """Put a message on record as due; return its number. Raises BadInputError, and then nothing is on record."""
        texts = self.texts(message, on, **more)
        number = len(core.announcements(self.journal.entries)) + 1
        self.journal.write(AnnouncementQueued(number, message, stage, by, more.get("number"), texts))
        return number

    def send(self, number: int) -> Announcement:
        """Send the copies of an announcement that are not out; return how it stands then.

        A copy that fails is tried again, and a person is asked where one must decide. The announcement is settled then,
        unless a person (or nobody) said later.
        """
        later: set[str] = set()
        tried: set[str] = set()
        until = self._patience(number)
        while True:
            now = self.clock.now()
            open_ = [copy for copy in self._get(number).open if copy.channel not in later]
            doubtful = [copy for copy in open_ if copy.doubtful(now)]
            waiting = [copy for copy in open_ if copy not in doubtful]
            if due := [copy for copy in waiting if copy.channel not in tried or core.next_attempt_at(copy) <= now]:
                self._attempt(number, due)
                tried |= {copy.channel for copy in due}
            elif doubtful:
                later |= {copy.channel for copy in doubtful if not self._settled_doubt(number, copy)}
            elif not open_:
                return self._get(number)
            elif (next_ := min(map(core.next_attempt_at, open_))) > until:
                answered = [(copy, self._what_now(number, copy)) for copy in open_]
                later |= {copy.channel for copy, word in answered if word == "later"}
                until = self.clock.now() + SHORTLY
            else:
                self.wait(next_, f"{', '.join(copy.channel for copy in open_)} is tried again")

    def _get(self, number: int) -> Announcement:
        return core.announcements(self.journal.entries)[number - 1]

    def _patience(self, number: int) -> datetime:
        """Return until when a channel that is down is tried again before a person is asked; it is before the deadline.

        A copy that failed in an earlier run is asked about after one more attempt: whoever typed the command is here.
        """
        now, announcement = self.clock.now(), self._get(number)
        by = announcement.by
        if any(copy.state == core.FAILED for copy in announcement.open):
            return now
        return now + (WAITS if by and by > now + WAITS else SHORTLY)

    def _attempt(self, number: int, copies: Sequence[Copy]) -> None:
        """Send copies on several channels at once; each attempt is on record before any of them begins."""
        announcement = self._get(number)
        keys = [core.key(self.plan.id, announcement, copy) for copy in copies]
        ways = [self.channels[copy.via] for copy in copies]
        for copy, key in zip(copies, keys, strict=True):
            self.journal.write(AnnouncementSending(number, copy.channel, copy.attempts + 1, key))
        with ThreadPoolExecutor(len(copies)) as pool:
            sending = {
                pool.submit(deliver, way, Text(copy.title, copy.body), key, copy.to): copy
                for way, copy, key in zip(ways, copies, keys, strict=True)
            }
            try:
                while sending:
                    done = futures.wait(sending, timeout=0.2, return_when=futures.FIRST_COMPLETED).done
                    for sent in done:  # on record now: another channel may hang
                        self._tried(announcement, sending.pop(sent), sent.result())
                    self.look()
            finally:
                for sent, copy in sending.items():
                    self._tried(announcement, copy, sent.result())

    def _tried(self, announcement: Announcement, copy: Copy, result: Delivered) -> None:
        until = None
        if result.repeatable:
            first = copy.begun or announcement.queued_at
            until = first + timedelta(seconds=self.channels[copy.via].repeatable_seconds)
        self.journal.write(
            AnnouncementTried(
                announcement=announcement.number,
                channel=copy.channel,
                attempt=copy.attempts + 1,
                outcome=result.outcome.value,
                said=result.said,
                repeatable_until=until,
            )
        )
        mark = {"sent": "✓", "not_sent": "✗", "unknown": "?"}[result.outcome.value]
        self.say(f"    {mark} {announcement.message} on {copy.channel}: {result.said}")

    def _settled_doubt(self, number: int, copy: Copy) -> bool:
        """Ask whether a copy in doubt is out; return False if nobody says so now."""
        since = f"{copy.at:%a %d %b %H:%M:%S} UTC"
        doubt = f"the attempt of {since} has no known end{f': {copy.said}' if copy.said else ''}"
        options = ("out", "again", "later")
        answer = self._asked(number, copy, IN_DOUBT, f"Is it out on {copy.channel}?", doubt, options)
        if answer.word in ("out", "again"):
            self._settle(number, copy, "sent" if answer.word == "out" else "again", answer)
        return answer.word != "later"

    def _what_now(self, number: int, copy: Copy) -> str:
        """Ask what to do about a channel that is down; return the answer."""
        failure = f"{copy.attempts} attempts failed, the last with: {copy.said}"
        options = ("retry", "by-hand", "without", "later")
        question = f"{copy.channel} does not take it. What now?"
        answer = self._asked(number, copy, UNSENT, question, failure, options)
        as_ = {"retry": "again", "by-hand": "sent", "without": "given_up"}.get(answer.word)
        if as_:
            self._settle(number, copy, as_, answer)
        return answer.word

    def _asked(self, number: int, copy: Copy, gate: str, text: str, why: str, options: Sequence[str]) -> Answer:
        announcement = self._get(number)
        deadline = [f"to be out by {announcement.by:%a %d %b %H:%M} UTC"] if announcement.by else []
        evidence = [f"{announcement.message} on {copy.channel}: {why}", *deadline]
        evidence += [f"| {line}" for line in [copy.title, *copy.body.splitlines()] if line]
        evidence += [" · ".join(f"{option}: {MEANS[option]}" for option in options)]
        for line in evidence:
            self.say(f"    {line}")
        needs = {"without": ("reason",)}
        return self.ask(Question(gate, text, evidence, LOSA, WAITS, options, needs=needs))

    def _settle(self, number: int, copy: Copy, as_: str, answer: Answer) -> None:
        by, reason = answer.told.get("name", answer.by), answer.told.get("reason")
        self.journal.write(AnnouncementSettled(number, copy.channel, by, reason, as_))


def at_rest(rollout: KeptRollout, asker: gates.Asker, say: Callable[[str], None]) -> Outbox:
    """Return the outbox of a rollout that is not at work: lateness is not judged while it asks or waits."""

    def wait(instant: datetime, what: str) -> None:
        say(f"    … {what} at {instant:%H:%M:%S} UTC")
        rollout.clock.wait_until(instant, lambda: None)

    def ask(asked: Question) -> Answer:
        return gates.ask(asker, rollout.journal, asked)

    inventory = ROOT / rollout.plan.inventory
    return Outbox(rollout.plan, inventory, rollout.journal, rollout.clock, say, ask, wait)


def told(announcement: Announcement) -> list[str]:
    """Return how an announcement stands: a line for each copy that is not out, or one line if all are."""
    if not announcement.open:
        given_up = [copy.channel for copy in announcement.copies if copy.state == core.GIVEN_UP]
        out = [copy.channel for copy in announcement.copies if copy.state == core.SENT]
        said = f"{announcement.message}: out on {', '.join(out) or 'no channel'}"
        return [f"{said}; given up on {', '.join(given_up)}" if given_up else said]
    return [
        f"{announcement.message} is not out on {copy.channel} ({copy.state}{f': {copy.said}' if copy.said else ''})"
        for copy in announcement.open
    ]
