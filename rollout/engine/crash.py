"""What a crashed runbook has left: a stage without an end, playbooks at work, a half-done abort."""

from __future__ import annotations

from dataclasses import dataclass

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    BackOutFinished,
    BackOutStarted,
    Event,
    ReleaseFinished,
    ReleaseStarted,
    RolloutClosed,
    StageStarted,
    StopFinished,
    StopRequested,
    UndoFinished,
    UndoStarted,
)
from rollout.engine import stop
from rollout.engine.rollout import Rollout
from rollout.plan.process import Stage

# The events of undoing a rollout, and the words for each.
TakingBack = UndoStarted | UndoFinished | StopRequested | StopFinished | ReleaseStarted | BackOutStarted
OF_AN_ABORT = "an abort was under way at"
OF_A_BRACKET = "it was looking whether what is still on may end, of"
OF_A_BACK_OUT = "everything was being backed out after"


@dataclass(frozen=True)
class CrashRemains:
    """What a crash has left: a `stage` without an end (None: no stage), and `survivors` on this machine, in words.

    `doing` says what was under way in the stage. `taking_back`: that was its undo or the like, not its own playbook.
    """

    stage: Stage | None
    run_id: str
    since: str
    doing: str
    taking_back: bool
    survivors: list[str]

    def lines(self) -> list[str]:
        """Return lines that tell a person of it."""
        lines = [f"{self.doing} {self.stage.stage}, since {self.since} UTC"] if self.stage is not None else []
        return [*lines, *(f"still runs here: {survivor}" for survivor in self.survivors)]


def left_by(rollout: Rollout) -> CrashRemains:
    """Return what a crash has left, by the journal and this machine's processes."""
    survivors = stop.survivors_here(rollout)
    finished: set[type[Event]] = set()
    for entry in reversed(rollout.journal.entries):
        event = entry.event
        if isinstance(event, RolloutClosed):
            break
        if isinstance(event, ReleaseFinished):
            finished.add(ReleaseStarted)
        elif isinstance(event, BackOutFinished):
            finished.add(BackOutStarted)
        elif type(event) in finished:  # what has come to its end was not interrupted
            finished.remove(type(event))
        elif isinstance(event, TakingBack):
            return _taking_back(rollout, entry, event, survivors)
    for name, record in rollout.records.items():
        if record.running:
            found = rollout.journal.last(StageStarted, stage=name)
            run_id, since = (found[1].run, _time(found[0])) if found else ("", "")
            doing = "it was in the middle of"
            return CrashRemains(rollout.stage(name), run_id, since, doing, taking_back=False, survivors=survivors)
    return CrashRemains(None, "", "", "", taking_back=False, survivors=survivors)


def _taking_back(rollout: Rollout, entry: Entry, event: TakingBack, survivors: list[str]) -> CrashRemains:
    stage, run_id, doing = (
        rollout.stage(event.stage),
        event.run if not isinstance(event, UndoFinished) else "",
        OF_AN_ABORT,
    )
    if isinstance(event, ReleaseStarted | BackOutStarted):  # another playbook than the stage's, perhaps on other hosts
        stage = stage.model_copy(update={"playbook": event.playbook, "stop": "stop"})
        doing = OF_A_BRACKET if isinstance(event, ReleaseStarted) else OF_A_BACK_OUT
    elif begun := rollout.journal.last(StageStarted, stage=event.stage):
        run_id = begun[1].run
    return CrashRemains(stage, run_id, _time(entry), doing, taking_back=True, survivors=survivors)


def _time(entry: Entry) -> str:
    return f"{entry.at:%H:%M:%S}"
