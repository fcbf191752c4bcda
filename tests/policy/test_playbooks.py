"""Every play and every task keeps the policy of plays.py; each check is shown a sample that it must catch."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .plays import PLAY_CHECKS, TASK_CHECKS
from .source import ROOT, Source, playbooks, stands

TASK_FILES = tuple(Source.read(path) for path in sorted((ROOT / "roles").glob("*/tasks/*.yml")))
CHECKS = {check.__name__: check for check in (*PLAY_CHECKS, *TASK_CHECKS)}
BROKEN = yaml.safe_load((Path(__file__).parent / "broken/plays.yml").read_text(encoding="utf-8"))

SOUND = """\
- name: "SWITCH: the trees"
  hosts: app
  gather_facts: false
  any_errors_fatal: true
  max_fail_percentage: 0
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
  tasks:
    - name: Switch the tree and restart
      ansible.builtin.include_role: {name: app_tree, tasks_from: switch}
- name: "SMOKE: the site"
  hosts: localhost
  gather_facts: false
  any_errors_fatal: true
  max_fail_percentage: 0
- name: "STOP: end what a run left on the hosts"
  hosts: all:!localhost
  gather_facts: false
  any_errors_fatal: false
  max_fail_percentage: 100
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
- name: "OUTAGE STOP: ask the worker"
  hosts: database
  gather_facts: false
  any_errors_fatal: false
  max_fail_percentage: 100
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
"""
SOUND_TASKS = """\
- name: Switch, and say so when it did not work
  block:
    - name: Switch
      app_tree_switch: {at: "{{ now }}", password: "{{ app_tree_password }}"}
      no_log: true  # secret: app_tree_password
      failed_when: __app_tree_switch.revision != app_tree_revision
  rescue:
    - name: Say what it is
      ansible.builtin.fail: {msg: "Never now() without a template."}
"""


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_playbooks(check):
    stands(finding for playbook in playbooks() for finding in check(playbook))


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
def test_role_tasks(check):
    stands(finding for tasks in TASK_FILES for finding in check(tasks))


def test_there_is_something_to_check():
    assert playbooks()
    assert TASK_FILES


@pytest.mark.parametrize(
    "sample", BROKEN, ids=lambda sample: f"{sample['check']}-{sample['text'].splitlines()[-1].strip()}"
)
def test_check_catches(sample):
    source = Source.parse("broken.yml", sample["text"])
    assert [finding.line for finding in CHECKS[sample["check"]](source)] == [sample["line"]]


def test_every_check_has_a_sample():
    assert {sample["check"] for sample in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_check_lets_sound_plays_pass(check):
    stands(check(Source.parse("sound.yml", SOUND)))


@pytest.mark.parametrize("check", TASK_CHECKS, ids=lambda check: check.__name__)
def test_check_lets_sound_tasks_pass(check):
    stands(check(Source.parse("sound.yml", SOUND_TASKS)))
