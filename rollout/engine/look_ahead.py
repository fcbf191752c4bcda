"""Runs stages that only look: on any day before they are due, and once more after an abort. Nothing is on record."""

from __future__ import annotations

from collections.abc import Sequence

from rollout.engine import stop
from rollout.engine.playbooks import PlaybookAtWork, PlaybookRun
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import code_of
from rollout.outcomes import ExitCode
from rollout.plan.process import Stage


def look_ahead(rollout: Rollout, stages: Sequence[Stage]) -> ExitCode:
    """Look, and say that the stages are done again in their turn. Raises KeyboardInterrupt."""
    for stage in stages:
        if code := _look(rollout, stage):
            return code
        due = f"{stage.due_at(rollout.plan.window.start):%a %d %b %H:%M} UTC"
        rollout.screen.say(f"A look ahead, not on record: {stage.stage} is due {due}, and is done again then.")
    return ExitCode.DONE


def look_again(rollout: Rollout, stages: Sequence[Stage]) -> ExitCode:
    """Look once more at what an aborted rollout has pinned, of which nothing changes. Raises KeyboardInterrupt."""
    rollout.screen.say(f"Rollout {rollout.plan.id} was aborted, and stays so. This looks at {_pinned(rollout)}.")
    for stage in stages:
        if code := _look(rollout, stage):
            return code
    rollout.screen.say("Nothing of this is on record.  The next attempt:  ./runbook.py next")
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


def _look(rollout: Rollout, stage: Stage) -> ExitCode:
    """Run a stage's playbook and show what it finds."""
    rollout.screen.stage_begins(stage)
    known = {"rollout_done": rollout.done}
    run = seen(rollout, rollout.begin(stage.playbook, rollout.run_id(f"ahead-{stage.stage}"), extra_vars=known))
    if not run.ok:
        rollout.screen.say(run.message)
    return code_of(run)


def _pinned(rollout: Rollout) -> str:
    """Return in words what the plan has pinned."""
    pinned = rollout.plan.pinned
    if pinned.revision is None:
        return "everything but patches: its plan has pinned nothing"
    count = len(pinned.patches or [])
    return f"what its plan has pinned: revision {pinned.revision}, {count} patch{'' if count == 1 else 'es'}"
