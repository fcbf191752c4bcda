"""Tells people, after an abort, that it was aborted, and, once somebody says yes, when it is tried again (R20, R21)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import outbox as core
from rollout import ROOT
from rollout.announcing import outbox, wording
from rollout.gates import model as gates
from rollout.gates.model import Question
from rollout.journal.file import Journal
from rollout.outcomes import RunbookError
from rollout.plan import store
from rollout.plan.model import Plan
from rollout.plan.store import KeptRollout
from rollout.whole_file import write_whole

ABORTED, NEW_DATE = "aborted", "new_date"
OF_THE_WINDOW = ("first", "rescheduled", NEW_DATE, "reminder", "starting")  # whoever heard one waits for the window
Say = Callable[[str], None]


def tell(aborted: KeptRollout, asker: gates.Asker, say: Say) -> list[str]:
    """Announce the abort, if people were told of the window; return lines for the screen.

    An announcement that fails does not keep the abort from its end: it stays due.
    """
    if not untold(aborted.journal):
        return []
    box = outbox.at_rest(aborted, asker, say)
    try:
        announcement = box.send(box.queue(ABORTED))
    except (RunbookError, OSError) as error:
        return [f"The abort was NOT ANNOUNCED: {error}", "  Then:  ./runbook.py announce"]
    return [*outbox.told(announcement), *([] if announcement.settled else ["  Then:  ./runbook.py announce"])]


def untold(journal: Journal) -> bool:
    """Return True if people were told of the window of an aborted rollout, and the abort was never queued for them."""
    known = core.announcements(journal.entries)
    heard = [copy.state for each in known if each.message in OF_THE_WINDOW for copy in each.copies]
    return not {core.SENT, core.IN_DOUBT}.isdisjoint(heard) and all(each.message != ABORTED for each in known)


def write_draft(aborted: KeptRollout, to_come: Plan, path: Path) -> None:
    """Write the mail that would announce the new date to `path`. Raises BadInputError for a template that is wrong."""
    after = (aborted.plan.as_vars(), aborted.journal.entries)
    facts = wording.about(to_come.as_vars(), [], aborted.clock.now(), after=after)
    write_whole(path, wording.render(NEW_DATE, "mail", facts, ROOT / to_come.inventory).as_mail())


def offer(
    aborted: KeptRollout, path: Path | None, draft: Path, asker: gates.Asker, say: Say, why: Sequence[str] = ()
) -> list[str]:
    """Ask whether the new date is announced now, with the `draft` as evidence; return lines for the screen.

    A no leaves it to the next `run`. `path` is the plan of the next attempt, whose journal gets the answer; None if
    there is no such plan, for the reasons `why` unless they are on the screen already.
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
        with store.locked(path.parent) as to_come:
            return _announced(aborted, to_come, asker, say)
    except (RunbookError, OSError) as error:
        return [f"The new date was NOT ANNOUNCED: {error}"]


def _announced(aborted: KeptRollout, to_come: KeptRollout, asker: gates.Asker, say: Say) -> list[str]:
    """Send what the next attempt's process announces after an abort; return lines for the screen."""
    plan, entries = to_come.plan, to_come.journal.entries
    box = outbox.at_rest(to_come, asker, say)
    for stage in plan.process:
        announces = stage.announces and stage.announces.model_dump(exclude_none=True)
        message, by = core.message_of(plan.as_vars(), entries, announces) if announces else ("", None)
        if message == NEW_DATE:
            after = (aborted.plan.as_vars(), aborted.journal.entries)
            return outbox.told(box.send(box.queue(NEW_DATE, stage=stage.stage, by=by, after=after)))
    return []
