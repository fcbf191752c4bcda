"""The directories of rollouts, each with plan.yml, journal.jsonl, Ansible's artifacts and the report."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from plugins.module_utils.rollout_core.journal import runs
from plugins.module_utils.rollout_core.journal.entries import Entry
from rollout import site
from rollout.journal import lock_owner
from rollout.journal.file import NAME, raw, read
from rollout.journal.lock_owner import LockOwner


def directory() -> Path:
    """Return the directory of all rollouts: `var/rollouts` of the site or the checkout, or $ROLLOUT_RECORDS."""
    return Path(os.environ.get("ROLLOUT_RECORDS", site.var() / "rollouts")).resolve()


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
    """Return what its journal holds; nothing before there is one.

    Raises BrokenJournalError when a line does not follow from the one before it, or is no entry: what came after it is
    not known, and that is not the same as nothing.
    """
    return read(rollout / NAME).entries


def mentions(rollout: Path, marks: Iterable[bytes]) -> bool:
    """Return True if one of the marks stands anywhere in its journal: cheap, and most have none."""
    content = raw(rollout / NAME)
    return any(mark in content for mark in marks)


@contextmanager
def lock(rollout: Path) -> Iterator[None]:
    """Hold the rollout's lock. Raises LockedError, which says who holds it and how far that can be believed."""
    path = rollout / "lock"
    with lock_owner.open_lock(path) as file:
        lock_owner.take(file, path, rollout.name)
        yield


def owner(rollout: Path) -> LockOwner | None:
    """Return who holds the rollout's lock, None when nobody does; believe only one that is `proven`."""
    return lock_owner.owner(rollout / "lock")
