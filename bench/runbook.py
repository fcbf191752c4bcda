"""Measures the runbook as a person feels it: `status`, the conductor's own time for a stage, a whole rollout."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from rollout import ROOT
from rollout.engine.playbooks import Playbook, run_playbook

PLAYBOOK = """
- name: "NOTHING: one task on localhost"
  hosts: localhost
  gather_facts: false
  tasks: [{name: Say so, ansible.builtin.debug: {msg: nothing}}]
"""


def status(runs: int = 10) -> list[float]:
    """Return the seconds of `./runbook.py status` for a plan that has just been made."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as directory:
        environment = {**os.environ, "ROLLOUT_RECORDS": directory}
        plan = Path(directory) / "2026-12"
        plan.mkdir()
        text = (ROOT / "tests/unit/plan/plan.yml").read_text(encoding="utf-8")
        (plan / "plan.yml").write_text(text, encoding="utf-8")
        return [_seconds([str(ROOT / "runbook.py"), "status"], environment) for _ in range(runs)]


def conductor_overhead(runs: int = 10) -> list[float]:
    """Return the seconds of a playbook through the conductor's runner, minus those of plain ansible-playbook."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        directory = Path(name)
        (directory / "playbooks").mkdir()
        (directory / "playbooks/nothing.yml").write_text(PLAYBOOK, encoding="utf-8")
        (directory / "plan.yml").write_text("rollout: {}\n", encoding="utf-8")
        local = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": str(directory / "tmp"),
        }
        (directory / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": local}}}), encoding="utf-8")
        return [_with_conductor(directory, run) - _without(directory) for run in range(runs)]


def rollout(runs: int = 3) -> list[float]:
    """Return the seconds of `make rollout` with everything installed: lab up, plan, all stages, report, lab down."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as directory:
        environment = {**os.environ, "ROLLOUT_LAB": f"{directory}/lab", "ROLLOUT_RECORDS": f"{directory}/rollouts"}
        return [_seconds(["make", "rollout"], environment) for _ in range(runs)]


def _with_conductor(directory: Path, run: int) -> float:
    begun = time.monotonic()
    nothing = Playbook(
        "nothing",
        inventory=directory / "hosts.yml",
        plan_file=directory / "plan.yml",
        extra_vars={},
        artifacts=directory / "ansible" / str(run),
        project=directory,
        reports=(),
    )
    done = run_playbook(nothing)
    assert done.ok, done.message
    return time.monotonic() - begun


def _without(directory: Path) -> float:
    playbook = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/nothing.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    return _seconds([*playbook, "-i", str(directory / "hosts.yml")], environment, directory)


def _seconds(command: list[str], environment: dict[str, str], directory: Path = ROOT) -> float:
    begun = time.monotonic()
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.monotonic() - begun
