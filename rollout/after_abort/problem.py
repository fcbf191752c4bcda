"""Asks people about the problem after an abort (R20): its source, when it can be fixed, whether that takes a merge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from plugins.module_utils.rollout_core.time import timeline
from rollout.outcomes import BadInputError

SOURCE = "What is the source, in one line?"
MENDED_AT = "When can it be fixed, at best? (ISO, or `now`)"
NEW_PIN = "Does the fix need a new revision, to be merged and tried again? (yes or no)"
TRIES = 3  # a person mistypes; an answers file says the same again


class WhoTells(Protocol):
    """Somebody who can give a line of text: the part of gates.Asker that is needed here."""

    def tell(self, name: str, prompt: str) -> str | None:
        """Return the line that they give, or None."""


@dataclass(frozen=True)
class Told:
    """What people said of the problem; None where nobody has. `mended_at` is the best estimate of when it is fixed."""

    source: str | None = None
    mended_at: datetime | None = None
    new_pin: bool | None = None

    @property
    def missing(self) -> list[str]:
        """Return the options of `./runbook.py next` that give what is not known yet."""
        said = {'--source "…"': self.source, "--mended-at ISO": self.mended_at, "--new-pin|--same-pin": self.new_pin}
        return [option for option, value in said.items() if value is None]


def ask(teller: WhoTells, known: Told, now: Callable[[], datetime]) -> tuple[Told, list[str]]:
    """Ask for what is not known; return all that is, and a remark for each answer that could not be used.

    The first question that nobody answers is the last.
    """
    questions: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
        ("source", SOURCE, source),
        ("mended_at", MENDED_AT, lambda text: mended_at(text, now())),
        ("new_pin", NEW_PIN, new_pin),
    )
    remarks: list[str] = []
    for name, prompt, read in questions:
        if getattr(known, name) is None:
            value = _ask(teller, name, prompt, read, remarks)
            if value is None:
                break
            known = replace(known, **{name: value})
    return known, remarks


def _ask(teller: WhoTells, name: str, question: str, read: Callable[[str], Any], remarks: list[str]) -> Any:
    prompt, said = question, ""
    for _ in range(TRIES):
        text = teller.tell(name, prompt)
        if text is None:
            return None
        try:
            return read(text)
        except BadInputError as error:
            if text == said:
                break
            said, prompt = text, f"{error}  {question}"
    remarks.append(f"{name}: {said!r} is no answer.")
    return None


def source(text: str) -> str:
    """Return the source of the problem, in one line. Raises BadInputError if it is empty."""
    line = " ".join(text.split())
    if not line:
        raise BadInputError("E-no-source  Say in one line what the source of the problem was.")
    return line


def mended_at(text: str, now: datetime) -> datetime:
    """Return the estimate as an instant. Raises BadInputError, also for one without an offset from UTC."""
    if text.strip().lower() == "now":
        return now
    try:
        return timeline.parse_instant(text)
    except ValueError as error:
        raise BadInputError(f"E-bad-instant  {text!r}: write 2026-12-10T16:00:00Z, with its offset, or now.") from error


def new_pin(text: str) -> bool:
    """Return True for yes, False for no. Raises BadInputError for anything else."""
    words = {"yes": True, "y": True, "no": False, "n": False}
    if text.strip().lower() not in words:
        raise BadInputError(f"E-yes-or-no  {text!r} is neither yes nor no.")
    return words[text.strip().lower()]
