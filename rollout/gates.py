"""Gates: one clear question with its evidence, and an answer that is *no* unless somebody said yes."""

from __future__ import annotations

import getpass
import select
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import field_validator
from rollout_core import timeline

from rollout import documents
from rollout.plan import Gate, Line, Model, Plan, Slug

Source = Literal["terminal", "answers file", "nobody"]


@dataclass(frozen=True)
class Question:
    """What is asked. `waits` is how long until silence means no."""

    gate: str
    text: str
    evidence: Sequence[str]
    who: Sequence[str]
    waits: timedelta


@dataclass(frozen=True)
class Answer:
    """What was answered, by whom, and how it reached us."""

    yes: bool
    by: str
    source: Source


class Asker(Protocol):
    """Anything that can answer a question."""

    def ask(self, question: Question) -> Answer:
        """Answer it, or say no."""


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


class AnswersFile(Model):
    """Answers for an unattended run. A gate that is missing here is answered no."""

    by: Line
    answers: dict[Slug, bool]

    @field_validator("answers", mode="before")
    @classmethod
    def _words(cls, answers: Any) -> Any:
        """YAML 1.2 readers give `yes` as a string."""
        words = {"yes": True, "no": False}
        return {k: words.get(v, v) for k, v in answers.items()} if isinstance(answers, dict) else answers

    def ask(self, question: Question) -> Answer:
        """Answer from the file."""
        return Answer(self.answers.get(question.gate, False), self.by, "answers file")


def answers_file(path: Path, plan: Plan) -> AnswersFile:
    """Read answers for this plan's gates. Raises BadInputError, also for a gate that the process does not have."""
    answers = documents.load(path, AnswersFile)
    known = ", ".join(plan.gates())
    unknown = [("answers", gate) for gate in answers.answers if gate not in plan.gates()]
    if unknown:
        raise documents.refused(path, [(where, f"no such gate; the process has {known}") for where in unknown])
    return answers


class Nobody:
    """No terminal and no answers file: no, at once."""

    def ask(self, question: Question) -> Answer:  # noqa: ARG002 - whatever is asked
        """Say no."""
        return Answer(yes=False, by="nobody", source="nobody")


class Terminal:
    """A person at this terminal, who has the evidence on the screen already."""

    def ask(self, question: Question) -> Answer:
        """Ask until it is y or n, and take silence for no. `?` shows the evidence again."""
        left = question.waits.total_seconds()
        while True:
            print(f"? {question.text}  [y/N/?] ", end="", flush=True)
            ready, _, _ = select.select([sys.stdin], [], [], left)
            said = sys.stdin.readline().strip().lower() if ready else "n"
            if not ready:
                print(f"\n  No answer within {question.waits}: no.")
            if said == "?":
                print(*(f"    {line}" for line in question.evidence), sep="\n")
                print(f"  Asked of: {', '.join(question.who)}. n stops here and undoes what the window did.")
            elif said in {"y", "yes", "n", "no", ""}:
                return Answer(said in {"y", "yes"}, getpass.getuser(), "terminal")
