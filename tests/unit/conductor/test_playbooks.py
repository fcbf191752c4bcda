"""Playbooks by themselves: the scripted runner tells what ansible-runner does, and what only that can tell is heard."""

from __future__ import annotations

import signal
import sys
import threading

import pytest
import yaml

from tests.unit.conductor.test_watchdog import what_hangs

both = pytest.mark.parametrize(
    "by", ["scripted", pytest.param("real", marks=pytest.mark.real_playbooks)], ids=lambda by: by
)


def heard_of(*tasks):
    return [("task", task, "localhost") for task in tasks]


@both
def test_what_a_playbook_reports(site, by):
    run, heard = site.run_playbook("prepare")
    assert (run.ok, run.stats, run.failures) == (True, site.reports["prepare"], [])
    assert heard == heard_of("Note that it ran", "Report")
    assert site.ran == ["prepare"]


@both
def test_a_playbook_that_fails_says_which_task_and_why(site, by):
    site.playbooks(failing=["change"])
    run, heard = site.run_playbook("change")
    assert (run.ok, run.stats) == (False, {"irreversible": True}), "what was reported before it is known"
    assert [(failed.host, failed.task, failed.unreachable) for failed in run.failures] == [("localhost", "Fail", False)]
    assert run.message.startswith("E-told-to  change was told to fail.\n  Ansible's output:  ")
    assert heard == heard_of("Note that it ran", "Report", "Fail")


@both
def test_a_process_that_is_killed_fails_its_task(site, by):
    site.playbooks(hanging=["close"])
    killer = threading.Thread(target=lambda: what_hangs(site).kill())
    killer.start()
    run, heard = site.run_playbook("close")
    killer.join()
    assert (run.ok, run.message.partition("\n  Ansible")[0]) == (
        False,
        "E-task-failed  localhost: Hang\n  non-zero return code",
    )
    assert run.failed_with("rc") == -signal.SIGKILL
    assert heard == heard_of("Note that it ran", "Hang")


@both
def test_a_cancelled_playbook_is_no_success(site, by):
    site.playbooks(hanging=["close"])
    seen = []

    def hangs():
        seen[:] = seen or [process for process in site.survivors() if process.cmdline()[1:2] == ["-c"]]
        return bool(seen)

    run, _ = site.run_playbook("close", cancelled=hangs)
    for process in seen:  # of a session of its own: it may outlive ansible-playbook
        process.kill() if process.is_running() else None
    assert (run.ok, run.failures) == (False, [])
    assert run.message.startswith("E-playbook-failed ")


TELLS = """#!/usr/bin/python
import json
print(json.dumps({"changed": False, "progress": {"steps": 3}}))
"""
PLAY = [
    {
        "name": "Everything else",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"name": "Tell", "tells": None},
            {"name": "Pass over", "ansible.builtin.fail": {"msg": "no matter"}, "ignore_errors": True},
        ],
    }
]


@pytest.mark.real_playbooks
def test_progress_is_heard_a_failure_that_is_ignored_is_none_and_who_cannot_be_reached_is_named(site):
    hosts = yaml.safe_load((site.directory / "hosts.yml").read_text())
    hosts["all"]["hosts"]["far"] = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_connection": "ssh"}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (site.directory / "playbooks" / "library").mkdir()
    (site.directory / "playbooks" / "library" / "tells.py").write_text(TELLS.replace("/usr/bin/python", sys.executable))
    (site.directory / "playbooks" / "everything.yml").write_text(yaml.safe_dump(PLAY))
    run, heard = site.run_playbook("everything")
    assert not run.ok
    ((failed, message),) = [(failed, failed.message) for failed in run.failures]
    assert (failed.host, failed.task, failed.unreachable) == ("far", "Tell", True)
    assert message.startswith("E-unreachable  far does not answer: ")
    assert {"steps": 3} in heard
    assert ("task", "Pass over", "localhost") in heard
