"""Each host can be looked at, as `verify` will after the window: it answers, and has the programs that are asked."""

from __future__ import annotations

import pytest

from tests.verify.ansible_hosts import site

testinfra_hosts = ["ansible://app", "ansible://database", "ansible://services"]
TREES = {"bzr": ["brz", "bzr"], "git": ["git"], "archive": [], "command": []}  # by kind, any of these will do


@pytest.fixture
def programs(name, variable) -> list[list[str]]:
    """What the tests of its groups call there, each with what would do as well."""
    trees = [variable("app_tree_executable")] if variable("app_tree_executable") else TREES[_kind(variable)]
    needed = [["psql"] if name in site().hosts("database") else [], trees if name in site().hosts("app") else []]
    return [each for each in needed if each]


def _kind(variable) -> str:
    return variable("app_tree_kind") or "bzr"


def test_it_has_what_is_asked_there(host, name, programs):
    missing = [" or ".join(each) for each in programs if all(host.run("command -v %s", one).rc for one in each)]
    assert not missing, f"{name} has no {', '.join(missing)} for {host.check_output('id -un')}"
