"""After an abort people hear that it was aborted, and, once somebody says yes, when it is tried again (R20, R21)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import outbox as core
from rollout.after_abort.aborted import Aborted
from rollout.announcing import outbox
from rollout.gates import model as gates
from rollout.gates.model import Question
from rollout.journal import store
from rollout.journal.clock import as_left
from rollout.journal.file import Journal
from rollout.outcomes import RunbookError
from rollout.plan import model as plans

ABORTED, NEW_DATE = "aborted", "new_date"
OF_THE_WINDOW = ("first", "rescheduled", NEW_DATE, "reminder", "starting")  # who heard one of these waits for it
Say = Callable[[str], None]


def tell(aborted: Aborted, asker: gates.Asker, say: Say) -> list[str]:
    """Announce the abort, if people were told of the window; returns lines for the screen.

    What goes wrong with it does not keep the abort from its end: it stays due.
    """
    if not untold(aborted.journal):
        return []
    box = outbox.at_rest(aborted.plan, aborted.journal, aborted.clock, asker, say)
    try:
        announcement = box.send(box.queue(ABORTED))
    except (RunbookError, OSError) as error:
        return [f"The abort was NOT ANNOUNCED: {error}", "  Then:  ./runbook.py announce"]
    return [*outbox.told(announcement), *([] if announcement.settled else ["  Then:  ./runbook.py announce"])]


def untold(journal: Journal) -> bool:
    """Whether people wait for the window of a rollout, and its abort was never put on record to be announced."""
    known = core.announcements(journal.entries)
    heard = [copy.state for each in known if each.message in OF_THE_WINDOW for copy in each.copies]
    return not {core.SENT, core.IN_DOUBT}.isdisjoint(heard) and all(each.message != ABORTED for each in known)


def offer(
    aborted: Aborted, path: Path | None, draft: Path, asker: gates.Asker, say: Say, why: Sequence[str] = ()
) -> list[str]:
    """Ask whether the new date is announced now, with the `draft` as evidence; a no leaves it to the next `run`.

    `path` is the next attempt's plan, in whose journal it is on record; None: there is none. `why` it is then, if that
    is not on the screen yet. Returns lines for the screen.
    """
    if path is None or not draft.exists():
        return []
    evidence = [*why, *(f"| {line}" for line in draft.read_text(encoding="utf-8").splitlines() if line)]
    question = Question(
        gates.NEW_DATE, "Announce the new date?", evidence, ("losa", "coordinator"), timedelta(minutes=15)
    )
    for line in evidence:
        say(f"    {line}")
    if not gates.ask(asker, aborted.journal, question).yes:
        return []
    try:
        with store.lock(path.parent):
            return _announced(aborted, path, asker, say)
    except (RunbookError, OSError) as error:
        return [f"The new date was NOT ANNOUNCED: {error}"]


def _announced(aborted: Aborted, path: Path, asker: gates.Asker, say: Say) -> list[str]:
    """Send what the next attempt's process announces after an abort; returns lines for the screen."""
    plan, journal = plans.load(path), Journal(path.with_name("journal.jsonl"))
    clock = as_left(journal.entries)
    journal.now = clock.now
    box = outbox.at_rest(plan, journal, clock, asker, say)
    for stage in plan.process:
        announces = stage.announces and stage.announces.model_dump(exclude_none=True)
        message, by = core.message_of(plan.as_vars(), journal.entries, announces) if announces else ("", None)
        if message == NEW_DATE:
            after = (aborted.plan.as_vars(), aborted.journal.entries)
            return outbox.told(box.send(box.queue(NEW_DATE, stage=stage.stage, by=by, after=after)))
    return []
