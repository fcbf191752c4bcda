"""A playbook played for real on this machine: each of its groups is one host here, whose home the test gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMATS = {
    "ANSIBLE_SHOW_CUSTOM_STATS": "true",
    "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    "ANSIBLE_LOCALHOST_WARNING": "false",
}


class Played(NamedTuple):
    """Exit code, everything printed, and what the conductor would be told (set_stats)."""

    code: int
    output: str
    told: dict[str, Any]


def play(
    playbook: str, directory: Path, groups: Sequence[str], variables: Mapping[str, Any], *options: str, **env: str
) -> Played:
    """Play `playbooks/NAME.yml`; inventory and variables are written into `directory`."""
    connection = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(directory / "ansible"),
    }
    hosts = {group: {"hosts": {f"{group}-host": {}}} for group in groups}
    inventory = {"all": {"vars": connection, "children": hosts, "hosts": {"localhost": {}}}}
    (directory / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (directory / "vars.json").write_text(json.dumps(variables))
    argv = [Path(sys.executable).parent / "ansible-playbook", "-i", directory / "hosts.yml"]
    done = subprocess.run(
        [*argv, "-e", f"@{directory}/vars.json", ROOT / f"playbooks/{playbook}.yml", *options],
        cwd=ROOT,
        env={**os.environ, **FORMATS, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line.partition("RUN: ")[2] for line in done.stdout.splitlines() if line.startswith("\tRUN: ")]
    return Played(done.returncode, done.stdout + done.stderr, json.loads(told[0]) if told else {})
