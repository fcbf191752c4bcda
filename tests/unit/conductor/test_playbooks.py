"""Playbooks by themselves: the scripted runner tells what ansible-runner does, and what only that can tell is heard."""

from __future__ import annotations

import signal
import sys
import threading

import pytest
import yaml

from rollout import ROOT
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
    assert (run.ok, run.stats["irreversible"]) == (False, True), "what was reported before it is known"
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


WORK = {"name": "Work", "ansible.builtin.command": {"argv": ["true"]}}
NOTHING = {
    "tags": ({**WORK, "tags": ["never", "reindex"]}, "any host"),
    "when": ({**WORK, "when": False}, "any host"),
    "a loop over nothing": ({**WORK, "loop": []}, "any host"),
    "tasks of another file": ({"name": "Work", "ansible.builtin.include_tasks": "nothing.yml"}, "any host"),
    "the end of a play": ({"name": "End", "ansible.builtin.meta": "end_play"}, "any host"),
    "one of two hosts": ({**WORK, "when": "inventory_hostname == 'localhost'"}, "second"),
}
REPORT = {"name": "Report", "ansible.builtin.set_stats": {"data": {"evidence": ["done"]}, "per_host": False}}


def write_plays(site, *plays):
    hosts = yaml.safe_load((site.directory / "hosts.yml").read_text())
    hosts["all"]["hosts"]["second"] = hosts["all"]["hosts"]["localhost"]
    hosts["all"]["children"] = {"both": {"hosts": {"localhost": {}, "second": {}}}, "empty": {}}
    (site.directory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (site.directory / "playbooks" / "nothing.yml").write_text(yaml.safe_dump([NOTHING["when"][0]]))
    written = [{"name": name, "hosts": on, "gather_facts": False, "tasks": tasks} for name, on, tasks in plays]
    (site.directory / "playbooks" / "work.yml").write_text(yaml.safe_dump(written))


@pytest.mark.real_playbooks
@pytest.mark.parametrize(("task", "host"), NOTHING.values(), ids=NOTHING)
def test_a_playbook_in_which_nothing_ran_is_no_success(site, task, host):
    write_plays(site, ("WORK: on both", "both", [task]), ("TELL: it", "localhost", [REPORT]))
    run, _ = site.run_playbook("work")
    assert (run.ok, run.failures) == (False, [])
    assert run.message.startswith("E-nothing-ran  playbooks/work.yml ended without an error")
    assert f'  "WORK: on both" ran no task on {host}\n' in run.message
    assert "--list-tasks" in run.message


@pytest.mark.real_playbooks
def test_a_play_without_hosts_is_no_success(site):
    write_plays(site, ("WORK: on both", "both", [WORK, REPORT]), ("WORK: on none", "empty", [WORK]))
    run, _ = site.run_playbook("work")
    assert not run.ok
    assert '  "WORK: on none" ran no task on any host\n' in run.message


@pytest.mark.real_playbooks
def test_tags_of_the_environment_are_no_success_and_what_says_nothing_is_none(site, monkeypatch):
    run, _ = site.run_playbook("prepare")
    assert run.ok, run.message
    write_plays(site, ("WORK: on both", "both", [WORK]))
    run, _ = site.run_playbook("work")
    assert (run.ok, "`evidence` was not reported" in run.message) == (False, True)
    monkeypatch.setenv("ANSIBLE_RUN_TAGS", "deploy")  # as if nobody had taken it out of the environment
    run, heard = site.run_playbook("prepare")
    assert (run.ok, heard, run.stats) == (False, [], {})
    assert run.message.startswith("E-nothing-ran  ")


@pytest.mark.real_playbooks
def test_why_a_playbook_is_not_played_is_said(site, monkeypatch):
    beside = "playbooks/callback_plugins"
    (site.directory / beside).symlink_to(ROOT / beside)
    monkeypatch.setenv("ANSIBLE_RUN_TAGS", "deploy")
    run, heard = site.run_playbook("prepare")
    assert (run.ok, heard, site.ran) == (False, [], [])
    assert run.message.splitlines()[0].startswith("E-not-whole  ")
    assert "leave out:  --tags deploy" in run.message.splitlines()[1]


@pytest.mark.real_playbooks
def test_what_one_host_does_for_all_is_done(site):
    write_plays(site, ("WORK: for both", "both", [{**WORK, "run_once": True}, {**REPORT, "run_once": True}]))
    run, _ = site.run_playbook("work")
    assert run.ok, run.message


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
