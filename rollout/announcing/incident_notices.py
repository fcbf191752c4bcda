"""Announces an incident when it is discovered, and its end (R24): somebody says yes to the text, or says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from plugins.module_utils.rollout_core.journal.events import AnnouncementWaived
from plugins.module_utils.rollout_core.journal.incidents import PROBLEM, Incident, incidents
from rollout.announcing import outbox
from rollout.gates import model as gates
from rollout.gates.model import Question
from rollout.plan.store import KeptRollout

ANNOUNCE = "announce_incident"  # the question; an answers file cannot know the text, so it has no answer
OPTIONS = ("yes", "no", "later")
MEANS = "yes: it goes out now · no: it is not announced, and why goes on record · later: it stays due"
WAITS = timedelta(minutes=15)


@dataclass(frozen=True)
class IncidentTeller:
    """Announces the incidents of a rollout that no runbook is at work on; its lock is held."""

    rollout: KeptRollout
    asker: gates.Asker
    say: Callable[[str], None]

    def tell(self, number: int, *, wanted: bool | None = None, saying: str | None = None) -> bool:
        """Announce what is due of an incident; return True if nothing is left to announce.

        Nothing is left once it is out everywhere, or somebody decided that it is not sent. `wanted` is the decision if
        it was made beforehand; with None, whoever is at the terminal is asked, with the text as evidence. Without a
        decision it stays due. `saying` replaces the summary, or the resolution, in the text: what checks found is not
        written for readers. Raises BadInputError when there is no text or no channel for it.
        """
        for announcement in self._incident(number).told:
            if not announcement.settled and wanted is not False:
                self._say(outbox.told(self._box.send(announcement.number)))
        message = self._incident(number).due
        if message is not None and (self._asked(number, message) if wanted is None else wanted):
            words: dict[str, Any] = {"problem" if message == PROBLEM else "resolution": saying} if saying else {}
            self._say(outbox.told(self._box.send(self._box.queue(message, number=number, **words))))
        return self._left(number)

    @cached_property
    def _box(self) -> outbox.Outbox:
        return outbox.at_rest(self.rollout, self.asker, self.say)

    def _incident(self, number: int) -> Incident:
        return next(each for each in incidents(self.rollout.journal.entries) if each.number == number)

    def _asked(self, number: int, message: str) -> bool:
        """Ask whether the message is announced now; return True for yes. A no goes on record, with name and reason."""
        evidence = [f"incident {number}, to be announced as `{message}`:"]
        for copy, text in self._box.texts(message, number=number).items():
            evidence += [f"{copy}:", *(f"| {line}" for line in [text["title"], *text["body"].splitlines()] if line)]
        self._say([f"    {line}" for line in [*evidence, MEANS]])
        needs = {"no": ("reason",)}
        asked = Question(ANNOUNCE, "Announce it now?", evidence, ("losa",), WAITS, OPTIONS, needs=needs)
        answer = gates.ask(self.asker, self.rollout.journal, asked)
        if answer.word == "no":
            self.rollout.journal.write(AnnouncementWaived(message, number, answer.by, answer.told["reason"]))
        return answer.yes

    def _left(self, number: int) -> bool:
        """Return True if nothing is left to announce; otherwise say loudly what is."""
        incident = self._incident(number)
        unsent = [each.message for each in incident.told if not each.settled]
        if not incident.due and not unsent:
            return True
        what = f"`{incident.due}` is NOT ANNOUNCED" if incident.due else f"`{', '.join(unsent)}` is NOT OUT everywhere"
        self._say([f"! Incident {number}: its {what} (R24).  Then:  ./runbook.py incident announce {number}"])
        return False

    def _say(self, lines: list[str]) -> None:
        self.say("\n".join(lines))
