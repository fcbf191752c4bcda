"""Drops a plan of which nothing has begun: it is over, on record, and its window is free."""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    AnnouncementQueued,
    PlanDropped,
    RolloutClosed,
    RolloutOpened,
    StageStarted,
)
from rollout.journal import store as journals
from rollout.outcomes import BadInputError
from rollout.plan import store
from rollout.plan.store import KeptRollout

DROPPED = "dropped"


def begun(entries: Iterable[Entry]) -> bool:
    """Return True if a stage has begun, or something is to be said in public: it is aborted then, not dropped."""
    return any(isinstance(entry.event, (StageStarted, AnnouncementQueued)) for entry in entries)


@contextmanager
def dropped(rollout: str, reason: str) -> Iterator[KeptRollout]:
    """Put it on record that the plan of that id is dropped, and give the rollout, still under its lock.

    Raises BadInputError when there is none, it has begun or is over; LockedError while a runbook is at work on it.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise BadInputError("E-no-reason  Say in one line why the plan is dropped:  --reason TEXT")
    directory = journals.directory() / rollout
    open_ = {path.name for path, _ in store.open_rollouts()}
    if directory.parent != journals.directory() or not (directory / "plan.yml").is_file():
        said = f"E-no-such-plan  There is no plan {rollout}. Open are: {', '.join(sorted(open_)) or 'none'}."
        raise BadInputError(f"{said}\n  See:  ./runbook.py status")
    with store.locked(directory) as kept:
        entries = kept.journal.entries
        path = os.path.relpath(kept.plan_file)
        if journals.is_closed(directory):
            said = f"E-over  {rollout} is over already ({journals.outcome(directory)}): there is nothing to drop."
            raise BadInputError(f"{said}\n  See:  ./runbook.py status --plan {path}")
        if begun(entries):
            said = f"E-begun  {rollout} has begun: it is not dropped, but ended, and who has heard of it is told."
            raise BadInputError(f"{said}\n  Then:  ./runbook.py abort --plan {path} --reason …")
        by = getpass.getuser()
        sha256 = hashlib.sha256(kept.plan_file.read_bytes()).hexdigest()
        kept.journal.write(RolloutOpened(sha256, by, kept.plan.window.start))
        kept.journal.write(PlanDropped(by, reason))
        kept.journal.write(RolloutClosed(DROPPED, 0, f"Dropped by {by}: {reason}"))
        yield kept


def refuse_dropped(kept: KeptRollout) -> None:
    """Raise BadInputError if the plan was dropped: nothing more is done with it."""
    dropped_ = kept.journal.last(PlanDropped)
    if dropped_ and journals.outcome(kept.directory) == DROPPED:
        entry, event = dropped_
        said = f"E-dropped  {kept.plan.id} was dropped by {event.by}, {entry.at:%a %d %b %Y %H:%M} UTC: {event.reason}"
        raise BadInputError(f"{said}\n  Make another plan:  ./runbook.py plan new")
