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
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import Field, field_validator
from rollout_core import timeline

from rollout import documents
from rollout.plan import Gate, Line, Model, Plan, Slug

Source = Literal["terminal", "another terminal", "answers file", "nobody"]
YES_NO = ("yes", "no")
# What the conductor asks by itself, besides the gates of the process; those that an answers file may answer.
BEGIN_LATE, OUTGROW, RESUME = "begin_late", "outgrow", "resume"
FAILURE, INTERRUPT = "failure", "interrupt"
UNATTENDED = (BEGIN_LATE, OUTGROW, RESUME)


@dataclass(frozen=True)
class Question:
    """What is asked. `waits` is how long until silence means the last of `options`."""

    gate: str
    text: str
    evidence: Sequence[str]
    who: Sequence[str]
    waits: timedelta
    options: Sequence[str] = YES_NO

    @property
    def silence(self) -> str:
        """What no answer means."""
        return self.options[-1]

    @property
    def prompt(self) -> str:
        """The question as it stands on the screen."""
        if self.options == YES_NO:
            return f"? {self.text}  [y/N/?] "
        return f"? {self.text}  [{'/'.join([*self.options[:-1], self.silence.upper()])}/?] "

    def answered_by(self, typed: str) -> str | None:
        """The option that somebody typed, by any beginning of it; nothing typed is the last one. None: not clear."""
        typed = typed.strip().lower()
        found = [option for option in self.options if option.startswith(typed)] if typed else [self.silence]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Answer:
    """What was answered, by whom, and how it reached us."""

    word: str
    by: str
    source: Source

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


def question(gate: Gate, facts: Mapping[str, Any], evidence: Sequence[str]) -> Question:
    """The gate's question with facts filled in. Raises KeyError for a fact that is not there.

    Not Jinja2: the plan is handed to Ansible whole, which would fill in `{{ … }}` before we could.
    """
    return Question(
        gate=gate.gate,
        text=gate.question.format_map(facts),
        evidence=evidence,
        who=gate.who,
        waits=timeline.parse_duration(gate.waits),
    )


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


class AnswersFile(Model):
    """Answers for an unattended run. A gate that is missing here is answered no; a text that is missing is not told."""

    by: Line
    answers: dict[Slug, bool]
    texts: dict[Slug, Line] = Field(default_factory=dict)

    @field_validator("answers", mode="before")
    @classmethod
    def _words(cls, answers: Any) -> Any:
        """YAML 1.2 readers give `yes` as a string."""
        words = {"yes": True, "no": False}
        return {k: words.get(v, v) for k, v in answers.items()} if isinstance(answers, dict) else answers

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
        yes = question.options == YES_NO and self.answers.get(question.gate, False)
        return Answer("yes" if yes else question.silence, self.by, "answers file")

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
    return answers


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
            return Answer(word, getpass.getuser(), "terminal")
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
