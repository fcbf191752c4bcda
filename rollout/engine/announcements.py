"""The conductor's part in announcements: stages that announce, and the gate that asks whether all was in time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.journal import outbox as core
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import AnnouncementWaived, StageFinished
from rollout.announcing.outbox import Outbox, told
from rollout.engine.rollout import Rollout
from rollout.engine.watchdog import WITHDRAWN, Watchdog
from rollout.gates import model as gates
from rollout.gates.model import Answer, Question
from rollout.journal import store
from rollout.outcomes import ExitCode, LeftAsIs, Stop
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.process import Stage

Wait = Callable[[datetime, Stage, str], None]
DECIDES = ("coordinator", "losa")


def carry_out(watchdog: Watchdog, stage: Stage, wait: Wait) -> dict[str, Any]:
    """Send the stage's announcements that are not out yet; return the stage's facts.

    Raises LeftAsIs while one is not out everywhere, unless a person has settled it: that undoes nothing, and is no
    incident. Raises Stop too, and BadInputError for a text or a channel that cannot be used.
    """
    rollout = watchdog.rollout
    announces = stage.model_dump(by_alias=True, exclude_none=True)["announces"]
    message, by = core.message_of(rollout.plan.as_vars(), rollout.journal.entries, announces)
    box = outbox_of(watchdog, stage, wait)
    standing = core.standing(rollout.journal.entries, message, stage.stage)
    number = standing.number if standing else box.queue(message, stage=stage.stage, by=by, **_facts(rollout, message))
    announcement = box.send(number)
    lines = told(announcement)
    if not announcement.settled:
        late = [f"  It was to be out by {by:%a %d %b %H:%M} UTC."] if by and by < rollout.clock.now() else []
        said = "\n".join([f"E-not-announced  {stage.stage}: {lines[0]}.", *(f"  {line}" for line in lines[1:]), *late])
        raise LeftAsIs(said, "  Then:  ./runbook.py run")
    return {"evidence": lines}


def outbox_of(watchdog: Watchdog, stage: Stage, wait: Wait) -> Outbox:
    """Return the outbox of a rollout at work: lateness is judged while it sends, asks or waits."""
    rollout = watchdog.rollout

    def ask(asked: Question) -> Answer:
        answer = watchdog.ask(stage, asked, moot=lambda: watchdog.interrupt.leave)
        if answer.word == WITHDRAWN:
            watchdog.leave_if_asked()
        return answer

    return Outbox(
        rollout.plan,
        rollout.inventory,
        rollout.journal,
        rollout.clock,
        rollout.screen.say,
        ask,
        lambda instant, what: wait(instant, stage, what),
        lambda: watchdog.look(stage),
    )


def in_time(watchdog: Watchdog, stage: Stage) -> None:
    """Refuse to begin the window if an announcement was late, unless a named person waives that (R7, R21).

    Raises Stop.
    """
    rollout = watchdog.rollout
    if not stage.window or rollout.in_window:
        return
    missed = core.missed(rollout.plan.as_vars(), rollout.journal.entries, rollout.clock.now())
    if not missed:
        return
    evidence = [each.told() for each in missed]
    for line in evidence:
        rollout.screen.say(f"! {line}")
    asked = Question(
        gates.NOT_ANNOUNCED,
        "Not announced in time. Go all the same?",
        evidence,
        DECIDES,
        timedelta(minutes=15),
        needs={"yes": ("name", "reason")},
    )
    answer = watchdog.ask(stage, asked, moot=lambda: watchdog.interrupt.leave)
    watchdog.leave_if_asked()
    if not answer.yes:
        said = [f"E-not-announced  It was not announced in time, and {answer.by} ({answer.source}) waives nothing."]
        then = "  In the next window, or with a person's waiver:  ./runbook.py run"
        raise Stop("refused", ExitCode.REFUSED, "\n  ".join([*said, *evidence]), then)
    for message in dict.fromkeys(each.message for each in missed):
        by, reason = answer.told["name"], answer.told["reason"]
        rollout.journal.write(AnnouncementWaived(message, None, by, reason))


def _facts(rollout: Rollout, message: str) -> dict[str, Any]:
    """Return what templates need besides plan and journal, such as a message's recipients, from the stages' facts."""
    facts: dict[str, Any] = {}
    for _, event in rollout.journal.of(StageFinished):
        if message in event.facts:
            facts["recipients"] = event.facts[message]
    if rollout.plan.follows:
        facts["after"] = aborted_before(rollout.plan)
    return facts


def aborted_before(plan: Plan) -> tuple[dict[str, Any], list[Entry]]:
    """Return plan and entries of the aborted rollout whose next attempt this is (R21)."""
    before = store.directory() / plan.follows[-1]
    return plans.load(before / "plan.yml").as_vars(), store.entries(before)
