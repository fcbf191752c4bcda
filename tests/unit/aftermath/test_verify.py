"""What testinfra finds, host by host: read from pytest's report, and looked at for real where nobody answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rollout import ROOT
from rollout.engine.verification import NO_TEST, HostState, complete, read, verify, wanted


def test_what_passed_and_what_failed_of_each_host():
    assert read(Path(__file__).with_name("junit.xml")) == {
        "gac": HostState(1, ["test_c: limit 0"]),
        "wildcherry": HostState(2, []),
        "soybean": HostState(0, ['soybean does not answer: "refused" (2 tests)']),
        "prae": HostState(0, ["test_d: no reason given"]),
    }


def test_a_host_on_which_nothing_passed_has_failed():
    found = {"gac": HostState(3), "soybean": HostState(0), "prae": HostState(0, ["test_d: closed"])}
    assert complete(found, {"gac", "wildcherry"}) == {
        "gac": HostState(3),
        "soybean": HostState(0, [NO_TEST]),
        "prae": HostState(0, ["test_d: closed"]),
        "wildcherry": HostState(0, [NO_TEST]),
    }


def test_every_host_of_the_groups_that_tests_name_is_to_be_looked_at():
    assert wanted(ROOT / "inventories/production") == {"gac", "soybean", "wildcherry"}


def test_a_group_without_hosts_is_not_well(rollout):
    hosts = yaml.safe_load((rollout / "site/hosts.yml").read_text())
    hosts["all"]["children"]["database"] = {"hosts": {}}
    (rollout / "site/hosts.yml").write_text(yaml.safe_dump(hosts))
    found = verify(rollout, rollout / "site", "as_before")
    assert not found.ok
    assert "no host of the inventory is in its group" in found.summary


@pytest.mark.parametrize("chosen", ["-k test_access_is_open", "--collect-only", "--deselect tests/verify"])
def test_tests_that_somebody_left_out_are_missed(rollout, monkeypatch, chosen):
    monkeypatch.setenv("PYTEST_ADDOPTS", chosen)  # as if nobody had taken it out of the environment
    found = verify(rollout, rollout / "site", "as_before")
    assert not found.ok
    assert "gac" in found.summary or found.summary.startswith("testinfra looked at no host: ")


@pytest.fixture
def rollout(tmp_path):
    """A rollout's directory, and an inventory whose hosts refuse every connection: nobody listens on port 1."""
    plan = {"id": "2026-12", "pinned": {}, "inventory": "x"}
    (tmp_path / "plan.yml").write_text(yaml.safe_dump({"rollout": plan}))
    nobody = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_python_interpreter": sys.executable}
    groups = {
        group: {"hosts": {host: {}}}
        for group, host in (("app", "gac"), ("services", "gac"), ("database", "wildcherry"))
    }
    (tmp_path / "site").mkdir()
    (tmp_path / "site/hosts.yml").write_text(yaml.safe_dump({"all": {"vars": nobody, "children": groups}}))
    return tmp_path


def test_hosts_that_do_not_answer_are_failures_with_a_reason(rollout):
    found = verify(rollout, rollout / "site", "as_before")
    assert (found.ok, found.summary) == (False, "not as expected: gac, wildcherry (0 tests passed)")
    for host, state in found.hosts.items():
        (reason,) = state.failed
        assert reason.startswith(f"{host} does not answer: ssh: connect to host 127.0.0.1 port 1: Connection refused")
    event = found.on_record("as_before")
    assert (event.outcome, event.hosts["gac"]["passed"]) == ("failed", 0)
    assert "Connection refused" in (rollout / "verify-as_before.txt").read_text()


def test_the_command_shows_pytests_own_words_and_ends_with_1(rollout):
    """The stage that looks at every host reads its last line, and the lines that name what failed."""
    shutil.copy(ROOT / "tests/unit/report/plan.yml", rollout / "plan.yml")
    command = ["./runbook.py", "verify", "-i", str(rollout / "site"), "--plan", str(rollout / "plan.yml")]
    wide = {**os.environ, "COLUMNS": "400"}
    seen = subprocess.run(command, cwd=ROOT, env=wide, capture_output=True, text=True, check=False)
    assert seen.returncode == 1, seen.stdout + seen.stderr
    assert re.fullmatch(r"=+ \d+ errors in [\d.]+s =+", seen.stdout.splitlines()[-1])
    named = [line for line in seen.stdout.splitlines() if line.startswith("ERROR ")]
    assert "test_access_is_open[ansible://wildcherry] - Failed: wildcherry does not answer: ssh" in "\n".join(named)


def test_no_host_at_all_is_not_well(rollout):
    found = verify(rollout, rollout / "nowhere")
    assert (found.ok, found.hosts) == (False, {})
    assert found.summary.startswith("testinfra looked at no host: No inventory was parsed")
