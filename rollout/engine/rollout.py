"""One rollout at work: its plan, journal and clock, its present state, and the start of its playbooks."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.journal import brackets
from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn
from plugins.module_utils.rollout_core.journal.events import RolloutOpened
from plugins.module_utils.rollout_core.journal.stages import StageRecord, actual, estimates
from plugins.module_utils.rollout_core.merge import pins
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import ROOT
from rollout.engine.interrupts import Interrupt
from rollout.engine.playbooks import Playbook, PlaybookAtWork, PlaybookRun
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.process import Stage
from rollout.views.screen import Screen


@dataclass
class Rollout:
    """A rollout at work. `directory` holds plan.yml, journal.jsonl, Ansible's artifacts and the report."""

    directory: Path
    plan: Plan
    inventory: Path
    journal: Journal
    clock: Clock
    screen: Screen
    extra_vars: Mapping[str, Any]
    project: Path = ROOT
    interrupt: Interrupt = field(default_factory=Interrupt)

    @property
    def plan_file(self) -> Path:
        """Return the path of the plan."""
        return self.directory / "plan.yml"

    @property
    def limit(self) -> timedelta:
        """Return the limit of lateness: off-track by more than this is too late (R19)."""
        return timedelta(minutes=self.plan.policy.abort_after_minutes)

    @property
    def records(self) -> dict[str, StageRecord]:
        """Return the record of each stage that has begun, by name."""
        return actual(self.journal.entries)

    @property
    def layout(self) -> list[timeline.PlannedStage]:
        """Return when each stage is planned to begin and end."""
        return timeline.planned(self.plan.as_vars(), estimates(self.journal.entries))

    @property
    def left(self) -> list[Stage]:
        """Return the stages that are not done, in order."""
        records = self.records
        return [stage for stage in self.plan.process if not (stage.stage in records and records[stage.stage].done)]

    @property
    def done(self) -> list[str]:
        """Return the names of the stages that are done; a playbook that only looks is told them (`rollout_done`)."""
        return [name for name, record in self.records.items() if record.done]

    @property
    def in_window(self) -> bool:
        """Return True if a stage of the window has begun, and was not undone."""
        records = self.records
        return any(s.window and s.stage in records and not records[s.stage].undone for s in self.plan.process)

    @property
    def irreversible(self) -> bool:
        """Return True if the point of no return has passed."""
        return any(record.irreversible for record in self.records.values())

    @property
    def still_on(self) -> list[SwitchedOn]:
        """Return what this rollout's stages have left switched on, and nothing has ended yet (R13)."""
        return brackets.still_on([stage.model_dump() for stage in self.plan.process], self.journal.entries)

    def opened(self) -> RolloutOpened:
        """Return the event that says that the runbook begins, or goes on, with this plan."""
        sha256 = hashlib.sha256(self.plan_file.read_bytes()).hexdigest()
        return RolloutOpened(sha256, getpass.getuser(), self.plan.window.start)

    def outlook(self) -> lateness.Outlook:
        """Return the outlook on lateness now (R19)."""
        return lateness.outlook(self.layout, self.records, self.plan.window.end, self.clock.now())

    def stage(self, name: str) -> Stage:
        """Return the stage with that name. Raises KeyError."""
        found = {stage.stage: stage for stage in self.plan.process}
        return found[name]

    def run_id(self, label: str) -> str:
        """Return the id of a run that begins now; it marks its processes and names the directory of its artifacts.

        Its end is this rollout's alone: two services may have plans of one name, and a host.
        """
        name = f"{len(self.journal.entries) + 1:04}-{label}"
        earlier = len(list((self.directory / "ansible").glob(f"{name}[.-]*")))
        return f"{self.plan.id}/{name}{f'.{earlier + 1}' if earlier else ''}-{self._own}"

    @property
    def _own(self) -> str:
        first = dict(self.journal.entries[0].fields) if self.journal.entries else {}
        return hashlib.sha256(json.dumps(first, sort_keys=True, default=str).encode()).hexdigest()[:6]

    def begin(self, playbook: str, run_id: str, **more: Any) -> PlaybookAtWork:
        """Start a playbook of this rollout; `more` are fields of Playbook, extra variables among them."""
        extra_vars = {
            "rollout_journal": str(self.journal.path),
            "rollout_clock_offset": self.clock.ahead_of_system.total_seconds(),
            "rollout_run": run_id,
            "go": self.plan.id,
            **self.extra_vars,
            **more.pop("extra_vars", {}),
        }
        return PlaybookAtWork(
            Playbook(
                name=playbook,
                inventory=self.inventory,
                plan_file=self.plan_file,
                extra_vars=extra_vars,
                artifacts=self.directory / "ansible" / run_id.partition("/")[2],
                project=self.project,
                **more,
            ),
            on_task=self.screen.task,
            on_silence=self.screen.say,
        )

    def run_to_its_end(self, playbook: str, run_id: str, what: str) -> PlaybookRun:
        """Run a playbook that Ctrl-C does not end; whoever types it is told `what` goes on."""
        return self.begin(playbook, run_id).wait(lambda: self.uninterrupted(what))

    def uninterrupted(self, what: str) -> None:
        """Say, once for each Ctrl-C, that it does not end what is at work."""
        if self.interrupt.came:
            self.interrupt.came = False
            self.screen.new_line()
            self.screen.say(f"Ctrl-C: {what}")

    def to_redo(self, stage: Stage, facts: Mapping[str, Any]) -> list[str]:
        """Return the done stages that must be done again, because this stage now settles something else than before."""
        return pins.to_redo(self.plan.as_vars()["process"], self.journal.entries, stage.stage, facts.get("pin") or {})

    def pin(self) -> None:
        """Write what stages have settled into the plan, where later playbooks, and people, find it.

        If a person has put another revision into the plan, to be chosen next, only that one is kept there.
        """
        entries = self.journal.entries
        written = self.plan.pinned.model_dump(exclude_none=True)
        settled = pins.settled(entries)
        revision = written.get("revision")
        other = revision is not None and settled.get("revision", revision) != revision
        by_hand = {field: value for field, value in written.items() if field not in pins.fields(entries)}
        settled = {"revision": revision} if other else {**by_hand, **settled}
        pinned = Plan.model_validate({**self.plan.as_vars(), "pinned": settled})
        if pinned != self.plan:
            self.plan = pinned
            plans.save(pinned, self.plan_file)
