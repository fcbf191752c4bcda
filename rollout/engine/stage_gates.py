"""Asks a stage's gates, and does what an answer leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from plugins.module_utils.rollout_core.journal.events import GateAnswered
from plugins.module_utils.rollout_core.journal.questions import confirmed, still_yes
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout.engine import merge_back_out
from rollout.engine.rollout import Rollout
from rollout.engine.watchdog import AGAIN, LOSA, Watchdog
from rollout.gates import model as gates
from rollout.gates.answer_box import NO
from rollout.gates.model import Answer, Question
from rollout.outcomes import ExitCode, Stop
from rollout.plan.process import Gate, Stage
from rollout.schedule import check


def gates_of(watchdog: Watchdog, stage: Stage, when: str, facts: Mapping[str, Any], evidence: Sequence[str]) -> None:
    """Ask the stage's gates `when` it is their turn, and put the answers on record.

    Raises Stop on no, once everything that the gate asks about is answered; where the process says so, the rollout has
    then been backed out (R17).
    """
    for gate in stage.gates:
        if gate.ask == when:
            said_no = list(_said_no(watchdog, stage, _questions(watchdog.rollout, stage, gate, facts, evidence)))
            if said_no and gate.on_no:
                raise merge_back_out.offer(watchdog, stage, gate.on_no, _refused(stage, said_no), facts)
            if said_no:
                raise _refused(stage, said_no)


def begin_late(watchdog: Watchdog, stage: Stage) -> None:
    """Ask whether to begin a stage, before the window, after the deadline of a rule was missed. Raises Stop on no."""
    if stage.begins_by is None:
        return
    rollout = watchdog.rollout
    latest = rollout.plan.window.start + timeline.parse_duration(stage.begins_by)
    agreed = rollout.journal.last(GateAnswered, stage=stage.stage, gate=gates.BEGIN_LATE, answer="yes")
    if rollout.clock.now() <= latest or agreed:
        return
    late = f"{stage.stage} should have begun by {latest:%a %d %b %H:%M} UTC ({', '.join(stage.rules)})"
    rollout.screen.say(f"! {late}")
    asked = Question(gates.BEGIN_LATE, "Begin it all the same?", [late], LOSA, timedelta(hours=1))
    if said_no := list(_said_no(watchdog, stage, [asked])):
        raise _refused(stage, said_no)


def outlook(rollout: Rollout, stage: Stage) -> list[str]:
    """Return the evidence for beginning a stage: the window and what is against it, or inside it the lateness."""
    if not stage.window:
        window, backup = rollout.plan.window, rollout.plan.backup_window
        times = f"{window.start:%a %d %b %Y %H:%M}–{window.end:%H:%M} UTC (backup {backup.start:%a %d %b %H:%M})"
        confirms = any(gate.named for gate in stage.gates)
        against = check.about(rollout.inventory, rollout.clock.now(), window.start) if confirms else []
        return [f"window {times}", *against]
    view = rollout.outlook()
    planned = next(row for row in rollout.layout if row.name == stage.stage)
    times = f"planned {planned.start:%H:%M}–{planned.end:%H:%M}, all done {view.planned_end:%H:%M}"
    ends = "the commit" if stage.abortable == "until_commit" else "none in this stage"
    return [f"{times} · point of no return: {ends}", lateness.reason(view, rollout.limit)]


def _questions(
    rollout: Rollout, stage: Stage, gate: Gate, facts: Mapping[str, Any], evidence: Sequence[str]
) -> list[Question]:
    """Return the gate's questions. Raises Stop if the stage has not reported a fact that they need."""
    try:
        asked = gates.questions(gate, {**rollout.plan.as_vars(), **facts}, evidence)
    except (KeyError, ValueError) as error:
        what = f"it takes the fact {error}" if isinstance(error, KeyError) else str(error)
        message = f"E-gate-fact  playbooks/{stage.playbook}.yml has not said what gate {gate.gate} asks about: {what}."
        raise Stop("failed", ExitCode.FAILED, message, "  Mend it, then:  ./runbook.py run") from error
    if not asked:
        rollout.screen.say(f"  {gate.gate}: nothing to ask, {gate.each} is empty")
    return asked


def _said_no(watchdog: Watchdog, stage: Stage, questions: Sequence[Question]) -> Iterator[tuple[Question, Answer]]:
    """Ask the questions; yield those answered no. Once nobody answers, no more are asked. Raises Stop."""
    rollout = watchdog.rollout
    agreed = []
    for asked in questions:
        entries = rollout.journal.entries
        if asked.needs:
            before = confirmed(entries, stage.stage, asked.gate)
        else:
            before = still_yes(entries, asked.on_record(stage.stage), rollout.clock.now(), asked.waits)
        if before is not None and (asked.item is not None or asked.needs):
            entry, yes = before
            when, who = f"{entry.at:%a %d %b %H:%M}", yes.name or yes.by
            rollout.screen.say(f"? {asked.text}  yes, {who} ({yes.source}, {when}): not asked again")
            continue
        answer = watchdog.ask(stage, asked, moot=lambda: watchdog.interrupt.leave)
        watchdog.leave_if_asked()
        if not answer.yes:
            yield asked, answer
            if answer.source == "nobody":
                return
        else:
            agreed.append(asked)
    watchdog.hear_objections()
    for asked in agreed:  # somebody may have said no to it since
        last = rollout.journal.last(GateAnswered, stage=stage.stage, gate=asked.gate, item=asked.item)
        if last and last[1].answer == NO:
            yield asked, Answer(NO, last[1].by, "another terminal")


def _refused(stage: Stage, said_no: Sequence[tuple[Question, Answer]]) -> Stop:
    asked, answer = said_no[0]
    if asked.item is None:
        said = [f"{asked.text} was answered no by {answer.by} ({answer.source})."]
    else:
        names = [f"{each.item}  no, {answer.by} ({answer.source})" for each, answer in said_no]
        said = [f"gate {asked.gate} was not answered yes for each.", *names]
    return Stop("refused", ExitCode.REFUSED, "\n  ".join([f"E-gate-no  {stage.stage}: {said[0]}", *said[1:]]), AGAIN)
