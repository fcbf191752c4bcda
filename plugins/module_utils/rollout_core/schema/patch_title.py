"""The title of a schema patch: one line for the person who has to say whether it is good (R14)."""

from __future__ import annotations

import re

from . import statements

LONGEST = 100
_HEAD = re.compile(
    r"(?P<line>[ \t]*--(?P<text>[^\n]*)(?:\n|\Z))|(?P<blank>[ \t\r]*(?:\n|\Z))"
    r"|(?P<block>[ \t]*/\*(?P<inner>.*?)\*/)|(?P<setting>\s*SET\b[^;']*;)",
    re.DOTALL | re.IGNORECASE,
)
_LEGAL = re.compile(r"copyright|licen[cs]e|SPDX-", re.IGNORECASE)
_NO_CHANGE = re.compile(r"SET\b|INSERT\s+INTO\s+(?:public\s*\.\s*)?LaunchpadDatabaseRevision\b", re.IGNORECASE)


def patch_title(text: str) -> str:
    """Return a patch's first comment, else its first statement, on one line and never empty.

    Copyright notices are passed over, and so are settings and the patch's own row.
    """
    told = [comment for comment in _comments(text) if not _LEGAL.search(comment)]
    if not told:
        told = [statement for _, statement in statements.split(text) if not _NO_CHANGE.match(statement)]
    words = " ".join((told or ["changes nothing"])[0].split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _comments(text: str) -> list[str]:
    """Return the comments before the first statement other than a setting; a blank line ends a run of line comments."""
    found: list[str] = []
    open_one = False
    position = 0
    while position < len(text) and (piece := _HEAD.match(text, position)):
        if piece["line"] is not None:
            found = [*found[:-1], f"{found[-1]}\n{piece['text']}"] if open_one else [*found, piece["text"]]
        elif piece["block"] is not None:
            found.append(piece["inner"])
        open_one = piece["line"] is not None
        position = piece.end()
    return [comment for comment in found if comment.strip(" \t\n-*=")]
