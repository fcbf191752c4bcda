"""Runs stages that only look, on any day before they are due; they are done again in their turn."""

from __future__ import annotations

from collections.abc import Sequence

from rollout.engine import stop
from rollout.engine.playbooks import PlaybookAtWork, PlaybookRun
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import code_of
from rollout.outcomes import ExitCode
from rollout.plan.process import Stage


def look_ahead(rollout: Rollout, stages: Sequence[Stage]) -> ExitCode:
    """Run the stages' playbooks and show what they find; nothing is journaled. Raises KeyboardInterrupt."""
    for stage in stages:
        rollout.screen.stage_begins(stage)
        run = seen(rollout, rollout.begin(stage.playbook, rollout.run_id(f"ahead-{stage.stage}")))
        if not run.ok:
            rollout.screen.say(run.message)
            return code_of(run)
        due = f"{stage.due_at(rollout.plan.window.start):%a %d %b %H:%M} UTC"
        rollout.screen.say(f"A look ahead, not on record: {stage.stage} is due {due}, and is done again then.")
    return ExitCode.DONE


def seen(rollout: Rollout, work: PlaybookAtWork) -> PlaybookRun:
    """Wait for a playbook that changes nothing, and show its evidence. Ctrl-C ends it: raises KeyboardInterrupt."""
    try:
        run = work.wait()
    except KeyboardInterrupt:
        stop.end_here(rollout)
        raise
    rollout.screen.evidence(run.stats.get("evidence", []))
    rollout.screen.quiet()
    return run
