"""The box of a question: the first answer from any terminal, and a no that came after it.

Each is a file that can be made once, so who was first is decided by the file system and not by who looked when. The
box of a question is named by the number of the journal's entry that asks it. Nothing is taken out of it while the
question is on record.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pydantic

from rollout import whole_file
from rollout.gates import mailbox
from rollout.gates.mailbox import MailboxMessage
from rollout.gates.model import Answer, Question

NO = "no"


class AnswerBox:
    """The answers to the question that is entry `asked` of the journal in the rollout's directory."""

    def __init__(self, rollout: Path, asked: int) -> None:
        """Nothing is made yet."""
        self._first = mailbox.box(rollout) / f"{mailbox.ANSWERS}{asked}.json"
        self._no = self._first.with_name(f"{mailbox.ANSWERS}{asked}-no.json")
        self._asked = asked

    def clear(self) -> None:
        """Take out what was left in it: nobody can have answered a question that is not on record yet."""
        for path in (self._first, self._no):
            with suppress(OSError):
                path.unlink()

    def put(self, message: MailboxMessage) -> MailboxMessage | None:
        """Leave an answer; returns None if it is the first, otherwise the one that was. Raises OSError.

        A no that is not the first is kept all the same.
        """
        self._first.parent.mkdir(exist_ok=True)
        if whole_file.create_whole(self._first, message.model_dump_json()):
            return None
        first = _read(self._first)
        if first is None:  # somebody else's file has its place: whoever asks cannot read it either
            raise FileExistsError(errno.EEXIST, "no answer of ours has this name", str(self._first))
        if message.text == NO and first.text != NO:
            self.refuse(message)
        return first

    def refuse(self, message: MailboxMessage) -> None:
        """Leave a no to what has been answered already; one that is there stays. Raises OSError."""
        self._no.parent.mkdir(exist_ok=True)
        whole_file.create_whole(self._no, message.model_dump_json())

    def refusal(self) -> Answer | None:
        """Return the no that came after another answer, None without one."""
        return _answer(_read(self._no))

    def answer(self) -> Answer | None:
        """Return what was answered from another terminal: the first, or the no that came after it."""
        return self.refusal() or _answer(_read(self._first))

    def settle(self, question: Question, given: Answer) -> Answer:
        """Return the answer that counts, now that this one was `given` to whoever asks; the box takes no other first.

        Who was first has answered, but for a no: that wins, wherever it came from.
        """
        with suppress(OSError):  # who comes later learns it from the journal then
            self._first.parent.mkdir(exist_ok=True)
            whole_file.create_whole(self._first, self._as_message(question, given).model_dump_json())
        elsewhere = self.answer()
        if elsewhere is None or elsewhere.word not in question.options:
            return given
        said_no = given.word == NO and given.source != "nobody"
        same = (elsewhere.word, elsewhere.by) == (given.word, given.by)
        return given if said_no or same else elsewhere

    def _as_message(self, question: Question, given: Answer) -> MailboxMessage:
        said = {"kind": "answer", "by": given.by, "text": given.word, "gate": question.gate, "asked": self._asked}
        try:
            return MailboxMessage(**said, told=dict(given.told))  # type: ignore[arg-type]
        except pydantic.ValidationError:  # what was typed at the prompt is held to no pattern
            return MailboxMessage(**said)  # type: ignore[arg-type]


def _answer(message: MailboxMessage | None) -> Answer | None:
    return Answer(message.text, message.by, "another terminal", message.told) if message else None


def _read(path: Path) -> MailboxMessage | None:
    if not os.path.lexists(path):
        return None
    try:
        return mailbox.read(path)
    except (OSError, ValueError, pydantic.ValidationError):
        return None
