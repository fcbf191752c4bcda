"""Announces, and is killed with SIGKILL before or after it writes a certain entry: DIRECTORY EVENT before|after N."""

import os
import signal
import sys
from pathlib import Path

from rollout.journal.file import Journal
from tests.unit.outbox.channels import Site

directory, EVENT, WHEN, NUMBER = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
write, seen = Journal.write, []


def dying(journal, event):
    if event.event_name == EVENT:
        seen.append(event)
    if WHEN == "before" and len(seen) == NUMBER:
        os.kill(os.getpid(), signal.SIGKILL)
    entry = write(journal, event)
    if WHEN == "after" and len(seen) == NUMBER:
        os.kill(os.getpid(), signal.SIGKILL)
    return entry


Journal.write = dying
site = Site.__new__(Site)
site.directory, site.inventory = directory, directory / "inventory"
site.announce()
