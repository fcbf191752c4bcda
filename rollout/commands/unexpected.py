"""The last net: an exception that nobody expected becomes a message, and its traceback a file that only we can read."""

from __future__ import annotations

import os
import traceback

from plugins.module_utils.rollout_core import plain_text
from rollout import site
from rollout.documents import short
from rollout.journal.clock import Clock
from rollout.whole_file import write_whole


def message(error: Exception) -> str:
    """Return what to tell. The traceback is in a file below var/, or, where none can be written, in the message."""
    told = "".join(traceback.format_exception(error))
    what = short(plain_text.one_line(f"{type(error).__name__}: {error}"))
    try:
        place = site.var() / "unexpected"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = place / f"{Clock().now():%Y%m%dT%H%M%S.%f}.txt"
        write_whole(file, told.encode("utf-8", "backslashreplace"))
        where = f"  Its traceback, for whoever mends it:  {os.path.relpath(file)}"
    except OSError as unwritten:
        where = f"  Its traceback cannot be written ({unwritten.strerror}):\n{told}"
    return "\n".join(
        [
            f"E-unexpected  The runbook came upon what it does not know: {what}",
            where,
            "  What it had begun may still be at work.  Look:  ./runbook.py status    Then:  ./runbook.py resume",
        ]
    )
