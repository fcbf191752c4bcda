"""The directories of rollouts, each with plan.yml, journal.jsonl, Ansible's artifacts and the report."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from plugins.module_utils.rollout_core.journal import runs
from plugins.module_utils.rollout_core.journal import text as text_format
from plugins.module_utils.rollout_core.journal.entries import Entry
from rollout import ROOT
from rollout.journal.file import NAME, typed
from rollout.outcomes import LockedError


def directory() -> Path:
    """Return the directory of all rollouts: `var/rollouts` of the checkout, or $ROLLOUT_RECORDS."""
    return Path(os.environ.get("ROLLOUT_RECORDS", ROOT / "var" / "rollouts")).resolve()


def newest_first(pattern: str = "*", below: Path | None = None) -> Iterator[Path]:
    """Yield the directories of rollouts that have a journal, the one written last first."""
    journals = (below or directory()).glob(f"{pattern}/{NAME}")
    for path in sorted(journals, key=lambda path: path.stat().st_mtime, reverse=True):
        yield path.parent


def is_closed(rollout: Path) -> bool:
    """Return True if the rollout is over for good: done, aborted, or backed out."""
    return outcome(rollout) in runs.FINAL


def outcome(rollout: Path) -> str | None:
    """Return how the latest run ended; None while it goes on, or if it ended because nothing more was due."""
    return runs.outcome(entries(rollout))


def entries(rollout: Path) -> list[Entry]:
    """Return what its journal holds, as far as its lines follow from one another; nothing before there is one.

    Raises RunbookError for a line that is no entry.
    """
    path = rollout / NAME
    return typed(path, text_format.read(path.read_text(encoding="utf-8"))) if path.exists() else []


@contextmanager
def lock(rollout: Path) -> Iterator[None]:
    """Hold the rollout's lock. Raises LockedError, naming the owner, when another runbook holds it."""
    path = rollout / "lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            _take(file)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().strip() or "somebody"
            raise LockedError(f"E-locked  {rollout.name} is being rolled out already, by {owner}.") from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "terminal": _terminal()}))
        file.flush()
        yield


def _take(file: IO[str]) -> None:
    """Take the lock. Somebody who asks for its owner holds it for a moment, so not at once: raises BlockingIOError."""
    for attempt in range(5):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if attempt == 4:
                raise
            time.sleep(0.05)
        else:
            return


def owner(rollout: Path) -> dict[str, Any] | None:
    """Return who holds the rollout's lock, {pid, host, terminal}; None when nobody does."""
    path = rollout / "lock"
    if not path.exists():
        return None
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held: dict[str, Any] = json.loads(file.read() or "{}")
            return held
    return None


def _terminal() -> str:
    try:
        return os.ttyname(0)
    except OSError:
        return "none"
