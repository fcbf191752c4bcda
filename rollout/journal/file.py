"""The journal file: append-only, fsynced before the deed it announces. rollout_core.journal has its text format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from plugins.module_utils.rollout_core.journal import entries as core
from plugins.module_utils.rollout_core.journal import text as text_format
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import Event
from rollout import whole_file
from rollout.journal.clock import Clock
from rollout.outcomes import RunbookError

NAME = "journal.jsonl"
Kind = TypeVar("Kind", bound=Event)


class Journal:
    """One rollout's journal, open for reading and appending."""

    def __init__(self, path: Path, now: Callable[[], datetime] | None = None) -> None:
        """Read what is there; entries are stamped with `now`.

        Raises RunbookError when a line does not follow from the one before it, or is no entry.
        """
        self.path = path
        self.now = now or Clock().now
        content = path.read_bytes().decode("utf-8") if path.exists() else ""
        reading = text_format.read(content)
        if reading.broken_at is not None:
            raise RunbookError(
                f"E-journal-broken  {path}:{reading.broken_at} does not follow from the line before it.\n"
                f"  It was edited or damaged; what happened since is not known for certain.\n"
                f"  Look at it, then either mend it from a backup or begin a new plan:  ./runbook.py plan new"
            )
        self.entries = typed(path, reading)
        self._prev = reading.prev
        self._torn = len(reading.torn.encode("utf-8"))  # a crash while writing: the deed it announces was not begun

    def write(self, event: Event) -> Entry:
        """Append one entry; it is on disk when this returns."""
        at = self.now()
        fields = {
            "seq": len(self.entries) + 1,
            "at": at.isoformat(),
            "event": event.event_name,
            **event.as_fields(),
        }
        line = text_format.line(fields, self._prev)
        if self._torn:
            os.truncate(self.path, self.path.stat().st_size - self._torn)
            self._torn = 0
        whole_file.append(self.path, line)
        entry = core.entry({**fields, "prev": self._prev})
        self._prev = text_format.digest(line)
        self.entries.append(entry)
        return entry

    def of(self, kind: type[Kind]) -> Iterator[tuple[Entry, Kind]]:
        """Yield each entry of that kind, with its event."""
        return core.of(self.entries, kind)

    def last(self, kind: type[Kind], **told: Any) -> tuple[Entry, Kind] | None:
        """Return the latest entry of that kind, and its event, whose event has these values; None if there is none."""
        return core.last(self.entries, kind, **told)


def typed(path: Path, reading: text_format.Reading) -> list[Entry]:
    """Return the entries that were read from `path`. Raises RunbookError for a line that is none."""
    try:
        return core.entries(reading.entries)
    except ValueError as error:
        said = f"E-journal-broken  {path}: {error}."
        raise RunbookError(f"{said}\n  No version of the runbook has written that: mend it from a backup.") from error
