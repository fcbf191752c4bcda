"""The text of one message for one channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """The text to send: `title` is a mail's subject, empty where a channel has none; `body` is plain text."""

    title: str
    body: str

    def as_mail(self) -> str:
        """Return the text as a person reads it in a file: the subject, an empty line, the body."""
        return f"Subject: {self.title}\n\n{self.body}"
