"""Pairs beginnings in the journal with their ends. A beginning without an end was a crash."""

from __future__ import annotations

from typing import Iterable, Iterator, TypeVar

from .entries import Entry
from .events import Event

Begin = TypeVar("Begin", bound=Event)
End = TypeVar("End", bound=Event)


def pairs(
    found: Iterable[Entry], begins: type[Begin], ends: type[End]
) -> Iterator[tuple[Entry, Begin, tuple[Entry, End] | None]]:
    """Yield each beginning with the end that follows it before the next beginning, or None."""
    begun: tuple[Entry, Begin] | None = None
    for entry in found:
        if isinstance(entry.event, begins):
            if begun:
                yield (*begun, None)
            begun = (entry, entry.event)
        elif isinstance(entry.event, ends) and begun:
            yield (*begun, (entry, entry.event))
            begun = None
    if begun:
        yield (*begun, None)
