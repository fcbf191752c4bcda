"""Each host can be looked at, as `verify` will after the window: it answers, and has the programs that are asked."""

from __future__ import annotations

import pytest

from tests.verify.ansible_hosts import site

testinfra_hosts = ["ansible://app", "ansible://database", "ansible://services"]


@pytest.fixture
def programs(name, variable) -> list[str]:
    """What the tests of its groups call there."""
    clients = ["psql"] if name in site().hosts("database") else []
    trees = [variable("app_tree_brz_executable") or "brz"] if name in site().hosts("app") else []
    return [*clients, *trees]


def test_it_has_what_is_asked_there(host, name, programs):
    missing = [program for program in programs if host.run("command -v %s", program).rc]
    assert not missing, f"{name} has no {', '.join(missing)} for {host.check_output('id -un')}"
