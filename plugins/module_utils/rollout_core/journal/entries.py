"""The journal's entries: what happened, when it was written, and which line of the journal it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable, Iterator, Mapping, Sequence, TypeVar

from ..time.timeline import parse_instant
from .events import Event, event

Kind = TypeVar("Kind", bound=Event)


class NoEntryError(ValueError):
    """Line `number` of a journal (from 1) is no entry, and `why`."""

    def __init__(self, number: int, why: str) -> None:
        """Say which and why."""
        super().__init__(f"entry {number}: {why}")
        self.number, self.why = number, why


@dataclass(frozen=True)
class Entry:
    """One line of the journal. `at` is the rollout's clock; `fields` is the whole line, with keys of newer versions."""

    seq: int
    at: datetime
    event: Event
    fields: Mapping[str, Any]


def entry(fields: Mapping[str, Any], seq: int = 0) -> Entry:
    """Return the entry that a line's fields stand for; `seq` is its number if the line has none.

    Raises ValueError for what is no line of a journal.
    """
    if "event" not in fields or "at" not in fields:
        raise ValueError("an entry has `at` and `event`")
    told = {name: value for name, value in fields.items() if name not in _OF_THE_LINE}
    return Entry(fields.get("seq", seq), parse_instant(fields["at"]), event(fields["event"], **told), fields)


def entries(lines: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Return the entries of these lines. Raises NoEntryError for one that is none."""
    found = []
    for number, fields in enumerate(lines, start=1):
        try:
            found.append(entry(fields, number))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise NoEntryError(number, str(error)) from error
    return found


def of(found: Iterable[Entry], kind: type[Kind]) -> Iterator[tuple[Entry, Kind]]:
    """Yield each entry of that kind, with its event."""
    for each in found:
        if isinstance(each.event, kind):
            yield each, each.event


def last(found: Sequence[Entry], kind: type[Kind], **told: Any) -> tuple[Entry, Kind] | None:
    """Return the latest entry of that kind, and its event, whose event has these values; None if there is none."""
    for each in reversed(found):
        if isinstance(each.event, kind) and all(getattr(each.event, name) == value for name, value in told.items()):
            return each, each.event
    return None


_OF_THE_LINE = ("seq", "at", "event", "prev")
