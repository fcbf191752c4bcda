"""A site's folder outside of the checkout: its process, playbook and role are used, and the checkout stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.layout import PROJECT, Lab

PROCESS = """
from: monthly
change:
  - {stage: pause, playbook: our_pause}
"""
PAUSE = """
- name: "PAUSE: as this site does it"
  hosts: services
  gather_facts: false
  environment: {ROLLOUT_RUN: "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}
  roles: [ours]
"""
ROLE = """
- name: Tell
  ansible.builtin.set_stats: {data: {evidence: ["{{ inventory_hostname }}: paused in our way"]}, per_host: false}
  check_mode: false
"""


@pytest.fixture
def folder(lab: Lab) -> Iterator[Path]:
    """The lab's inventory as a site of its own, really outside; it is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        site = Path(directory) / "site"
        shutil.copytree(PROJECT / "inventories" / "lab", site)
        (site / "lab_addresses.py").unlink()
        (site / "lab_addresses.py").symlink_to(PROJECT / "inventories" / "lab" / "lab_addresses.py")
        (site / "process.yml").write_text(PROCESS)
        (site / "playbooks" / "our_pause.yml").write_text(PAUSE)
        (site / "roles" / "ours" / "tasks").mkdir(parents=True)
        (site / "roles" / "ours" / "tasks" / "main.yml").write_text(ROLE)
        yield site


def test_a_site_outside(folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ROLLOUT_RECORDS"}
    kept = sorted((PROJECT / "var" / "rollouts").glob("*"))

    def runbook(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [str(PROJECT / "runbook.py"), *words]
        return subprocess.run(
            argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    planned = runbook("plan", "new")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Plan: var/rollouts/" in planned.stdout
    assert f"Next: {PROJECT}/runbook.py run" in planned.stdout
    tried = runbook("run", "--check", "--at=-25m", "pause")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert ": paused in our way" in tried.stdout
    assert runbook("--site", "/nowhere", "status").returncode == 2
    assert sorted((PROJECT / "var" / "rollouts").glob("*")) == kept
    assert {path.name for path in (folder / "var").iterdir()} >= {"ansible", "cp", "rollouts", "tmp"}


def test_the_doctor_looks_at_all_of_it_and_changes_nothing(lab: Lab, folder: Path) -> None:
    argv = [str(PROJECT / "runbook.py"), "--site", str(folder), "doctor"]
    healthy = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    for what in ("files", "inventory", "schedule", "channel status", "process", "hosts", "programs"):
        assert f"✓ {what}: " in healthy.stdout
    assert "A look ahead, not on record: preflight" in healthy.stdout
    assert healthy.stdout.endswith("A rollout could begin.\n")
    assert not list((folder / "var" / "rollouts").glob("*")), "no plan is made"
