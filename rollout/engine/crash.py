"""What a runbook that ended in the middle has left: a stage without an end, playbooks at work, a half-done abort."""

from __future__ import annotations

from dataclasses import dataclass

from rollout.engine import stop
from rollout.engine.rollout import Entry, Rollout
from rollout.plan.model import Stage

# What is done in a row when a rollout is taken back, and how it is told of.
TAKING_BACK = {
    "undo_started": "an abort was under way at",
    "undo_finished": "an abort was under way at",
    "stop_requested": "an abort was under way at",
    "stop_finished": "an abort was under way at",
    "release_started": "it was looking whether what is still on may end, of",
    "back_out_started": "everything was being backed out after",
}


@dataclass(frozen=True)
class Left:
    """`stage` has no end in the journal (None: nothing is open); `survivors` are this machine's processes, in words.

    `doing` says what was under way there. `taking_back`: it was not the stage's own playbook.
    """

    stage: Stage | None
    run_id: str
    since: str
    doing: str
    taking_back: bool
    survivors: list[str]

    def lines(self) -> list[str]:
        """It for a person."""
        lines = [f"{self.doing} {self.stage.stage}, since {self.since} UTC"] if self.stage is not None else []
        return [*lines, *(f"still runs here: {survivor}" for survivor in self.survivors)]


def left_by(rollout: Rollout) -> Left:
    """Look: at the journal, and at this machine's processes."""
    survivors = stop.survivors_here(rollout)
    finished: set[str] = set()
    for entry in reversed(rollout.journal.entries):
        event = entry["event"]
        if event == "rollout_closed":
            break
        if event in ("release_finished", "back_out_finished"):
            finished.add(event.replace("finished", "started"))
        elif event in finished:  # what has come to its end was not interrupted
            finished.remove(event)
        elif event in TAKING_BACK:
            return _left(rollout, entry, survivors)
    for name, record in rollout.records.items():
        if record.running:
            return _left(rollout, rollout.journal.last("stage_started", stage=name) or {"stage": name}, survivors)
    return Left(None, "", "", "", taking_back=False, survivors=survivors)


def _left(rollout: Rollout, entry: Entry, survivors: list[str]) -> Left:
    stage, event = rollout.stage(entry["stage"]), entry.get("event")
    begun = entry
    if event in ("release_started", "back_out_started"):  # another playbook than the stage's, perhaps on other hosts
        stage = stage.model_copy(update={"playbook": entry["playbook"], "stop": "stop"})
    else:
        begun = rollout.journal.last("stage_started", stage=stage.stage) or entry
    doing = TAKING_BACK.get(str(event), "it was in the middle of")
    since = str(entry.get("at", ""))[11:19]
    return Left(stage, begun.get("run", ""), since, doing, taking_back=event in TAKING_BACK, survivors=survivors)
