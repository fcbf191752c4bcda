"""Answers to gates from a file, for unattended runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, field_validator

from rollout import documents
from rollout.fields import Line, Model, Slug
from rollout.gates.model import PROMPTS, UNATTENDED, YES_NO, Answer, Question
from rollout.plan.model import Plan


def _said(answer: Any) -> bool | dict[str, bool]:
    """Return yes or no as a bool, or one for each item. YAML 1.2 readers give `yes` as a string."""
    words: dict[Any, bool] = {True: True, False: False, "yes": True, "no": False}
    if isinstance(answer, dict) and answer:
        if all(isinstance(word, str | bool) and word in words for word in answer.values()):
            return {str(item): words[word] for item, word in answer.items()}
    elif isinstance(answer, str | bool) and answer in words:
        return words[answer]
    raise ValueError("expected yes or no, or one of them for each item")


class AnswersFile(Model):
    """Answers for an unattended run. A gate, or an item of it, that is missing in the file is answered no.

    A text that is missing is not given. A name or reason that an answer needs is in `texts`, as GATE_name and
    GATE_reason. Without a name, the file's `by` stands for it; without a reason, the answer does not count.
    """

    by: Line
    answers: dict[Slug, Annotated[bool | dict[str, bool], PlainValidator(_said)]]
    texts: dict[Slug, Line] = Field(default_factory=dict)

    @field_validator("texts", mode="before")
    @classmethod
    def _lines(cls, texts: Any) -> Any:
        """Return the texts as strings: YAML reads `2026-12-10T16:00Z` as a time and `no` as a truth value."""
        plain = {True: "yes", False: "no"}
        if not isinstance(texts, dict):
            return texts
        return {k: plain[v] if isinstance(v, bool) else str(v) for k, v in texts.items()}

    def begin(self, question: Question) -> None:
        """Do nothing: the answer is there."""

    def withdraw(self) -> None:
        """Do nothing: the answer was there."""

    def poll(self, question: Question) -> Answer:
        """Return the answer from the file."""
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
        """Return the text from the file."""
        return self.texts.get(name)


def load(path: Path, plan: Plan) -> AnswersFile:
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
