"""The journal file: append-only, fsynced before the deed it announces. Its text format is rollout_core.journal's."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout.journal.clock import Clock
from rollout.outcomes import RunbookError


class Journal:
    """One rollout's journal, open for reading and appending."""

    def __init__(self, path: Path, now: Callable[[], datetime] | None = None) -> None:
        """Read what is there; entries are stamped with `now`.

        Raises RunbookError when a line does not follow from the one before it.
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
        self.entries: list[dict[str, Any]] = list(reading.entries)
        self._prev = reading.prev
        self._torn = len(reading.torn.encode("utf-8"))  # a crash while writing: the deed it announces was not begun

    def write(self, event: str, **fields: Any) -> dict[str, Any]:
        """Append one entry; it is on disk when this returns."""
        entry: dict[str, Any] = {"seq": len(self.entries) + 1, "at": self.now().isoformat(), "event": event, **fields}
        line = text_format.line(entry, self._prev)
        created = not self.path.exists()
        if self._torn:
            os.truncate(self.path, self.path.stat().st_size - self._torn)
            self._torn = 0
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if created:
            _fsync_directory(self.path.parent)
        self._prev = text_format.digest(line)
        self.entries.append(entry)
        return entry

    def last(self, event: str, **fields: Any) -> dict[str, Any] | None:
        """The latest entry of that event with these fields, or None."""
        wanted = {"event": event, **fields}
        return next((e for e in reversed(self.entries) if wanted.items() <= e.items()), None)


def _fsync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
