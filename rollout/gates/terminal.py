"""Answers from whoever is at this terminal, or from nobody."""

from __future__ import annotations

import getpass
import select
import sys
import time

from plugins.module_utils.rollout_core import plain_text
from rollout.gates.model import INTERRUPT, PROMPTS, Answer, Asker, Question, answer_command


def here(*, follows: bool = False) -> Asker:
    """Return who can be asked at this terminal: a person, or Nobody if there is no terminal.

    A runbook that `follows` the rollout waits without a terminal, too, for answers from others.
    """
    if sys.stdin.isatty():
        return Terminal()
    return Elsewhere() if follows else Nobody()


class Elsewhere:
    """No person here: answers come from other terminals, as long as a question waits for one."""

    LOOK = 0.2  # seconds

    def begin(self, question: Question) -> None:
        """Say on standard output what is asked, for whoever reads that."""
        print(
            plain_text.clean(f"{question.prompt}\n  Answer it:  {answer_command(question.on_record(''))}"), flush=True
        )

    def withdraw(self) -> None:
        """Do nothing: the line is at its end."""

    def poll(self, question: Question) -> Answer | None:
        """Return None, a moment later; if interrupted, silence at once: a program did that, and is not asked."""
        if question.gate == INTERRUPT:
            return Answer(question.silence, "nobody", "nobody")
        time.sleep(self.LOOK)
        return None

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - whatever is asked
        """Return None: nobody gives a text."""
        return None


class Nobody:
    """No person and no answers file: every answer is no, at once."""

    def begin(self, question: Question) -> None:
        """Do nothing: nobody is here to read it."""

    def withdraw(self) -> None:
        """Do nothing: nobody has read it."""

    def poll(self, question: Question) -> Answer:
        """Return the answer no."""
        return Answer(question.silence, "nobody", "nobody")

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - whatever is asked
        """Return None: nobody gives a text."""
        return None


class Terminal:
    """A person at this terminal, who has the evidence on the screen already; nobody, once it has hung up."""

    LOOK = 0.2  # seconds
    PATIENCE = 900.0  # seconds that a line of text is waited for

    def __init__(self) -> None:
        """Begin with a terminal that has not hung up."""
        self.gone = False
        self._word: str | None = None  # the option that was chosen, while what it needs is being asked
        self._told: dict[str, str] = {}

    def begin(self, question: Question) -> None:
        """Show the question."""
        self._word, self._told = None, {}
        self._say(question.prompt)

    def withdraw(self) -> None:
        """Leave the line on which the question stands."""
        self._say("\n")

    def poll(self, question: Question) -> Answer | None:
        """Return the answer that was typed by now, or None. `?` shows the evidence again.

        What an answer needs besides is asked for line by line: meanwhile somebody else may answer.
        """
        if (typed := self._line(self.LOOK)) is None:
            return None
        if self._word is not None:
            return self._hear(question, self._word, typed.strip())
        if typed.strip() == "?":
            asked_of = f"  Asked of: {', '.join(question.who)}. {question.silence_line}"
            self._say("".join(f"{line}\n" for line in [*(f"    {line}" for line in question.evidence), asked_of]))
        elif word := question.answered_by(typed):
            return self._answer(question, word)
        self.begin(question)
        return None

    def _answer(self, question: Question, word: str) -> Answer | None:
        """Return the answer, or ask for the next thing that it needs."""
        self._word = word
        if missing := [need for need in question.needs.get(word, ()) if need not in self._told]:
            self._say(f"? {PROMPTS[missing[0]]}  ")
            return None
        return Answer(word, getpass.getuser(), "terminal", dict(self._told))

    def _hear(self, question: Question, word: str, typed: str) -> Answer | None:
        """Take a line of what the answer needs; an empty one takes the answer back."""
        need = next(need for need in question.needs[word] if need not in self._told)
        if not typed:
            self.begin(question)
            return None
        if wrong := plain_text.no_line(typed):
            self._say(f"  E-bad-text  {wrong}.\n")
        else:
            self._told[need] = typed
        return self._answer(question, word)

    def tell(self, name: str, prompt: str) -> str | None:  # noqa: ARG002 - a person needs no name
        """Ask for a line, until it is a plain one, and return it; an empty one is nothing."""
        if self.gone:
            return None
        self._say(f"? {prompt}  ")
        patience = time.monotonic() + self.PATIENCE
        while not self.gone and time.monotonic() < patience:
            if (typed := self._line(self.LOOK)) is None:
                continue
            if not typed.strip() or (wrong := plain_text.no_line(typed.strip())) is None:
                return typed.strip() or None
            self._say(f"  E-bad-text  {wrong}.\n? {prompt}  ")
        return None

    def _say(self, text: str) -> None:
        """Write to the terminal; one that has hung up takes nothing."""
        try:
            print(plain_text.clean(text), end="", flush=True)
        except OSError:
            self.gone = True

    def _line(self, seconds: float) -> str | None:
        """Return a whole line that is typed within `seconds`, or None."""
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
