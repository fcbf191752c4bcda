"""What a runbook that ended in the middle has left: a stage without an end, playbooks at work, a half-done abort."""

from __future__ import annotations

from dataclasses import dataclass

from rollout import stopping
from rollout.plan import Stage
from rollout.rollout import Rollout


@dataclass(frozen=True)
class Left:
    """`stage` has no end in the journal (None: nothing is open); `survivors` are this machine's processes, in words."""

    stage: Stage | None
    run_id: str
    since: str
    aborting: bool
    survivors: list[str]

    def lines(self) -> list[str]:
        """It for a person."""
        lines = []
        if self.stage is not None:
            doing = "an abort was under way at" if self.aborting else "it was in the middle of"
            lines.append(f"{doing} {self.stage.stage}, since {self.since} UTC")
        return [*lines, *(f"still runs here: {survivor}" for survivor in self.survivors)]


def left_by(rollout: Rollout) -> Left:
    """Look: at the journal, and at this machine's processes."""
    survivors = stopping.survivors_here(rollout)
    for entry in reversed(rollout.journal.entries):
        if entry["event"] == "rollout_closed":
            break
        if entry["event"] in ("undo_started", "undo_finished", "stop_requested", "stop_finished"):
            return _left(rollout, entry, survivors, aborting=True)
    for name, record in rollout.records.items():
        if record.running:
            entry = rollout.journal.last("stage_started", stage=name) or {}
            return _left(rollout, entry, survivors, aborting=False)
    return Left(None, "", "", aborting=False, survivors=survivors)


def _left(rollout: Rollout, entry: dict[str, str], survivors: list[str], *, aborting: bool) -> Left:
    stage = rollout.stage(entry["stage"])
    begun = rollout.journal.last("stage_started", stage=stage.stage) or entry
    return Left(stage, begun.get("run", ""), entry["at"][11:19], aborting=aborting, survivors=survivors)
