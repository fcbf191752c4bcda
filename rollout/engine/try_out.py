"""Tries stages out in Ansible's check mode: nothing changes, and nothing is journaled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rollout.engine.look_ahead import seen
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import code_of
from rollout.journal.file import Journal
from rollout.outcomes import ExitCode
from rollout.plan.process import Stage


def try_out(rollout: Rollout, names: Sequence[str]) -> ExitCode:
    """Try the named stages, or all that are left; return the exit code of the first that fails, or DONE.

    A failure does not end it: a stage that takes what an earlier one settles fails until that is done.
    """
    stages = [stage for stage in rollout.plan.process if stage.stage in names] or rollout.left
    failed: dict[str, ExitCode] = {}
    for stage in stages:
        rollout.screen.say(f"▸ {stage.stage} · {stage.title} · check mode: nothing is changed")
        if stage.announces:
            rollout.screen.say(f"    What goes out:  ./runbook.py announce --preview {stage.announces.message}")
        elif (code := _tried(rollout, stage)) is not ExitCode.DONE:
            failed[stage.stage] = code
    said = f"Tried {len(stages)} of {len(rollout.plan.process)} stages; nothing was changed, nothing is on record."
    rollout.screen.say(f"{said}  Failed: {', '.join(failed)}." if failed else f"{said}  None failed.")
    return next(iter(failed.values()), ExitCode.DONE)


def _tried(rollout: Rollout, stage: Stage) -> ExitCode:
    """Run the stage's playbook in check mode, and show what it says. Raises KeyboardInterrupt."""
    journal = str(_journal(rollout, stage.stage))
    begun = rollout.begin(
        str(stage.playbook),
        rollout.run_id(f"check-{stage.stage}"),
        extra_vars={"rollout_journal": journal, "rollout_done": rollout.done},
        check=True,
        reports=stage.reports,
    )
    run = seen(rollout, begun)
    rollout.screen.say(f"✓ {stage.stage}" if run.ok else f"✗ {stage.stage}\n{run.message}")
    return ExitCode.DONE if run.ok else code_of(run)


def _journal(rollout: Rollout, stage: str) -> Path:
    """Return the journal's path; if it has no entry yet, that of a new one that only says that the rollout begins."""
    if rollout.journal.entries:
        return rollout.journal.path
    path = rollout.directory / "ansible" / f"check-{stage}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    Journal(path).write(rollout.opened())
    return path
