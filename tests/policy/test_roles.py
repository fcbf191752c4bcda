"""Every role keeps the policy of roles.py; each check is shown a role that it must not let pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .roles import ROLE_CHECKS, Role, all_roles, callers, entry_points_are_used, includes_exist
from .source import Source, stands

ROLES = all_roles()
CHECKS = {check.__name__: check for check in ROLE_CHECKS}
BROKEN = yaml.safe_load((Path(__file__).parent / "broken/roles.yml").read_text(encoding="utf-8"))
BROKEN_INCLUDES = yaml.safe_load((Path(__file__).parent / "broken/includes.yml").read_text(encoding="utf-8"))
SOUND = {
    "meta/argument_specs.yml": """\
argument_specs:
  merge:
    short_description: Merge the pinned revision
    options:
      # what the plan pinned
      pqm_revision:
        type: int
        description: Revision of db-stable.
        default: "{{ rollout.pinned.revision }}"
""",
    "meta/main.yml": """\
galaxy_info: {author: We, description: PQM, license: MIT, min_ansible_version: "2.19"}
dependencies: []
""",
    "defaults/main.yml": 'pqm_revision: "{{ rollout.pinned.revision }}"\n',
    "tasks/merge.yml": """\
- name: Merge
  bzr_merge: {revision: "{{ pqm_revision }}", from: "pqm_not_a_variable"}
  register: __pqm_merge
  vars: {ansible_ssh_retries: 3}
  when: pqm_revision | string != 'pqm_neither'
- name: Say it
  ansible.builtin.include_tasks: _say.yml
""",
    "tasks/_say.yml": "[]\n",
}


def pqm(changes: dict[str, str | None]) -> Role:
    texts = {**SOUND, **changes}
    return Role(
        "pqm", {path: Source.parse(f"roles/pqm/{path}", text) for path, text in texts.items() if text is not None}
    )


@pytest.mark.parametrize("check", ROLE_CHECKS, ids=CHECKS)
def test_roles(check):
    stands(finding for role in ROLES.values() for finding in check(role))


def test_includes_exist():
    stands(finding for source in callers() for finding in includes_exist(source, ROLES))


def test_entry_points_are_used():
    assert ROLES
    stands(entry_points_are_used(ROLES, callers()))


@pytest.mark.parametrize("sample", BROKEN, ids=lambda sample: f"{sample['check']}-{sample['at']}")
def test_check_catches(sample):
    found = [
        f"{finding.path.removeprefix('roles/pqm/')}:{finding.line}"
        for finding in CHECKS[sample["check"]](pqm(sample["files"]))
    ]
    assert found == [sample["at"]]


def test_every_check_has_a_sample():
    assert {sample["check"] for sample in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("check", ROLE_CHECKS, ids=CHECKS)
def test_check_lets_a_sound_role_pass(check):
    stands(check(pqm({})))


@pytest.mark.parametrize("sample", BROKEN_INCLUDES, ids=lambda sample: sample["says"])
def test_includes_check_catches(sample):
    source = Source.parse("roles/pqm/tasks/merge.yml", sample["text"])
    (finding,) = includes_exist(source, {"pqm": pqm({})})
    assert finding.line == sample["line"]
    assert sample["says"] in finding.problem


def test_includes_check_lets_sound_includes_pass():
    playbook = Source.parse(
        "playbooks/merge.yml",
        "- name: Merge\n"
        "  ansible.builtin.include_role: {name: pqm, tasks_from: merge}\n"
        "  vars: {pqm_revision: 10381}\n",
    )
    role = pqm({})
    stands(includes_exist(playbook, {"pqm": role}))
    stands(includes_exist(role.files["tasks/merge.yml"], {"pqm": role}))


def test_use_check_catches_an_entry_point_that_nobody_uses():
    (finding,) = entry_points_are_used({"pqm": pqm({})}, [])
    assert (finding.path, finding.line) == ("roles/pqm/meta/argument_specs.yml", 2)
