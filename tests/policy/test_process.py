"""process.yml, its playbooks and its roles fit together; each check is shown a project where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .process import CHECKS as CHECK_FUNCTIONS
from .process import Project
from .source import stands

CHECKS = {check.__name__: check for check in CHECK_FUNCTIONS}
BROKEN = yaml.safe_load((Path(__file__).parent / "broken/process.yml").read_text(encoding="utf-8"))
SOUND = {
    "process.yml": """\
- stage: outage
  rules: [R18, R19]
  playbook: outage
  window: true
  abortable: until_commit
  stop: outage_stop
  # what it leaves behind when it did not commit
  undo: {playbook: outage_undo, minutes: 2}
- stage: resume
  rules: [R5]
  window: true
  playbook: services_resume
  bracket: {what: PQM is in RC mode, ends_with: resume, end_early: rc_release}
  gates: [{gate: good, on_no: {gate: back_out, playbook: back_out}}]
- stage: smoke
  rules: [R22]
  window: true
  playbook: smoke
  stop: smoke_stop
- stage: tell
  rules: [R23]
  announces: {message: done}
""",
    "playbooks/smoke.yml": """\
- hosts: localhost
  tasks:
    - ansible.builtin.include_role: {name: smoke, tasks_from: site}
""",
    "playbooks/outage.yml": """\
- hosts: database
  tasks:
    - ansible.builtin.include_role: {name: database, tasks_from: go}
    - ansible.builtin.include_role: {name: lateness, tasks_from: checkpoint}
    - ansible.builtin.include_role: {name: database, tasks_from: outage}
    - ansible.builtin.include_role: {name: database, tasks_from: verify}
""",
    **{
        f"playbooks/{name}.yml": f"""\
- name: '{phase}'
  hosts: {hosts}
  tasks:
    - ansible.builtin.include_role: {{name: report, tasks_from: {entry}}}
"""
        for name, phase, hosts, entry in (
            ("outage_undo", "UNDO: open access", "database", "done"),
            ("outage_stop", "OUTAGE STOP: ask the worker", "database", "stopped"),
            ("smoke_stop", "SMOKE STOP: end it", "all:!localhost", "stopped"),
            ("stop", "STOP: end it", "all:!localhost", "stopped"),
            ("services_resume", "RESUME: the services", "services", "done"),
            ("back_out", "BACK OUT: the merge", "pqm", "done"),
        )
    },
    "roles/report/tasks/done.yml": "- ansible.builtin.set_stats: {data: {evidence: [done]}}\n",
    "roles/report/tasks/stopped.yml": "- ansible.builtin.set_stats: {data: {answer: stopped}}\n",
    "roles/smoke/tasks/site.yml": "- ansible.builtin.set_stats: {data: {evidence: [3 pages answer]}}\n",
    "playbooks/rc_release.yml": """\
- hosts: pqm
  tasks:
    - ansible.builtin.include_role: {name: pqm, tasks_from: release}
""",
    "roles/pqm/tasks/release.yml": """\
- name: Report
  ansible.builtin.set_stats: {data: {released: false, why: the merge stands, evidence: [in RC mode]}}
""",
    "roles/database/tasks/outage.yml": """\
- name: Close the gate, patch, open the gate
  database_outage: {detach: true}
- name: Follow it
  database_outage_progress: {}
  until: __database_outage.finished
- name: Report
  ansible.builtin.set_stats: {data: {evidence: [patched], irreversible: true}}
""",
}


@pytest.fixture
def project(tmp_path, request):
    texts = {**SOUND, **getattr(request, "param", {})}
    for name, text in texts.items():
        if text is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    return Project.read(tmp_path)


@pytest.fixture(scope="module")
def ours():
    return Project.read()


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_process(check, ours):
    stands(check(ours))


@pytest.mark.parametrize(
    ("project", "sample"),
    [(sample["files"], sample) for sample in BROKEN],
    ids=[f"{sample['check']}-{sample['at']}" for sample in BROKEN],
    indirect=["project"],
)
def test_check_catches(project, sample):
    assert [f"{finding.path}:{finding.line}" for finding in CHECKS[sample["check"]](project)] == [sample["at"]]


def test_every_check_has_a_sample():
    assert {sample["check"] for sample in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_check_lets_a_sound_project_pass(project, check):
    stands(check(project))
