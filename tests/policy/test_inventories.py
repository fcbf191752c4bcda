"""Every inventory parses, has the hosts that playbooks name, the same policy keys, and variables that a role knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from .plays import plays_of
from .roles import EXTRA_VARS, Role, all_roles, callers
from .source import ROOT, Finding, Located, Source, module_of, playbooks, role_of, short, stands, tasks_of

INVENTORIES = sorted(path for path in (ROOT / "inventories").iterdir() if path.is_dir())
ROLES = all_roles()


def name(path: Path) -> str:
    return path.name


def group_vars(inventory: Path, root: Path = ROOT) -> list[Source]:
    files = [*(inventory / "group_vars").rglob("*.yml"), *(inventory / "host_vars").rglob("*.yml")]
    return [Source.read(path, root) for path in sorted(files)]


def keys(value: Any, prefix: str = "") -> set[str]:
    """Every key of nested mappings, as `database_time.factor`."""
    if not isinstance(value, dict):
        return set()
    return {prefix + key for key in value} | {found for key in value for found in keys(value[key], f"{prefix}{key}.")}


def policies_agree(policies: dict[str, Source]) -> Iterator[Finding]:
    """The same numbers are asked of every inventory: what one leaves out, the process cannot know there."""
    asked = {path: keys(source.document) for path, source in policies.items()}
    every = set().union(*asked.values())
    for path, source in policies.items():
        for missing in sorted(every - asked[path]):
            others = ", ".join(other for other, found in asked.items() if missing in found)
            yield source.finding(1, f"no {missing}", f"Add it, as in {others}.")


def variables_are_known(source: Source, roles: dict[str, Role]) -> Iterator[Finding]:
    """A variable of an inventory that begins like a role's is an option of that role: a typing mistake is silent."""
    options = {
        option for role in roles.values() for spec in role.specs.values() for option in spec.get("options") or ()
    }
    document = source.document or Located()
    for variable in document:
        owners = [role for role in roles if variable.startswith(f"{role}_")]
        if owners and variable not in options:
            problem = f"{variable} is no option of role {owners[0]}"
            yield source.finding(
                document.line_of(variable), problem, "Mend the name, or add the option to its argument spec."
            )


def required_options_are_given(source: Source, roles: dict[str, Role], given: set[str]) -> Iterator[Finding]:
    """What an entry point requires is set by the inventory or by the one who includes it."""
    for task in tasks_of(source.document):
        if short(module_of(task)) != "include_role":
            continue
        name, entry = role_of(task)
        role = roles.get(name)
        options = (role.specs.get(entry, Located()).get("options") or {}) if role else {}
        for option, spec in options.items():
            if spec.get("required") and option not in {*given, *EXTRA_VARS, *(task.get("vars") or ())}:
                remedy = "Set it in the inventory's group_vars, or give it in `vars` here."
                yield source.finding(task.line, f"{role.name}: {entry} requires {option}", remedy)


def hosts_of(listed: dict[str, Any], group: str) -> list[str]:
    """The hosts of a group, and of the groups in it."""
    found = listed.get(group, {})
    return [*found.get("hosts", ()), *(host for child in found.get("children", ()) for host in hosts_of(listed, child))]


@cache
def listing(inventory: Path) -> dict[str, Any]:
    tool = Path(sys.executable).parent / "ansible-inventory"
    environment = {
        **os.environ,
        "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    }
    command = [str(tool), "-i", str(inventory), "--list"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


@pytest.mark.parametrize("inventory", INVENTORIES, ids=name)
def test_inventory_has_the_hosts_of_every_play(inventory):
    listed = listing(inventory)
    groups = {group: hosts for group in listed if (hosts := hosts_of(listed, group))}
    known = {"all", *groups, *listed["_meta"]["hostvars"], *(host for hosts in groups.values() for host in hosts)}
    stands(
        playbook.finding(play.line_of("hosts"), f"inventory {inventory.name} has no {play['hosts']}", "Add the group.")
        for playbook in playbooks()
        for play in plays_of(playbook)
        if play["hosts"].partition(":")[0] not in known
    )


@pytest.mark.parametrize("inventory", INVENTORIES, ids=name)
def test_hosts_name_their_python(inventory):
    without = [
        host
        for host, found in listing(inventory)["_meta"]["hostvars"].items()
        if "ansible_python_interpreter" not in found
    ]
    assert not without, (
        f"{inventory.name}: set ansible_python_interpreter for {', '.join(without)}: discovery picks shims"
    )


def test_policies_agree():
    stands(policies_agree({i.name: Source.read(i / "group_vars/all/policy.yml") for i in INVENTORIES}))


def test_variables_are_known():
    sources = [source for inventory in INVENTORIES for source in group_vars(inventory)]
    assert sources
    stands(finding for source in sources for finding in variables_are_known(source, ROLES))


@pytest.mark.parametrize("inventory", INVENTORIES, ids=name)
def test_required_options_are_given(inventory):
    given = {variable for found in group_vars(inventory) for variable in found.document or ()}
    stands(finding for source in callers() for finding in required_options_are_given(source, ROLES, given))


def test_there_are_two_inventories():
    assert {inventory.name for inventory in INVENTORIES} >= {"lab", "production"}


SPEC = """\
argument_specs:
  outage:
    options:
      database_dsn: {type: str, required: true}
"""
DATABASE = Role("database", {"meta/argument_specs.yml": Source.parse("roles/database/meta/argument_specs.yml", SPEC)})


def test_policy_check_catches_a_missing_number():
    lab = Source.parse("lab/policy.yml", "policy: {window_minutes: 90, database_time: {factor: 2}}")
    production = Source.parse("production/policy.yml", "policy: {window_minutes: 90, database_time: {}}")
    (finding,) = policies_agree({"lab": lab, "production": production})
    assert str(finding).startswith("production/policy.yml:1  no policy.database_time.factor\n    Add it, as in lab.")


def test_variable_check_catches_a_typing_mistake():
    source = Source.parse("group_vars/database.yml", "database_dsn: host=x\ndatabase_dns: host=x\nother: 1\n")
    (finding,) = variables_are_known(source, {"database": DATABASE})
    assert (finding.line, finding.problem) == (2, "database_dns is no option of role database")


def test_required_check_catches_what_nobody_sets():
    text = "- name: Patch\n  ansible.builtin.include_role: {name: database, tasks_from: outage}\n"
    source = Source.parse("playbooks/outage.yml", text)
    (finding,) = required_options_are_given(source, {"database": DATABASE}, set())
    assert (finding.line, finding.problem) == (1, "database: outage requires database_dsn")
    stands(required_options_are_given(source, {"database": DATABASE}, {"database_dsn"}))


def test_policy_keys_are_found_at_every_depth():
    assert keys(yaml.safe_load("{a: {b: {c: 1}, d: 2}}")) == {"a", "a.b", "a.b.c", "a.d"}
