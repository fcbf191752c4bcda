"""The merge back-out after a gate was answered no: a faulty change never lengthens the downtime (R17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.module_utils.rollout_core.journal.events import BackOutFinished, BackOutStarted
from rollout.engine.rollout import Rollout
from rollout.engine.watchdog import Watchdog
from rollout.gates import model as gates
from rollout.outcomes import ExitCode, Stop
from rollout.plan.process import MergeBackOut, Stage

NEXT = "  Once what was answered no is mended, or rolled back where it comes from:  ./runbook.py plan new"


def offer(watchdog: Watchdog, stage: Stage, on_no: MergeBackOut, refused: Stop, facts: Mapping[str, Any]) -> Stop:
    """Ask whether to back out the merge, and do it on a yes; return how the run ends.

    That is `refused` if the merge stays.
    """
    means = [
        *refused.message.splitlines(),
        f"yes: playbooks/{on_no.playbook}.yml takes everything back, and this rollout ends",
        "no: everything stays as it is, and this stage is to be done again",
    ]
    watchdog.rollout.screen.evidence(means)
    asked = gates.question(on_no, {**watchdog.rollout.plan.as_vars(), **facts}, means)
    answer = watchdog.ask(stage, asked, moot=lambda: watchdog.interrupt.leave)
    watchdog.leave_if_asked()
    if answer.yes:
        return back_out(watchdog.rollout, stage, on_no, refused.message)
    said = f"  {asked.text} was answered no by {answer.by} ({answer.source}): nothing was taken back."
    refused.message = f"{refused.message}\n{said}"
    return refused


def back_out(rollout: Rollout, stage: Stage, on_no: MergeBackOut, why: str) -> Stop:
    """Back out the merge to the end; return how the run ends. `why` is what led to it."""
    run_id = rollout.run_id(f"back-out-{stage.stage}")
    rollout.journal.write(BackOutStarted(stage.stage, on_no.playbook, run_id))
    rollout.screen.say(f"↩ merge back-out · playbooks/{on_no.playbook}.yml")
    run = rollout.run_to_its_end(on_no.playbook, run_id, "the merge back-out runs to its end.")
    rollout.screen.evidence(run.stats.get("evidence", []))
    outcome, message = "ok" if run.ok else "failed", None if run.ok else run.message
    finished = BackOutFinished(stage.stage, on_no.playbook, outcome, run.stats, message)
    rollout.journal.write(finished)
    if run.ok:
        return backed_out(finished, why)
    command = f"ansible-playbook -i {rollout.plan.inventory} playbooks/{on_no.playbook}.yml -e @{rollout.plan_file}"
    lines = [why, "  NOT BACKED OUT TO ITS END", run.message, f"  By hand:  {command}"]
    return Stop(
        "failed", ExitCode.FAILED, "\n".join(lines), "  Mend it, and it goes on with the back-out:  ./runbook.py run"
    )


def backed_out(finished: BackOutFinished, why: str | None = None) -> Stop:
    """Return the end of a rollout whose merge was backed out."""
    said = [f"  {line}" for line in finished.facts.get("evidence", [])]
    first = why or f"E-backed-out  {finished.stage}: everything was backed out (R17)."
    head = f"  BACKED OUT by {finished.playbook}: nothing of this rollout goes out (R17)."
    return Stop("backed_out", ExitCode.REFUSED, "\n".join([first, head, *said]), NEXT, stage="refused")


def unfinished(rollout: Rollout) -> tuple[Stage, MergeBackOut] | None:
    """Return the stage and its merge back-out, if one has begun and not ended well; else None.

    Half of the merge may be gone then: nothing goes on before all of it is.
    """
    begun = rollout.journal.last(BackOutStarted)
    if begun is None:
        return None
    stage = rollout.stage(begun[1].stage)
    return stage, next(gate.on_no for gate in stage.gates if gate.on_no and gate.on_no.playbook == begun[1].playbook)
