"""The conductor on a process that is not ours: another site's stages, real playbooks through ansible-runner."""

import io
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from rollout_core import journal as text_format

from rollout import gates
from rollout import plan as plans
from rollout.clock import Clock, RehearsalClock
from rollout.conductor import Conductor
from rollout.journal import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.views.overview import overview
from rollout.views.screen import Screen

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
PLAYBOOK = """
- name: "{name}: note that it ran, report, fail if told"
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Note that it ran
      ansible.builtin.command: {{argv: [{python}, -c, "open('{notes}', 'a').write('{name} ')"]}}
    - name: Report
      ansible.builtin.set_stats: {{data: {report}, per_host: false}}
    - name: Fail if told
      ansible.builtin.fail: {{msg: "E-told-to  {name} was told to fail."}}
      when: {fails}
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

    def __init__(self, directory: Path) -> None:
        self.directory, self.notes, self.screen = directory, directory / "notes", io.StringIO()
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
            "process": yaml.safe_load(STAGES),
            **yaml.safe_load(POLICY),
        }
        plans.save(plans.Plan.model_validate(plan), directory / "plan.yml")
        self.playbooks()

    def playbooks(self, failing=(), **reports):
        (self.directory / "playbooks").mkdir(exist_ok=True)
        for name in ("prepare", "close", "change", "unchange", "open"):
            text = PLAYBOOK.format(
                name=name,
                notes=self.notes,
                python=sys.executable,
                report={**REPORTS, **reports}.get(name, {}),
                fails=name in failing,
            )
            (self.directory / "playbooks" / f"{name}.yml").write_text(text)

    def run(self, *stages, answers=(("ready", True), ("go", True)), at=None, clock=None):
        plan = plans.load(self.directory / "plan.yml")
        journal = Journal(self.directory / "journal.jsonl")
        if clock is None:
            offset = plan.window.start + timedelta(hours=-3) - Clock().now() if at is None else at
            clock = RehearsalClock(
                offset, lambda to, why: journal.write("clock_set", offset_seconds=to.total_seconds(), reason=why)
            )
        journal.now = clock.now
        screen = Screen(
            Console(file=self.screen, width=120), lambda: overview(plan.as_vars(), journal.entries, clock.now())
        )
        conductor = Conductor(
            directory=self.directory,
            plan=plan,
            inventory=self.directory / "hosts.yml",
            journal=journal,
            clock=clock,
            asker=gates.AnswersFile(by="test", answers=dict(answers)),
            screen=screen,
            extra_vars={},
            open_incident=lambda problem: f"incident about {problem.splitlines()[0]}",
            project=self.directory,
        )
        return conductor.run(stages)

    @property
    def ran(self):
        return self.notes.read_text().split() if self.notes.exists() else []

    @property
    def entries(self):
        return text_format.read((self.directory / "journal.jsonl").read_text()).entries

    def events(self, event, field):
        return [entry[field] for entry in self.entries if entry["event"] == event]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_every_stage_in_order_and_what_they_settle_is_kept(site):
    assert site.run() == ExitCode.DONE
    assert site.ran == ["prepare", "close", "change", "open"]
    assert plans.load(site.directory / "plan.yml").pinned.revision == 7
    assert site.events("gate_asked", "question") == ["Ready with 3 parts?", "Go?"]
    assert site.events("rollout_closed", "outcome") == ["done"]


def test_a_deed_stands_in_the_journal_before_it_is_done(site):
    site.run()
    order = [(e["event"], e.get("stage")) for e in site.entries if e["event"].startswith(("stage", "gate"))]
    change = [event for event, stage in order if stage == "change"]
    assert change == ["gate_asked", "gate_answered", "stage_started", "stage_finished"]


def test_without_a_virtual_clock_it_does_what_is_due_and_says_when_to_come_back(site):
    assert site.run(clock=Clock()) == ExitCode.DONE
    assert site.ran == []
    assert "Next: prepare, due" in site.screen.getvalue()


def test_a_gate_answered_no_before_the_window_undoes_nothing_and_is_asked_again(site):
    assert site.run(answers=[("ready", False)]) == ExitCode.REFUSED
    assert site.ran == ["prepare"]
    assert site.run(at=timedelta(days=3)) == ExitCode.DONE
    assert site.ran == ["prepare", "prepare", "close", "change", "open"]


def test_a_gate_that_the_answers_file_does_not_know_is_no(site):
    assert site.run(answers=[("ready", True)]) == ExitCode.REFUSED
    assert site.ran == ["prepare", "close", "open"], "what the window did must be undone"
    assert site.events("undo_started", "stage") == ["close"]


def test_a_window_stage_that_fails_is_undone_with_what_came_before_it_in_the_window(site):
    site.playbooks(failing=["change"], change={})
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change", "unchange", "open"]
    assert "E-told-to  change was told to fail." in site.screen.getvalue()


def test_a_failure_after_the_commit_undoes_nothing_and_opens_an_incident(site):
    site.playbooks(failing=["open"])
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change", "open"]
    assert "incident about E-told-to  open was told to fail." in site.screen.getvalue()
    site.playbooks()
    assert site.run(at=timedelta(days=3, hours=1)) == ExitCode.DONE
    assert site.ran[4:] == ["open"], "only what was not done is done again"


def test_a_failure_that_comes_with_the_commit_undoes_nothing(site):
    site.playbooks(failing=["change"])
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change"]


def test_an_undo_that_fails_is_told_and_the_others_still_run(site):
    site.playbooks(failing=["change", "unchange"], change={})
    assert site.run() == ExitCode.NOT_UNDONE
    assert site.ran == ["prepare", "close", "change", "unchange", "open"]
    assert "NOT UNDONE: change" in site.screen.getvalue()


def test_a_window_stage_cannot_be_run_out_of_its_turn(site):
    with pytest.raises(BadInputError, match="change comes after prepare, close"):
        site.run("change")


def test_a_stage_that_the_process_does_not_have(site):
    with pytest.raises(BadInputError, match="E-no-such-stage  nonsense"):
        site.run("nonsense")


def test_a_crash_in_a_stage_is_followed_by_the_same_stage(site):
    journal = Journal(site.directory / "journal.jsonl")
    journal.write("stage_started", stage="prepare", attempt=1)
    assert site.run() == ExitCode.DONE
    assert [(e["stage"], e["attempt"]) for e in site.entries if e["event"] == "stage_started"][:2] == [
        ("prepare", 1),
        ("prepare", 2),
    ]
