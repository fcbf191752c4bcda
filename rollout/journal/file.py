"""The journal file: append-only, fsynced before the deed it announces. rollout_core.journal has its text format."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from plugins.module_utils.rollout_core.journal import entries as core
from plugins.module_utils.rollout_core.journal import text as text_format
from plugins.module_utils.rollout_core.journal.entries import Entry, NoEntryError
from plugins.module_utils.rollout_core.journal.events import Event
from rollout import whole_file
from rollout.journal.clock import Clock
from rollout.outcomes import BrokenJournalError, RunbookError, UnwrittenError
from rollout.system_errors import system_error

NAME = "journal.jsonl"
Kind = TypeVar("Kind", bound=Event)


class Journal:
    """One rollout's journal, open for reading and appending."""

    def __init__(self, path: Path, now: Callable[[], datetime] | None = None) -> None:
        """Read what is there; entries are stamped with `now`.

        Raises BrokenJournalError when a line does not follow from the one before it, or is no entry.
        """
        self.path = path
        self.now = now or Clock().now
        found = read(path)
        self.entries, self._prev, self._length = found.entries, found.prev, found.length

    def write(self, event: Event) -> Entry:
        """Append one entry; it is on disk when this returns.

        Raises UnwrittenError when it cannot be: then the file holds what it held, or a line without an end after that,
        which counts for nothing and is taken away by the next entry.
        """
        at = self.now()
        fields = {
            "seq": len(self.entries) + 1,
            "at": at.isoformat(),
            "event": event.event_name,
            **event.as_fields(),
        }
        line = text_format.line(fields, self._prev)
        try:
            self._take_torn_away()
            whole_file.append(self.path, line)
        except OSError as error:
            raise _unwritten(self.path, event, error) from error
        entry = core.entry({**fields, "prev": self._prev})
        self._length += len(line.encode("utf-8"))
        self._prev = text_format.digest(line)
        self.entries.append(entry)
        return entry

    def _take_torn_away(self) -> None:
        """Take away what a crash, or a full disk, left of a line: the deed that it announces was not begun."""
        if not self.path.exists() or self.path.stat().st_size <= self._length:
            return
        with self.path.open("rb+") as file:
            file.seek(self._length)
            if b"\n" in file.read():
                raise _broken(self.path, len(self.entries) + 1, "was written by somebody else meanwhile", self.entries)
            file.truncate(self._length)

    def of(self, kind: type[Kind]) -> Iterator[tuple[Entry, Kind]]:
        """Yield each entry of that kind, with its event."""
        return core.of(self.entries, kind)

    def last(self, kind: type[Kind], **told: Any) -> tuple[Entry, Kind] | None:
        """Return the latest entry of that kind, and its event, whose event has these values; None if there is none."""
        return core.last(self.entries, kind, **told)


@dataclass(frozen=True)
class Found:
    """What a journal's file holds: its entries, the hash that the next line carries, the bytes that its lines take.

    What stands after them is a line that was cut off: a crash while writing, so the deed it announces was not begun.
    """

    entries: list[Entry]
    prev: str
    length: int


def read(path: Path) -> Found:
    """Return what the journal's file holds; nothing before there is one.

    Raises BrokenJournalError when it cannot be read, when a line does not follow from the one before it, or is no
    entry.
    """
    content = raw(path)
    length = content.rfind(b"\n") + 1
    try:
        text, cut_off = content[:length].decode("utf-8"), None
    except UnicodeDecodeError as error:
        cut_off = content.count(b"\n", 0, error.start) + 1
        text = b"".join(line + b"\n" for line in content.split(b"\n")[: cut_off - 1]).decode("utf-8")
    reading = text_format.read(text)
    try:
        entries, wrong = core.entries(reading.entries), None
    except NoEntryError as error:
        entries, wrong = core.entries(reading.entries[: error.number - 1]), error
    if wrong is not None:
        raise _broken(path, wrong.number, f"is no entry: {wrong.why}", entries)
    if reading.broken_at is not None:
        raise _broken(path, reading.broken_at, "does not follow from the line before it", entries)
    if cut_off is not None:
        raise _broken(path, cut_off, "is not UTF-8 text", entries)
    return Found(entries, reading.prev, length)


def raw(path: Path) -> bytes:
    """Return the bytes of the journal's file, none before there is one. Raises BrokenJournalError, as `read`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unreadable(path, "it is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from error
    finally:
        os.close(descriptor)


def _broken(path: Path, number: int, what: str, entries: Sequence[Entry]) -> BrokenJournalError:
    last = entries[-1] if entries else None
    told = f"the last is {last.event.event_name}, {last.at:%F %H:%M:%S} UTC" if last else "there is none"
    return BrokenJournalError(
        f"E-journal-broken  {path}:{number} {what}.\n"
        f"  It, or the line before it, was edited or damaged. The entries up to there: {told}.\n"
        "  What happened since is not known for certain.\n"
        f"{_mend(path)}"
    )


def _unreadable(path: Path, why: str) -> BrokenJournalError:
    return BrokenJournalError(
        f"E-journal-broken  {path} cannot be read: {why}.\n"
        f"  What happened in this rollout is not known.  Look:  ls -ld {path}\n{_mend(path)}"
    )


def _mend(path: Path) -> str:
    """Return what to type."""
    aside = path.parent.parent.with_name(f"broken-{path.parent.name}")
    return (
        "  Nothing was touched. Mend it from a backup; or, once you know what it has left on the hosts, put it aside:\n"
        f"    mv {path.parent} {aside}   and then:  ./runbook.py plan new"
    )


def _unwritten(path: Path, event: Event, error: OSError) -> RunbookError:
    """Return the error for an entry that is not on record; what stands before it is."""
    if isinstance(error, RunbookError):
        return error
    failure = system_error(error, path)
    return UnwrittenError(
        f"{failure}\n"
        f"  {event.event_name} is not on record, so what it announces was not begun; all that was on record is.\n"
        "  Once it can be written again:  ./runbook.py resume"
    )
