"""What a playbook's run leaves on this machine: records for us alone, and nothing of the environment that it had."""

import os
import stat

import pytest
import yaml

from rollout import private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(directory):
    return {str(path): oct(mode(path)) for path in (directory, *directory.rglob("*")) if mode(path) & 0o077}


@pytest.fixture
def for_us_alone():
    before = os.umask(private.UMASK)
    yield
    os.umask(before)


@pytest.mark.real_playbooks
def test_a_playbook_has_its_users_umask_and_leaves_no_environment(site, monkeypatch, for_us_alone):
    """What it makes here is for others as ever; Ansible's records are not, and have nothing of what it was told."""
    monkeypatch.setenv("ROLLOUT_SECRET", "S3CRET")
    monkeypatch.setenv(private.USERS_UMASK, "0022")
    task = {"name": "Make", "ansible.builtin.command": {"argv": ["mkdir", "{{ rollout_made }}"]}}
    report = {"name": "Report", "ansible.builtin.set_stats": {"data": {"evidence": ["made"]}}}
    play = {"name": "Make", "hosts": "localhost", "gather_facts": False, "tasks": [task, report]}
    (site.directory / "playbooks/make.yml").write_text(yaml.safe_dump([play]))
    run, _ = site.run_playbook("make", rollout_made=str(site.directory / "made"))
    assert run.ok, run.message
    assert mode(site.directory / "made") == 0o755
    assert open_to_others(site.directory / "ansible") == {}
    left = [path for path in (site.directory / "ansible").rglob("*") if path.is_file()]
    assert left
    assert [path for path in left if "S3CRET" in path.read_text()] == []


def test_what_a_killed_run_left_of_its_environment_goes_with_the_next(site):
    killed = site.directory / "ansible" / "0001-killed"
    killed.mkdir(parents=True)
    (killed / "command").write_text("{}")
    site.run_playbook("prepare")
    assert not (killed / "command").exists()


@pytest.mark.real_playbooks
def test_what_a_playbook_reports_is_plain(site):
    """Evidence is what hosts say: a patch's comment, a commit's author, a page."""
    told = {"evidence": ["pat\u202ech \x1b[2J\x9b1mwhat"], "facts": {"na\x07me": "two\nlines"}}
    play = {"name": "Tell", "hosts": "localhost", "gather_facts": False}
    says = {"name": "Tell", "ansible.builtin.set_stats": {"data": told, "per_host": False}}
    fails = {"name": "Fail \x1b[2J", "ansible.builtin.fail": {"msg": "E-x  \x1b]0;all is well\x07no\u2028"}}
    (site.directory / "playbooks/tell.yml").write_text(yaml.safe_dump([{**play, "tasks": [says, fails]}]))
    run, heard = site.run_playbook("tell")
    unseen = "\N{REPLACEMENT CHARACTER}"
    assert run.stats == {"evidence": [f"pat{unseen}ch what"], "facts": {f"na{unseen}me": "two\nlines"}}
    assert run.message.startswith(f"E-x  no{unseen}\n")
    assert ("task", "Fail ", "localhost") in heard
