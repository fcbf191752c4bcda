"""Questions to people: one clear question with its evidence; the answer is *no* unless somebody said otherwise.

A question is begun once and then looked at again and again: the rollout is judged meanwhile, and the answer may come
from another terminal.
"""

from __future__ import annotations

import getpass
import select
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, PlainValidator, field_validator

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.time import timeline
from rollout import documents
from rollout.journal.file import Journal
from rollout.plan.model import BackOut, Gate, Line, Model, Plan, Slug

Source = Literal["terminal", "another terminal", "answers file", "nobody"]
YES_NO = ("yes", "no")
# What the conductor asks by itself, besides the gates of the process; those that an answers file may answer.
BEGIN_LATE, OUTGROW, RESUME = "begin_late", "outgrow", "resume"
NOT_ANNOUNCED, NEW_DATE = "not_announced", "new_date"
FAILURE, INTERRUPT = "failure", "interrupt"
UNATTENDED = (BEGIN_LATE, OUTGROW, RESUME, NOT_ANNOUNCED, NEW_DATE)
# What an answer may have to say besides, and how it is asked for.
PROMPTS = {"name": "Who says so? (a name)", "reason": "Why? (in one line)"}
# What ends the time for which a yes before a crash counts.
CHANGES = ("stage_finished", "undo_finished", "back_out_started", "rollout_closed")


@dataclass(frozen=True)
class Question:
    """What is asked. `waits` is how long until silence means the last of `options`.

    `item`: what of it is asked about, of a gate that asks about each of something; `place`: which of how many.
    `needs`: what an option must say besides, `name` and `reason`; without it, it is no answer.
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
        """What no answer means."""
        return self.options[-1]

    def on_record(self) -> dict[str, Any]:
        """What the journal keeps of it, besides the gate."""
        needs = {"needs": {option: list(told) for option, told in self.needs.items()}} if self.needs else {}
        return {"question": self.text, "evidence": list(self.evidence), "options": list(self.options), **needs}

    @property
    def prompt(self) -> str:
        """The question as it stands on the screen."""
        text = f"{self.place} {self.text}" if self.place else self.text
        if self.options == YES_NO:
            return f"? {text}  [y/N/?] "
        return f"? {text}  [{'/'.join([*self.options[:-1], self.silence.upper()])}/?] "

    def answered_by(self, typed: str) -> str | None:
        """The option that somebody typed, by any beginning of it; nothing typed is the last one. None: not clear."""
        typed = typed.strip().lower()
        found = [option for option in self.options if option.startswith(typed)] if typed else [self.silence]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Answer:
    """What was answered, by whom, and how it reached us; `told` is what the question needs besides."""

    word: str
    by: str
    source: Source
    told: Mapping[str, str] = field(default_factory=dict)

    def on_record(self) -> dict[str, Any]:
        """What the journal keeps of it, besides the gate."""
        return {"answer": self.word, "by": self.by, "source": self.source, **self.told}

    @property
    def yes(self) -> bool:
        """Whether it is a yes."""
        return self.word == "yes"


class Asker(Protocol):
    """Anything that can answer a question."""

    def begin(self, question: Question) -> None:
        """Put it."""

    def withdraw(self) -> None:
        """The question is settled without an answer from here."""

    def poll(self, question: Question) -> Answer | None:
        """The answer, None while there is none. May take a fraction of a second to look."""

    def tell(self, name: str, prompt: str) -> str | None:
        """A line of text; None when nobody says anything."""


def question(gate: Gate | BackOut, facts: Mapping[str, Any], evidence: Sequence[str]) -> Question:
    """The gate's question with facts filled in. Raises KeyError for a fact that is not there.

    Not Jinja2: the plan is handed to Ansible whole, which would fill in `{{ … }}` before we could.
    """
    return Question(
        gate=gate.gate,
        text=gate.question.format_map(facts),
        evidence=evidence,
        who=gate.who,
        waits=timeline.parse_duration(gate.waits),
        needs={"yes": ("name",)} if isinstance(gate, Gate) and gate.named else {},
    )


def questions(gate: Gate, facts: Mapping[str, Any], evidence: Sequence[str]) -> list[Question]:
    """All that the gate asks: one question, or one for each of a fact's items, named by the item's first value.

    Raises KeyError for a fact that is not there, ValueError for one that is no list of different items.
    """
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


def still_yes(
    entries: Sequence[Mapping[str, Any]], stage: str, asked: Question, now: datetime
) -> Mapping[str, Any] | None:
    """The `gate_answered` with which somebody has said yes to this already, before a crash; None when it is asked.

    It counts as long as silence would have been waited for, and as long as nothing but this stage was at work since:
    what the question is about is still as it was.
    """
    answered: Mapping[str, Any] | None = None
    for entry in reversed(entries):
        event = entry["event"]
        if event in CHANGES or (event == "stage_started" and entry["stage"] != stage):
            return None
        if "gate" not in entry or entry["gate"] != asked.gate or entry.get("item") != asked.item:
            continue
        if event == "gate_answered":
            fresh = now - timeline.parse_instant(entry["at"]) <= asked.waits
            answered = entry if entry["answer"] == "yes" and fresh else None
            if answered is None:
                return None
        elif event == "gate_asked":
            return answered if entry["question"] == asked.text else None
    return None


def confirmed(entries: Sequence[Mapping[str, Any]], stage: str, gate: str) -> Mapping[str, Any] | None:
    """The `gate_answered` with which a named person has said yes to this, None without one or after a no (R3).

    It stands whatever is done meanwhile, until the window is moved.
    """
    for entry in reversed(outbox.since_move(entries)):
        if entry["event"] == "gate_answered" and (entry["stage"], entry["gate"]) == (stage, gate):
            return entry if entry["answer"] == "yes" else None
    return None


def unanswered(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The questions of the journal that are open, oldest first: `gate_asked` entries without an answer."""
    opened: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if entry["event"] == "gate_asked":
            opened[entry["gate"]] = entry
        elif entry["event"] == "gate_answered":
            opened.pop(entry["gate"], None)
        elif entry["event"] in ("rollout_opened", "rollout_closed"):
            opened.clear()
    return list(opened.values())


