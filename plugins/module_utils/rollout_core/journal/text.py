"""The journal's text format: JSON lines, each with the SHA-256 of the line before it. The caller handles files."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Callable, Mapping, NamedTuple

FIRST_PREV = "0" * 64


class Reading(NamedTuple):
    """The content of a journal's text.

    `torn` is a last line without its newline: a crash while writing, so the deed it announces was not begun.
    `broken_at` is the number (from 1) of the first line that is not JSON or does not carry the hash of the line before
    it; `entries` end there. `prev` is the hash that the next line carries.
    """

    entries: list[dict[str, Any]]
    torn: str
    broken_at: int | None
    prev: str


def line(fields: Mapping[str, Any], prev: str) -> str:
    """Return an entry as its line in the file, newline included. Raises TypeError for what JSON cannot hold."""
    return json.dumps({**fields, "prev": prev}, ensure_ascii=False, separators=(",", ":")) + "\n"


def digest(written: str) -> str:
    """Return the hash that the line after `written` (newline included) carries as `prev`."""
    return hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()


def heads(text: str) -> list[str]:
    """Return the hash of each whole line of a journal, in order. Raises ValueError where the chain of hashes breaks."""
    reading = read(text)
    if reading.broken_at is not None:
        raise ValueError(f"line {reading.broken_at} does not follow from the line before it")
    return [*(entry["prev"] for entry in reading.entries[1:]), *([reading.prev] if reading.entries else [])]


def read(text: str, parse: Callable[[str], Any] = json.loads) -> Reading:
    """Parse a whole journal and follow its chain of hashes. `parse` reads one line of JSON, or raises ValueError."""
    *lines, torn = text.split("\n")  # not splitlines(): U+2028 and friends may stand inside an entry
    entries: list[dict[str, Any]] = []
    prev = FIRST_PREV
    for number, written in enumerate(lines, start=1):
        try:
            entry = parse(written)
        except (ValueError, RecursionError):  # nested deeper than anything that we write
            return Reading(entries, torn, number, prev)
        if not isinstance(entry, dict) or entry.get("prev") != prev:
            return Reading(entries, torn, number, prev)
        entries.append(entry)
        prev = digest(written + "\n")
    return Reading(entries, torn, None, prev)
