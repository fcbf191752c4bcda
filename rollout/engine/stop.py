"""Stops a stage that runs: it is asked first, then ended, then proven to have ended (R19).

Killing ansible-playbook alone leaves its workers at work, and what they began on the hosts, a schema patch too. So it
is frozen, and the stage's `stop` playbook goes to the hosts first: it asks, waits for the answer, and ends only what
does not answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from plugins.module_utils.rollout_core.journal.events import StopFinished, StopRequested
from rollout import inventory, site
from rollout.engine import processes
from rollout.engine.playbooks import CONTROL_MARK, PlaybookAtWork
from rollout.engine.rollout import Rollout
from rollout.plan.process import Stage

Answered = Literal["stopped", "rolled_back", "too_late", "unknown"]
GRACE_SECONDS = 3.0  # what is asked to stop gets so long on a host, and so long again here, before it is ended
STOP_SECONDS = 60.0  # the stop playbook is several times the grace; one that takes longer hangs


@dataclass(frozen=True)
class Stopped:
    """How a stop ended. `survivors` still run; `unproven` are hosts that did not answer."""

    answer: Answered
    survivors: list[str]
    unproven: list[str]
    evidence: list[str]

    @property
    def proven(self) -> bool:
        """Return True if nothing of the stage is at work any more, for certain."""
        return not self.survivors and not self.unproven

    def lines(self) -> list[str]:
        """Return lines that tell a person how the stop ended."""
        said = [f"  {line}" for line in self.evidence]
        said += [f"  STILL RUNS: {survivor}" for survivor in self.survivors]
        said += [f"  NOT PROVEN: {host} does not answer, what runs there is not known" for host in self.unproven]
        return said


def survivors_here(rollout: Rollout) -> list[str]:
    """Return the processes of this rollout's playbooks on this machine, in words."""
    return [processes.told(process) for process in processes.marked(CONTROL_MARK, f"{rollout.directory}/")]


def look_on_hosts(rollout: Rollout, stage: Stage, run_id: str) -> Stopped:
    """Return what of a run is still at work on the stage's hosts; nothing is touched."""
    return _on_hosts(rollout, stage, run_id, check=True)


def stop_stage(rollout: Rollout, stage: Stage, run_id: str, why: str, work: PlaybookAtWork | None = None) -> Stopped:
    """Stop a run of the stage's playbook; return how that ended.

    `work` is the playbook at work, None if a crashed runbook has left it. If the hosts answer `too_late`, it is left to
    run to its end.
    """
    begun = time.monotonic()
    rollout.journal.write(StopRequested(stage.stage, run_id, stage.stop, why))
    rollout.screen.say(f"■ stop {stage.stage} · playbooks/{stage.stop}.yml")
    controllers = processes.marked(CONTROL_MARK, str(work.playbook.artifacts)) if work is not None else []
    processes.freeze(controllers)  # they must not begin anything on a host that has just been looked at
    stopped = _on_hosts(rollout, stage, run_id)
    if stopped.answer == "too_late":
        processes.thaw(controllers)
    else:
        processes.kill(controllers)
        end_here(rollout)
        if work is not None:
            work.cancel()
            work.ended(GRACE_SECONDS)
        left = [*stopped.survivors, *survivors_here(rollout)]
        stopped = Stopped(stopped.answer, left, stopped.unproven, stopped.evidence)
    seconds = round(time.monotonic() - begun, 3)
    rollout.journal.write(
        StopFinished(stage.stage, run_id, stopped.answer, stopped.survivors, stopped.unproven, seconds)
    )
    took = f"{seconds:.1f} s"
    proven = "no session, no process left" if stopped.proven else "NOT PROVEN"
    rollout.screen.say(f"  {stage.stage} {stopped.answer.replace('_', ' ')} · {proven}   {took}")
    rollout.screen.evidence(stopped.lines())
    return stopped


def _on_hosts(rollout: Rollout, stage: Stage, run_id: str, *, check: bool = False) -> Stopped:
    """Run the stage's stop playbook on the hosts of its own playbook; a stage that announces has none."""
    if not stage.playbook:
        return Stopped("stopped", [], [], [])
    groups = inventory.groups_of(
        site.playbook(stage.playbook, rollout.inventory, rollout.project), rollout.plan.playbook
    )
    if not groups:
        return Stopped("stopped", [], [], [])
    label = f"{'look' if check else 'stop'}-{stage.stage}"
    asked = {"stop_run": run_id, "stop_grace_seconds": GRACE_SECONDS}
    work = rollout.begin(
        stage.stop,
        rollout.run_id(label),
        limit=",".join(groups),
        aloof=True,
        check=check,
        extra_vars=asked,
        reports=("answer",),
    )
    if not work.ended(STOP_SECONDS):
        work.cancel()
        processes.stop(processes.marked(CONTROL_MARK, str(work.playbook.artifacts)))
        return Stopped("unknown", [], groups, [f"{stage.stop} has not come back for {STOP_SECONDS:.0f} s"])
    run = work.outcome()
    unproven = sorted({failure.host for failure in run.failures if failure.unreachable})
    if run.nothing_ran or "answer" not in run.stats:  # nobody has looked at the hosts
        unproven = unproven or groups
    failed = [failure.message for failure in run.failures if not failure.unreachable]
    answer: Answered = run.stats.get("answer", "unknown")
    return Stopped(answer, [*run.stats.get("survivors", []), *failed], unproven, run.stats.get("evidence", []))


def end_here(rollout: Rollout) -> None:
    """End what is left on this machine, ssh's kept connections included: they may hang."""
    processes.stop(processes.marked(CONTROL_MARK, f"{rollout.directory}/"), GRACE_SECONDS)
