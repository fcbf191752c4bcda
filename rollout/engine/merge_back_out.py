"""Backs the whole rollout out after a gate was answered no: a faulty change never lengthens the downtime (R17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollout.engine.rollout import Entry, Rollout
from rollout.engine.watchdog import Watchdog
from rollout.gates import model as gates
from rollout.outcomes import ExitCode, Stop
from rollout.plan.model import BackOut, Stage

NEXT = "  Once what was answered no is mended, or rolled back where it comes from:  ./runbook.py plan new"


def offer(watchdog: Watchdog, stage: Stage, on_no: BackOut, refused: Stop, facts: Mapping[str, Any]) -> Stop:
    """Ask whether to back out, and do it on a yes. Returns how the run ends; `refused` when it is to stay as it is."""
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


def back_out(rollout: Rollout, stage: Stage, on_no: BackOut, why: str) -> Stop:
    """Run the back-out to its end, and return how the run ends; `why` is what led to it."""
    run_id = rollout.run_id(f"back-out-{stage.stage}")
    rollout.journal.write("back_out_started", stage=stage.stage, playbook=on_no.playbook, run=run_id)
    rollout.screen.say(f"↩ back out · playbooks/{on_no.playbook}.yml")
    work = rollout.begin(on_no.playbook, run_id)
    while not work.ended(0.2):
        rollout.uninterrupted("the back-out runs to its end.")
    run = work.outcome()
    rollout.screen.evidence(run.stats.get("evidence", []))
    finished = rollout.journal.write(
        "back_out_finished",
        stage=stage.stage,
        playbook=on_no.playbook,
        outcome="ok" if run.ok else "failed",
        facts=run.stats,
        message=None if run.ok else run.message,
    )
    if run.ok:
        return backed_out(finished, why)
    command = f"ansible-playbook -i {rollout.plan.inventory} playbooks/{on_no.playbook}.yml -e @{rollout.plan_file}"
    lines = [why, "  NOT BACKED OUT TO ITS END", run.message, f"  By hand:  {command}"]
    return Stop(
        "failed", ExitCode.FAILED, "\n".join(lines), "  Mend it, and it goes on with the back-out:  ./runbook.py run"
    )


def backed_out(finished: Entry, why: str | None = None) -> Stop:
    """The end of a rollout that was backed out; `finished` is the journal's `back_out_finished`."""
    said = [f"  {line}" for line in (finished["facts"] or {}).get("evidence", [])]
    first = why or f"E-backed-out  {finished['stage']}: everything was backed out (R17)."
    head = f"  BACKED OUT by {finished['playbook']}: nothing of this rollout goes out (R17)."
    return Stop("backed_out", ExitCode.REFUSED, "\n".join([first, head, *said]), NEXT, stage="refused")


def unfinished(rollout: Rollout) -> tuple[Stage, BackOut] | None:
    """The stage after which a back-out was begun that has not come to a good end, and that back-out.

    Half of the merge may be gone: nothing goes on before all of it is.
    """
    for entry in reversed(rollout.journal.entries):
        if entry["event"] == "back_out_started":
            stage = rollout.stage(entry["stage"])
            found = (gate.on_no for gate in stage.gates if gate.on_no and gate.on_no.playbook == entry["playbook"])
            return stage, next(found)
    return None
