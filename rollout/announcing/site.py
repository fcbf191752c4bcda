"""The words that a site uses in its announcements: inventories/X/announcements/words.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from rollout import documents
from rollout.fields import Line, Model

DIRECTORY = "announcements"
Short = Annotated[Line, StringConstraints(max_length=20)]  # it stands in the subject of a mail
Phrase = Annotated[Line, StringConstraints(max_length=60)]


class Words(Model):
    """The words of a site: its service's name, and what users have of it during the window.

    `effect` stands in subjects and short texts, `in_full` in mails ("read-only, with other aspects offline").
    `paused_first`: parts that may go offline up to policy.pause_minutes_before earlier (R5, R7).
    """

    service: Short = "The service"
    effect: Literal["offline", "read-only"] = "offline"
    in_full: Phrase | None = None
    paused_first: tuple[Short, ...] = Field(default=(), max_length=3)

    def names(self) -> dict[str, Any]:
        """Return these words by the names that templates use."""
        return {
            "service": self.service,
            "effect": self.effect,
            "in_full": self.in_full or self.effect,
            "some_services": f"some services ({', '.join(self.paused_first)})"
            if self.paused_first
            else "some services",
        }


class WordsFile(Model):
    """The file words.yml, with one top-level key."""

    words: Words = Words()


def words(site: Path | None) -> Words:
    """Return the words of the inventory at `site`; ours if it has none. Raises BadInputError naming file and line."""
    path = site / DIRECTORY / "words.yml" if site else None
    return documents.load(path, WordsFile).words if path and path.exists() else Words()
