"""What the conductor asks of an inventory: its numbers, its groups and the few variables it needs itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rollout import ROOT, documents
from rollout.outcomes import BadInputError
from rollout.plan import Policy, PolicyFile

# Asked of Ansible in one go, because only Ansible knows what its templates come to.
QUESTION = {
    "groups": "{{ groups }}",
    "production_status": "{{ production_status_file | default('') }}",
    "rehearsals_allowed": "{{ rollout_rehearsals_allowed | default(false) }}",
}


@dataclass(frozen=True)
class InventoryFacts:
    """`groups` by name, the path of the production status file, and whether a virtual clock may be used (labs only)."""

    groups: dict[str, list[str]]
    production_status: Path
    rehearsals_allowed: bool


def policy(inventory: Path) -> Policy:
    """The numbers of the process (R2, R9, R19, …). Raises BadInputError."""
    return documents.load(inventory / "group_vars" / "all" / "policy.yml", PolicyFile).policy


def facts(inventory: Path) -> InventoryFacts:
    """Ask Ansible. Raises BadInputError with Ansible's own words when the inventory does not parse."""
    command = [
        str(Path(sys.executable).with_name("ansible")),
        "localhost",
        "--inventory",
        str(inventory),
        "--module-name",
        "ansible.builtin.debug",
        "--args",
        json.dumps({"msg": QUESTION}),
        "--one-line",
    ]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    _, arrow, answer = asked.stdout.partition(" => ")
    if asked.returncode != 0 or not arrow:
        said = (asked.stderr or asked.stdout).strip()
        raise BadInputError(f"E-bad-inventory  {inventory} cannot be read by Ansible; nothing was touched.\n{said}")
    found: dict[str, Any] = json.loads(answer)["msg"]
    return InventoryFacts(
        groups=found["groups"],
        production_status=Path(found["production_status"]),
        rehearsals_allowed=bool(found["rehearsals_allowed"]),
    )


def groups_of(playbook: Path) -> list[str]:
    """The groups, or hosts, that a playbook's plays are for, but localhost."""
    plays = yaml.safe_load(documents.read_text(playbook))
    return [group for group in dict.fromkeys(play["hosts"] for play in plays) if group != "localhost"]


def check_groups(inventory: Path, known: InventoryFacts, playbooks: list[str]) -> None:
    """Refuse an inventory in which a playbook of the process would find no host. Raises BadInputError."""
    missing = []
    for name in playbooks:
        path = ROOT / "playbooks" / f"{name}.yml"
        for number, play in enumerate(yaml.safe_load(documents.read_text(path))):
            group = play["hosts"]
            if group != "localhost" and not known.groups.get(group):
                where = f"playbooks/{name}.yml:{documents.line_of(path, (number, 'hosts'))}"
                missing.append(f"  {inventory / 'hosts.yml'}: expected a group `{group}` with a host; {where} needs it")
    if missing:
        lines = [f"E-bad-inventory  {inventory} lacks hosts; nothing was touched.", *dict.fromkeys(missing)]
        raise BadInputError("\n".join(lines))