def _said(answer: Any) -> bool | dict[str, bool]:
    """Yes or no, or either for each item. YAML 1.2 readers give `yes` as a string."""
    words: dict[Any, bool] = {True: True, False: False, "yes": True, "no": False}
    if isinstance(answer, dict) and answer:
        if all(isinstance(word, str | bool) and word in words for word in answer.values()):
            return {str(item): words[word] for item, word in answer.items()}
    elif isinstance(answer, str | bool) and answer in words:
        return words[answer]
    raise ValueError("expected yes or no, or one of them for each item")


class AnswersFile(Model):
    """Answers for an unattended run. A gate, or an item of it, that is missing here is answered no.

    A text that is missing is not told. What a gate's answer must say besides is in `texts` as GATE_name and
    GATE_reason; without a name it is the file's `by` who says so, and without a reason it is no answer.
    """

    by: Line
    answers: dict[Slug, Annotated[bool | dict[str, bool], PlainValidator(_said)]]
    texts: dict[Slug, Line] = Field(default_factory=dict)

    @field_validator("texts", mode="before")
    @classmethod
    def _lines(cls, texts: Any) -> Any:
        """YAML reads `2026-12-10T16:00Z` as a time and `no` as a truth: what was meant is text."""
        plain = {True: "yes", False: "no"}
        if not isinstance(texts, dict):
            return texts
        return {k: plain[v] if isinstance(v, bool) else str(v) for k, v in texts.items()}

    def begin(self, question: Question) -> None:
        """Nothing to do: the answer is there."""

    def withdraw(self) -> None:
        """It never is: the answer is there."""

    def poll(self, question: Question) -> Answer:
        """Answer from the file."""
        said = self.answers.get(question.gate, False)
        if isinstance(said, dict):
            said = said.get(question.item or "", False)
        word = "yes" if question.options == YES_NO and said else question.silence
        given = {need: self.texts.get(f"{question.gate}_{need}") for need in PROMPTS}
        given["name"] = given["name"] or self.by
        told = {need: text for need in question.needs.get(word, ()) if (text := given[need])}
        if len(told) < len(question.needs.get(word, ())):
            word, told = question.silence, {}
        return Answer(word, self.by, "answers file", told)

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - nobody reads it
        """The text from the file."""
        return self.texts.get(name)


