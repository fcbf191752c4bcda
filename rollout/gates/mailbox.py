"""Messages from other terminals to the runbook that is at work: answers to its questions, and requests to abort.

A message is a file in the rollout's directory, whole or not there; the runbook that holds the lock takes it.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from plugins.module_utils.rollout_core import plain_text
from rollout.fields import Line, Model, Slug
from rollout.whole_file import write_whole

ANSWERS = "answer-"  # how the files of answers to a question begin (answer_box)
LONGEST = 256 * 1024  # bytes of a message


class MailboxMessage(Model):
    """One message. `asked` is the number of the journal entry that it answers; it does not answer a later question.

    `told` is the name or reason that the question needs. `seen` and `details` belong to an incident.
    """

    kind: Literal["answer", "abort", "incident"]
    by: Line
    text: Line  # the word that answers, the reason to abort, or the problem that was seen
    gate: Slug | None = None
    asked: int | None = None
    told: dict[Slug, Line] = pydantic.Field(default_factory=dict)
    seen: pydantic.AwareDatetime | None = None
    details: Annotated[str, pydantic.AfterValidator(plain_text.clean)] | None = None


@dataclass(frozen=True)
class Received:
    """What was in the mailbox: the messages, oldest first, and what is none of ours, {name: why}."""

    messages: list[MailboxMessage]
    passed_over: dict[str, str]


def send(rollout: Path, message: MailboxMessage) -> Path:
    """Leave a message for the runbook at work in this rollout's directory; the file is gone once it is taken."""
    there = box(rollout)
    there.mkdir(exist_ok=True)
    path = there / f"{time.monotonic_ns()}-{os.getpid()}.json"
    write_whole(path, message.model_dump_json())
    return path


def receive(rollout: Path) -> list[MailboxMessage]:
    """Take the messages that are there, oldest first; what is none of ours is left alone."""
    return look(rollout).messages


def look(rollout: Path) -> Received:
    """Take the messages that are there, and tell what else is: it is left alone, and nothing of it is waited for."""
    received = Received([], {})
    try:
        names = sorted(path.name for path in box(rollout).iterdir())
    except FileNotFoundError:
        return received
    except OSError as error:
        return Received([], {"": str(error.strerror)})
    for name in names:
        if name.startswith((ANSWERS, ".")) or not name.endswith(".json"):
            continue  # the box of a question, or one that is being written
        path = box(rollout) / name
        try:
            message = read(path)
            path.unlink()
        except FileNotFoundError:  # whoever sent it has taken it back
            continue
        except (OSError, ValueError) as error:
            received.passed_over[name] = error.strerror or str(error) if isinstance(error, OSError) else _why(error)
        else:
            received.messages.append(message)
    return received


def read(path: Path) -> MailboxMessage:
    """Return the message in a file of ours. Raises OSError, ValueError for what is none; waits for nothing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("no regular file")
        if found.st_uid != os.getuid():
            raise ValueError("another user's file")
        content = os.read(descriptor, LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > LONGEST:
        raise ValueError(f"more than {LONGEST} bytes")
    return MailboxMessage.model_validate_json(content)


def box(rollout: Path) -> Path:
    """Return the directory in which the messages to a rollout's runbook are."""
    return rollout / "messages"


def _why(error: ValueError) -> str:
    if isinstance(error, pydantic.ValidationError):
        return f"no message: {error.errors(include_url=False, include_input=False)[0]['msg']}"
    return str(error)
