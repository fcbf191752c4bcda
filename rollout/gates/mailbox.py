"""Messages from other terminals to the runbook that is at work: answers to its questions, and requests to abort.

A message is a file in the rollout's directory, whole or not there; the runbook that holds the lock takes it.

A message is a file in the rollout's directory, whole or not there; the runbook that holds the lock takes it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

import pydantic

from rollout.fields import Line, Model, Slug
from rollout.whole_file import write_whole


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
    details: str | None = None


def send(rollout: Path, message: MailboxMessage) -> Path:
    """Leave a message for the runbook at work in this rollout's directory; the file is gone once it is taken."""
    box = _box(rollout)
    box.mkdir(exist_ok=True)
    path = box / f"{time.monotonic_ns()}-{os.getpid()}.json"
    write_whole(path, message.model_dump_json())
    return path


def receive(rollout: Path) -> list[MailboxMessage]:
    """Take the messages that are there, oldest first; what is none is thrown away."""
    found = []
    for path in sorted(_box(rollout).glob("*.json")):
        content: Any = path.read_text(encoding="utf-8")
        path.unlink()
        try:
            found.append(MailboxMessage.model_validate(json.loads(content)))
        except (ValueError, pydantic.ValidationError):
            continue
    return found


def _box(rollout: Path) -> Path:
    return rollout / "messages"
