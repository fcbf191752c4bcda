"""Journals for tests: rows as people write them become entries, and entries the lines that stand in the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from plugins.module_utils.rollout_core.journal.entries import Entry, entries
from plugins.module_utils.rollout_core.journal.events import Event, event
from rollout.journal.file import Journal

__all__ = ["event", "event_of", "last", "lines", "typed"]


def typed(rows: Iterable[Mapping[str, Any] | Entry]) -> list[Entry]:
    """Return the entries that these rows are, as they would be read from a file; entries stay as they are."""
    return entries(row.fields if isinstance(row, Entry) else row for row in rows)


def lines(found: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return the fields of each line, `event`, `at` and `seq` among them."""
    return [dict(each.fields) for each in found]


def last(journal: Journal, name: str, **fields: Any) -> dict[str, Any] | None:
    """Return the fields of the latest line of that event with these fields, or None."""
    wanted = {"event": name, **fields}
    return next((row for row in reversed(lines(journal.entries)) if wanted.items() <= row.items()), None)


def event_of(row: Mapping[str, Any]) -> Event:
    """Return the event that this row tells of."""
    return event(row["event"], **{name: value for name, value in row.items() if name not in ("event", "at", "seq")})
