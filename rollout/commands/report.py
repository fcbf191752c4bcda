"""Writes a rollout's report, its incidents' pages and its abort pack, from plan and journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rollout.after_abort.aborted import PACK, Aborted
from rollout.incidents import record as incidents
from rollout.outcomes import BadInputError
from rollout.plan import store
from rollout.views.report import render_report
from rollout.whole_file import write_whole


def write_report(directory: Path) -> Path:
    """Write the report, and the abort pack if there is one; return the report's path."""
    kept = store.kept(directory)
    plan, entries = kept.plan.as_vars(), kept.journal.entries
    with suppress(OSError, BadInputError):  # a page that cannot be written is no reason to have no report
        incidents.write_pages(directory, plan, entries)
    path = directory / "report.html"
    write_whole(path, render_report(plan, entries))
    if (directory / PACK).exists():  # now it is known how it ended
        Aborted.of(kept).write_pack()
    return path
