"""The text of one message for one channel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """The text to send: `title` is a mail's subject, or a chat's first line; empty for others. `body` is plain text."""

    title: str
    body: str

    def as_mail(self) -> str:
        """Return the text as a person reads it in a file: the subject, an empty line, the body."""
        return f"Subject: {self.title}\n\n{self.body}"

    def as_chat(self) -> str:
        """Return the text for a chat whose messages have no title of their own: it stands in bold above the rest."""
        return f"**{self.title}**\n\n{self.body}"
