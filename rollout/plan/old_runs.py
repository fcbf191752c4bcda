"""What old rollouts have left on this machine besides their records: Ansible's events and output, testinfra's."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from plugins.module_utils.rollout_core import retention
from rollout.journal import store
from rollout.journal.file import NAME
from rollout.outcomes import RunbookError

LOGS = ("verify-*.txt", "verify-*.xml")


def remove() -> None:
    """Remove it, of all but the latest rollouts that are over; plan, journal, report and pages stay.

    What cannot be removed stays, too: it is no reason not to go on.
    """
    over = [rollout for rollout in store.newest_first() if _is_over(rollout)]
    for rollout in retention.old((((rollout / NAME).stat().st_mtime, rollout)) for rollout in over):
        shutil.rmtree(rollout / "ansible", ignore_errors=True)
        for log in (file for pattern in LOGS for file in rollout.glob(pattern)):
            with suppress(OSError):
                log.unlink()


def _is_over(rollout: Path) -> bool:
    try:
        return store.is_closed(rollout)
    except (RunbookError, OSError, ValueError):  # a journal that cannot be read: somebody will look at it
        return False
