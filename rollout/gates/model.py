"""Gates: one clear question with its evidence to a person; the answer is *no* unless somebody says otherwise.

A question is begun once and then polled again and again: lateness is judged meanwhile, and the answer may come from
another terminal.
"""

from __future__ import annotations

import string
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, Protocol

from plugins.module_utils.rollout_core.journal.events import GateAnswered, GateAsked
from plugins.module_utils.rollout_core.time import timeline
from rollout.journal.file import Journal
from rollout.plan.process import Gate, MergeBackOut

Source = Literal["terminal", "another terminal", "answers file", "beforehand", "nobody"]
YES_NO = ("yes", "no")
# What the conductor asks by itself, besides the gates of the process; those that an answers file may answer.
BEGIN_LATE, OUTGROW, RESUME = "begin_late", "outgrow", "resume"
NOT_ANNOUNCED, NEW_DATE = "not_announced", "new_date"
FAILURE, INTERRUPT = "failure", "interrupt"
UNATTENDED = (BEGIN_LATE, OUTGROW, RESUME, NOT_ANNOUNCED, NEW_DATE)
# What an answer may have to say besides, and how it is asked for.
PROMPTS = {"name": "Who says so? (a name)", "reason": "Why? (in one line)"}


@dataclass(frozen=True)
class Question:
    """One question to a person. `waits` is how long until silence means the last of `options`.

    `item`: which item this is about, for a gate that asks about each of several; `place`: its place among how many.
    `needs`: what an option must come with, `name` and `reason`; without them it does not count as an answer.
    """

    gate: str
    text: str
    evidence: Sequence[str]
    who: Sequence[str]
    waits: timedelta
    options: Sequence[str] = YES_NO
    item: str | None = None
    place: str = ""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def silence(self) -> str:
        """Return the option that silence means."""
        return self.options[-1]

    @property
    def silence_line(self) -> str:
        """Return a sentence that says what silence means, and after how long."""
        return f"No answer within {timeline.duration_words(self.waits)}: {self.silence}."

    def on_record(self, stage: str) -> GateAsked:
        """Return the journal's event for the question; `stage` is empty when none is at work."""
        return GateAsked(
            stage=stage,
            gate=self.gate,
            item=self.item,
            question=self.text,
            evidence=list(self.evidence),
            options=list(self.options),
            needs={option: list(told) for option, told in self.needs.items()} or None,
        )

    @property
    def prompt(self) -> str:
        """Return the question as it stands on the screen."""
        text = f"{self.place} {self.text}" if self.place else self.text
        if self.options == YES_NO:
            return f"? {text}  [y/N/?] "
        return f"? {text}  [{'/'.join([*self.options[:-1], self.silence.upper()])}/?] "

    def answered_by(self, typed: str) -> str | None:
        """Return the option that was typed, by any beginning of it, the last for an empty line; None if not clear."""
        typed = typed.strip().lower()
        found = [option for option in self.options if option.startswith(typed)] if typed else [self.silence]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Answer:
    """An answer, who gave it, and how it reached us; `told` is the name or reason that the question needs."""

    word: str
    by: str
    source: Source
    told: Mapping[str, str] = field(default_factory=dict)

    def on_record(self, stage: str, asked: Question) -> GateAnswered:
        """Return the journal's event for the answer; `stage` is empty when none is at work."""
        return GateAnswered(
            stage=stage,
            gate=asked.gate,
            item=asked.item,
            answer=self.word,
            by=self.by,
            source=self.source,
            name=self.told.get("name"),
            reason=self.told.get("reason"),
        )

    @property
    def yes(self) -> bool:
        """Return True if the answer is yes."""
        return self.word == "yes"


class _InWords(string.Formatter):
    """Fills in facts; an instant as people write it, `Wed 09 Dec 08:00 UTC`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return a fact as text."""
        with suppress(ValueError):
            return f"{timeline.parse_instant(value):%a %d %b %H:%M} UTC"
        return str(super().format_field(value, format_spec))


class Asker(Protocol):
    """Anything that can be asked a question."""

    def begin(self, question: Question) -> None:
        """Show the question."""

    def withdraw(self) -> None:
        """Take the question back: it is settled without an answer from this asker."""

    def poll(self, question: Question) -> Answer | None:
        """Return the answer, or None while there is none. May take a fraction of a second."""

    def tell(self, name: str, prompt: str) -> str | None:
        """Ask for a line of text and return it; None if nobody gives one."""


def answer_command(asked: GateAsked) -> str:
    """Return what is typed at another terminal to answer a question."""
    needs = [f"--{need} TEXT" for need in (asked.needs or {}).get("yes", ())]
    return " ".join(filter(None, ["./runbook.py answer", asked.gate, asked.item, "|".join(asked.options), *needs]))


def question(gate: Gate | MergeBackOut, facts: Mapping[str, Any], evidence: Sequence[str]) -> Question:
    """Return the gate's question with facts filled in.

    Raises KeyError for a fact that is missing, ValueError for one that is not what the question takes it for.
    Not Jinja2: the plan is handed to Ansible whole, which would fill in `{{ … }}` before we could.
    """
    try:
        text = _InWords().vformat(gate.question, (), facts)
    except (TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{gate.question!r} cannot be filled in: {error}") from error
    return Question(
        gate=gate.gate,
        text=text,
        evidence=evidence,
        who=gate.who,
        waits=timeline.parse_duration(gate.waits),
        needs={"yes": ("name",)} if isinstance(gate, Gate) and gate.named else {},
    )


def questions(gate: Gate, facts: Mapping[str, Any], evidence: Sequence[str]) -> list[Question]:
    """Return all questions of a gate: one, or one for each item of a fact, named by the item's first value.

    Raises KeyError for a fact that is not there, ValueError for one that is no list of different items, and
    for evidence that is no list.
    """
    if not isinstance(evidence, list | tuple):
        raise ValueError(f"its evidence is no list of lines: {evidence!r}")
    if gate.each is None:
        return [question(gate, facts, evidence)]
    items = facts[gate.each]
    named = isinstance(items, list) and all(isinstance(item, dict) and item for item in items)
    names = [str(next(iter(item.values()))) for item in items] if named else []
    if not named or len(set(names)) < len(names):
        raise ValueError(f"{gate.each} is no list of different items: {items!r}")
    return [
        replace(
            question(gate, {**facts, **item}, [f"{key}: {value}" for key, value in item.items()]),
            item=name,
            place=f"{number}/{len(items)}",
        )
        for number, (name, item) in enumerate(zip(names, items, strict=True), start=1)
    ]


def ask(asker: Asker, journal: Journal, asked: Question) -> Answer:
    """Ask where no rollout is at work that would have to be judged meanwhile; question and answer are on record.

    `answer` at any other terminal answers it as well.
    """
    from rollout.gates.answer_box import AnswerBox  # which knows answers and questions

    box = AnswerBox(journal.path.parent, len(journal.entries) + 1)
    box.clear()
    journal.write(asked.on_record(""))
    asker.begin(asked)
    until = time.monotonic() + asked.waits.total_seconds()
    answer = None
    try:
        while answer is None and time.monotonic() < until:
            answer = asker.poll(asked) or box.answer()
    finally:  # Ctrl-C, too, leaves no question open
        answer = box.settle(asked, answer or Answer(asked.silence, "nobody", "nobody"))
        if answer.source in ("another terminal", "nobody"):
            asker.withdraw()
        journal.write(answer.on_record("", asked))
    return answer
