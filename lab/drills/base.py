"""The state in which every drill begins: everything before the window is done, on record and in the lab."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from lab import lab as embedded
from lab.drills.rollout import Rollout
from lab.layout import Lab, LabError
from rollout.inventory import DatabaseTime
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.process import Expects

# About what the stages of the window take on the lab; one that is not here gets the default. What a stage measures for
# another (the outage's patches, R9) replaces these.
SECONDS = {"pause": 6, "switch": 5, "cowboys": 5, "resume": 4, "smoke": 10}
DEFAULT_SECONDS = 5


@dataclass(frozen=True)
class Base:
    """The state of a lab right before the window (`snapshot`), and the records of the rollout on it."""

    lab: Lab
    snapshot: Path
    records: Path

    @classmethod
    def make(cls, lab: Lab, directory: Path) -> Base:
        """Carry out a rollout on `lab` up to its window, and keep both in the new `directory`. Raises LabError."""
        rollout = Rollout(directory / "rollouts", lab)
        rollout.records.mkdir(parents=True)
        _type(rollout, "plan", "new")
        plan_file = rollout.directory / "plan.yml"
        plan = hastened(plans.load(plan_file))
        plans.save(plan, plan_file)
        before = [stage.stage for stage in takewhile(lambda stage: not stage.window, plan.process)]
        _type(rollout, "run", *before, *rollout.answering(), f"--at={plan.process[0].due}")
        embedded.snapshot(lab.directory, directory / "lab")
        return cls(lab, directory / "lab", rollout.records)

    def at_the_window(self, records: Path) -> Rollout:
        """Restore the lab to its window, and return the rollout with its records copied to `records`."""
        embedded.restore(self.lab.directory, self.snapshot)
        return self.again(records)

    def again(self, records: Path) -> Rollout:
        """Return the rollout with its records copied to `records`, on the lab as it is now."""
        shutil.copytree(self.records, records)
        return Rollout(records, self.lab)


def hastened(plan: Plan) -> Plan:
    """Return the plan with the lab's own durations, and without the minutes that R9 adds to the database time.

    Those are spent before lateness counts: a drill would wait 10 minutes for the limit to be crossed.
    """
    process = []
    for stage in plan.process:
        if stage.window:
            expects = Expects.model_validate({"minutes": SECONDS.get(stage.stage, DEFAULT_SECONDS) / 60, "from": "lab"})
            process.append(stage.model_copy(update={"expects": expects}))
        else:
            process.append(stage)
    time = DatabaseTime(factor=plan.policy.database_time.factor, plus_minutes=0)
    policy = plan.policy.model_copy(update={"database_time": time})
    return plan.model_copy(update={"process": process, "policy": policy})


def _type(rollout: Rollout, *arguments: str) -> None:
    done = rollout.runbook(*arguments)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise LabError(
            f"E-drill-base  no drill can begin: ./runbook.py {arguments[0]} ended with "
            f"{done.returncode}.\n{said}\n  Look at {rollout.records}. Then run the drill again."
        )
