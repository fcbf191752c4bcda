"""Undoes the window's stages, latest first, and says what is left for a person (R19)."""

from __future__ import annotations

from dataclasses import dataclass, field

from plugins.module_utils.rollout_core.journal.events import UndoFinished, UndoStarted
from rollout.engine.playbooks import PlaybookRun
from rollout.engine.rollout import Rollout
from rollout.outcomes import ExitCode
from rollout.plan.process import Stage


@dataclass
class Undone:
    """The result of undoing the window: `lines` for the screen, and the exit code."""

    lines: list[str] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.DONE


def undo_window(rollout: Rollout) -> Undone:
    """Undo every stage of the window that has begun; one whose undo fails does not keep the others.

    Stages before the window are not undone.
    """
    undone = Undone()
    records = rollout.records
    begun = [s for s in rollout.plan.process if s.stage in records and not records[s.stage].undone]
    for stage in reversed([s for s in begun if s.window and s.undo]):
        failed = _undo(rollout, stage)
        if failed is None:
            undone.lines.append(f"  undone: {stage.stage}")
            continue
        undone.lines.append(f"  NOT UNDONE: {stage.stage}\n{failed.message}\n  By hand:  {by_hand(rollout, stage)}")
        code = ExitCode.LOCKED_OUT if failed.failed_with("locked_out") else ExitCode.NOT_UNDONE
        undone.exit_code = ExitCode(max(undone.exit_code, code))
    standing = [s.stage for s in begun if not s.window and records[s.stage].done]
    if standing and any(stage.window for stage in begun):
        undone.lines.append(f"  stands, as before the window: {', '.join(standing)}")
    return undone


def by_hand(rollout: Rollout, stage: Stage) -> str:
    """Return the command that undoes a stage by hand."""
    playbook = stage.undo.playbook if stage.undo else stage.playbook
    return f"ansible-playbook -i {rollout.plan.inventory} playbooks/{playbook}.yml -e @{rollout.plan_file}"


def _undo(rollout: Rollout, stage: Stage) -> PlaybookRun | None:
    """Undo one stage; return the playbook's run if it failed, else None."""
    assert stage.undo is not None  # noqa: S101 - the caller chose those that have one
    playbook = stage.undo.playbook
    run_id = rollout.run_id(f"undo-{stage.stage}")
    rollout.journal.write(UndoStarted(stage.stage, playbook, run_id))
    rollout.screen.say(f"↩ undo {stage.stage} · playbooks/{playbook}.yml")
    run = rollout.run_to_its_end(playbook, run_id, "what was begun to be undone is undone to its end.")
    outcome, message = "ok" if run.ok else "failed", None if run.ok else run.message
    rollout.journal.write(UndoFinished(stage.stage, playbook, outcome, message))
    if run.ok:
        rollout.screen.evidence(run.stats.get("evidence", []))
    return None if run.ok else run