def answers_file(path: Path, plan: Plan) -> AnswersFile:
    """Read answers for this plan's gates. Raises BadInputError, also for a gate that the process does not have."""
    answers = documents.load(path, AnswersFile)
    known = [*plan.gates(), *UNATTENDED]
    unknown = [("answers", gate) for gate in answers.answers if gate not in known]
    if unknown:
        says = f"no such gate; the process has {', '.join(plan.gates())}, the runbook {', '.join(UNATTENDED)}"
        raise documents.refused(path, [(where, says) for where in unknown])
    each = {gate.gate for stage in plan.process for gate in stage.gates if gate.each}
    if whole := [gate for gate, said in answers.answers.items() if isinstance(said, dict) and gate not in each]:
        says = "it asks one question: expected yes or no"
        raise documents.refused(path, [(("answers", gate), says) for gate in whole])
    return answers


def ask(asker: Asker, journal: Journal, asked: Question) -> Answer:
    """Ask where no rollout is at work that would have to be judged meanwhile; question and answer are on record."""
    journal.write("gate_asked", stage="", gate=asked.gate, **asked.on_record())
    asker.begin(asked)
    until = time.monotonic() + asked.waits.total_seconds()
    answer = None
    try:
        while answer is None and time.monotonic() < until:
            answer = asker.poll(asked)
    finally:  # Ctrl-C, too, leaves no question open
        if answer is None:
            asker.withdraw()
            answer = Answer(asked.silence, "nobody", "nobody")
        journal.write("gate_answered", stage="", gate=asked.gate, **answer.on_record())
    return answer


class Nobody:
    """No terminal and no answers file: no, at once."""

    def begin(self, question: Question) -> None:
        """Nobody hears it."""

    def withdraw(self) -> None:
        """Nobody has heard it."""

    def poll(self, question: Question) -> Answer:
        """Say no."""
        return Answer(question.silence, "nobody", "nobody")

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - whatever is asked
        """Say nothing."""
        return None


class Terminal:
    """A person at this terminal, who has the evidence on the screen already. When it hangs up, nobody is here."""

    LOOK = 0.2  # seconds
    PATIENCE = 900.0  # seconds that a line of text is waited for

    def __init__(self) -> None:
        """Somebody is here."""
        self.gone = False

    def begin(self, question: Question) -> None:
        """Put the question."""
        self._say(question.prompt)

    def withdraw(self) -> None:
        """Leave the line that the question stands on."""
        self._say("\n")

    def poll(self, question: Question) -> Answer | None:
        """What was typed by now. `?` shows the evidence again."""
        if (typed := self._line(self.LOOK)) is None:
            return None
        if typed.strip() == "?":
            asked_of = f"  Asked of: {', '.join(question.who)}. No answer within {question.waits}: {question.silence}."
            self._say("".join(f"{line}\n" for line in [*(f"    {line}" for line in question.evidence), asked_of]))
        elif word := question.answered_by(typed):
            told = {need: self.tell(need, PROMPTS[need]) for need in question.needs.get(word, ())}
            if all(told.values()):
                return Answer(word, getpass.getuser(), "terminal", {need: text or "" for need, text in told.items()})
        self.begin(question)
        return None

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - a person needs no name
        """A line; an empty one is nothing."""
        if self.gone:
            return None
        self._say(f"? {prompt}  ")
        patience = time.monotonic() + self.PATIENCE
        while (typed := self._line(self.LOOK)) is None and not self.gone and time.monotonic() < patience:
            pass
        return (typed or "").strip() or None

    def _say(self, text: str) -> None:
        """Write to the terminal; one that has hung up takes nothing."""
        try:
            print(text, end="", flush=True)
        except OSError:
            self.gone = True

    def _line(self, seconds: float) -> str | None:
        """A whole line typed within some seconds."""
        if self.gone:
            select.select([], [], [], seconds)
            return None
        try:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            typed = sys.stdin.readline() if ready else None
        except OSError:
            typed = ""
        self.gone = typed == ""
        return typed or None
