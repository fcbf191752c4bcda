"""Text from outside, made plain: what is not seen moves cursors, turns words round, or hides them (R24).

Patch comments, commit messages, names, pages, what servers say: all of it is cleaned where it enters and where it is
shown. A template is text that Ansible would run.
"""

from __future__ import annotations

import json
import re
from typing import Any, Iterator, Mapping

# A terminal's commands as a whole: ESC [ … (colours, the cursor), ESC ] … (titles, links), ESC P … and the like.
_COMMANDS = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b\\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\\\|\x9c)?"
    "|\x1b[ -/]*[0-~]?"
)
# C0 but newline and tab, DEL, C1, soft hyphens, what turns the direction of reading, what has no width, separators of
# lines and paragraphs, tags, and what is no character.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_TEMPLATES = ("{{", "{%", "{#")
_DEEPEST = 50  # levels of what a host says: what reads it goes one deeper with each
TOO_DEEP = "… (nested too deep)"
_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def clean(text: str) -> str:
    """Return the text with its lines and tabs, without a terminal's commands; what is not seen is seen as U+FFFD."""
    return _UNSEEN.sub(_INSTEAD, _COMMANDS.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """Return the cleaned text in one line, each gap in it one space."""
    return " ".join(clean(" ".join(text.split())).split())


def escaped(json_text: str) -> str:
    """Return JSON with what is not seen escaped: it means the same."""
    return _UNSEEN.sub(lambda found: json.dumps(found[0])[1:-1], json_text)


def cleaned(value: Any, levels: int = _DEEPEST) -> Any:
    """Return the value with every text in it cleaned, keys of mappings too; below so many levels stands TOO_DEEP."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (Mapping, list, tuple)) and not levels:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {cleaned(key): cleaned(each, levels - 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(each, levels - 1) for each in value]
    return value


def texts_in(value: Any) -> Iterator[str]:
    """Give every text in the value, keys of mappings too, as deep as it goes."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            left += [part for pair in reversed(list(each.items())) for part in reversed(pair)]
        elif isinstance(each, (list, tuple)):
            left += reversed(each)


def unseen(text: str) -> str | None:
    """Return the name of the first character that is not seen, such as U+001B; None if every one is."""
    found = _UNSEEN.search(text)
    return f"U+{ord(found[0]):04X}" if found else None


def template(text: str) -> str | None:
    """Return what makes the text a template that Ansible would run; None if nothing does."""
    return next((mark for mark in _TEMPLATES if mark in text), None)


def no_line(text: str) -> str | None:
    """Return why the text is no plain line of text, None if it is one."""
    if not text.strip() or "\n" in text or "\t" in text:
        return "expected one line of text"
    if character := unseen(text):
        return f"expected text without {character}, which is not seen"
    if mark := template(text):
        return f"expected text without {mark}, which Ansible would run"
    return None
