"""A rollout of another site than ours: its own stages and playbooks, in its own directory."""

import io
import sys
from datetime import timedelta
from pathlib import Path

import yaml
from rich.console import Console

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout.engine import processes
from rollout.engine.conductor import Conductor
from rollout.engine.playbooks import CONTROL_MARK, Listener, Playbook, run_playbook
from rollout.engine.rollout import Rollout
from rollout.gates import answers_file
from rollout.journal.clock import Clock, RehearsalClock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from rollout.views.overview import overview
from rollout.views.screen import Screen
from tests.unit.journals import event

POLICY = (Path(__file__).parents[3] / "inventories/lab/group_vars/all/policy.yml").read_text()
STAGES = """
- {stage: prepare, title: Prepare, rules: [], due: -2h, playbook: prepare, expects: {minutes: 1, from: guess},
   gates: [{gate: ready, ask: after, question: "Ready with {parts} parts?", who: [losa], waits: 1m}]}
- {stage: close, title: Close, rules: [R5], due: -10m, window: true, playbook: close,
   expects: {minutes: 1, from: guess}, undo: {playbook: open, minutes: 1}}
- {stage: change, title: Change, rules: [R18], due: 0m, window: true, playbook: change,
   expects: {minutes: 5, from: guess}, abortable: until_commit, undo: {playbook: unchange, minutes: 1},
   gates: [{gate: go, ask: before, question: "Go?", who: [losa], waits: 1m}]}
- {stage: open, title: Open, rules: [R5], due: 0m, window: true, playbook: open, expects: {minutes: 1, from: guess}}
"""
# Noting and reporting start no process: a module's would cost more than all the rest.
PLAYBOOK = """
- name: "{name}: note that it ran, report, fail if told"
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Note that it ran
      ansible.builtin.assert: {{that: "lookup('ansible.builtin.pipe', 'echo {name} >> {notes}') == ''", quiet: true}}
"""
HANGS = """
    - name: Hang
      ansible.builtin.command: {{argv: [{python}, -c, "import time; time.sleep(100)"]}}
"""
SAYS = """
    - name: Report
      ansible.builtin.set_stats: {{data: {report}, per_host: false}}
"""
FAILS = """
    - name: Fail
      ansible.builtin.fail: {{msg: "E-told-to  {name} was told to fail."}}
"""
REPORTS = {
    "prepare": {
        "parts": 3,
        "pin": {"revision": 7},
        "evidence": ["3 parts"],
        "estimates": {"change": [{"step": "all", "seconds": 90}]},
    },
    "change": {"irreversible": True},
}


class Site:
    """That site, and a rollout of it, in a directory of their own."""

    def __init__(self, directory: Path, stages: str = STAGES, reports: dict | None = None) -> None:
        self.directory, self.notes, self.screen = directory, directory / "notes", io.StringIO()
        self.reports = reports or REPORTS
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(directory / "tmp"),
        }
        (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": local}}}))
        plan = {
            "id": "2026-12",
            "inventory": "site",
            "window": {"start": (Clock().now() + timedelta(days=3)).isoformat(), "minutes": 90},
            "backup_window": {"start": (Clock().now() + timedelta(days=5)).isoformat(), "minutes": 90},
            "people": {"losa": "Tom"},
            "process": yaml.safe_load(stages),
            **yaml.safe_load(POLICY),
        }
        self.names = plans.Plan.model_validate(plan).playbooks()
        plans.save(plans.Plan.model_validate(plan), directory / "plan.yml")
        self.playbooks()

    def playbooks(self, failing=(), hanging=(), **reports):
        (self.directory / "playbooks").mkdir(exist_ok=True)
        for name in dict.fromkeys(self.names):
            report = {"evidence": [f"{name} is done"], **{**self.reports, **reports}.get(name, {})}
            parts = [PLAYBOOK, *[HANGS] * (name in hanging), SAYS, *[FAILS] * (name in failing)]
            text = "".join(parts).format(name=name, notes=self.notes, python=sys.executable, report=report)
            (self.directory / "playbooks" / f"{name}.yml").write_text(text)

    def plan(self, **changes):
        """Change what stands in the plan: `policy`, `pinned`, or a stage's fields."""
        plan = plans.load(self.directory / "plan.yml").as_vars()
        plan["policy"].update(changes.pop("policy", {}))
        plan["pinned"] = changes.pop("pinned", plan["pinned"])
        for stage in plan["process"]:
            stage.update(changes.get(stage["stage"], {}))
        plans.save(plans.Plan.model_validate(plan), self.directory / "plan.yml")

    def run(
        self, *stages, answers=(("ready", True), ("go", True)), at=None, begin=None, clock=None, asker=None, work=None
    ):
        plan = plans.load(self.directory / "plan.yml")
        journal = Journal(self.directory / "journal.jsonl")
        if clock is None:
            offset = plan.window.start + (begin or timedelta(hours=-3)) - Clock().now() if at is None else at
            clock = RehearsalClock(
                offset, lambda to, why: journal.write(event("clock_set", offset_seconds=to.total_seconds(), reason=why))
            )
        journal.now = clock.now
        screen = Screen(
            Console(file=self.screen, width=120),
            lambda: overview(plan.as_vars(), journal.entries, clock.now()),
        )
        rollout = Rollout(
            directory=self.directory,
            plan=plan,
            inventory=self.directory / "hosts.yml",
            journal=journal,
            clock=clock,
            screen=screen,
            extra_vars={},
            project=self.directory,
        )
        conductor = Conductor(
            rollout=rollout,
            asker=asker or answers_file.AnswersFile(by="test", answers=dict(answers)),
            open_incident=lambda problem: f"incident about {problem.splitlines()[0]}",
            conclude=lambda why: ([f"concluded: {why.splitlines()[0]}", "then"], True),
        )
        return work(conductor) if work else conductor.run(stages)

    @property
    def ran(self):
        return self.notes.read_text().split() if self.notes.exists() else []

    @property
    def entries(self):
        return text_format.read((self.directory / "journal.jsonl").read_text()).entries

    def run_playbook(self, name, cancelled=lambda: False):
        """Run one playbook by itself: what it came to, and which tasks were heard of."""
        heard = []
        run_id = f"{name}-{len(list(self.directory.glob('ansible/*')))}"
        playbook = Playbook(
            name=name,
            inventory=self.directory / "hosts.yml",
            plan_file=self.directory / "plan.yml",
            extra_vars={},
            artifacts=self.directory / "ansible" / run_id,
            project=self.directory,
        )
        listener = Listener(task=lambda task, host: heard.append(("task", task, host)), progress=heard.append)
        return run_playbook(playbook, listener, cancelled), heard

    def survivors(self):
        """What of its playbooks still runs."""
        return processes.marked(CONTROL_MARK, f"{self.directory}/")

    def events(self, event, field):
        return [entry[field] for entry in self.entries if entry["event"] == event]
