"""Playbooks by hand, with the real ansible-playbook: what would leave parts of one out is refused at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.modules.playing import ROOT, Played, play

GROUPS = ("app", "database", "merge", "qastaging", "rc_mode", "services")
BESIDE = ROOT / "playbooks" / "callback_plugins" / "whole_playbook.py"


def refused(played: Played) -> bool:
    """Whether it ended with that message before any play, and without a trace of Python."""
    begun = "PLAY [" in played.output or "TASK [" in played.output
    return played.code == 2 and "E-not-whole  " in played.output and not begun and "Traceback" not in played.output


@pytest.mark.parametrize("playbook", ["outage", "rc_mode_enter", "partial_downtime"])
@pytest.mark.parametrize("options", [["--tags", "deploy"], ["--skip-tags", "always"]], ids=" ".join)
def test_tags_are_refused(playbook: str, options: list[str], tmp_path: Path) -> None:
    plan = {"rollout": {"id": "2026-12", "playbook": "inventories/lab/playbooks/reindex.yml", "pinned": {}}}
    assert refused(play(playbook, tmp_path, GROUPS, plan, *options))


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--start-at-task", "Resume the services"], {}),
        (["--step"], {}),
        (["--limit", "merge"], {}),
        ([], {"ANSIBLE_RUN_TAGS": "deploy", "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.tree"}),
        ([], {"ANSIBLE_SKIP_TAGS": "always"}),
        ([], {"ANSIBLE_STRATEGY": "free"}),
        ([], {"ANSIBLE_CONFIG": "/nonexistent/ansible.cfg", "ANSIBLE_RUN_TAGS": "deploy"}),
    ],
    ids=str,
)
def test_so_is_whatever_else_leaves_out_a_part(options: list[str], env: dict[str, str], tmp_path: Path) -> None:
    assert refused(play("services_resume", tmp_path, GROUPS, {"rollout": {"id": "2026-12"}}, *options, **env))


def test_a_limit_that_leaves_one_play_without_hosts_is_refused_before_the_first(tmp_path: Path) -> None:
    played = play("rc_mode_enter", tmp_path, GROUPS, {"rollout": {"id": "2026-12"}}, "--limit", "rc_mode")
    assert refused(played)
    assert "is for localhost, and --limit leaves it no host" in played.output


def test_a_group_without_hosts_is_refused(tmp_path: Path) -> None:
    played = play("services_resume", tmp_path, ["database"], {"rollout": {"id": "2026-12"}})
    assert refused(played)
    assert "is for services, and the inventory has no such host" in played.output


def test_what_is_played_whole_is_played(tmp_path: Path) -> None:
    stops = {"rollout": {"id": "2026-12"}, "stop_run": "2026-12/0001-nothing-1"}
    played = play("stop", tmp_path, GROUPS, stops, "--limit", "app")
    assert (played.code, played.told["answer"]) == (0, "stopped")


def test_every_playbook_has_it_beside_it() -> None:
    """Ansible loads the callbacks that stand beside a playbook, and those alone whatever its settings are."""
    found = [path for path in (ROOT / "playbooks").rglob("*.yml") if path.parent != BESIDE.parents[1]]
    assert (BESIDE.is_file(), found) == (True, [])
