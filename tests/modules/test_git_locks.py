"""Locks that a killed git left: what is proven to be nobody's goes, all else is told, and no server is blamed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import git_branches
from tests.modules.both_branches import Site
from tests.modules.both_branches import site as new_site

LEFT = [
    "index.lock",
    "HEAD.lock",
    "ORIG_HEAD.lock",
    "refs/heads/devel.lock",
    "refs/rollout/target.lock",
    "refs/rollout/source.lock",
    "packed-refs.lock",
    "shallow.lock",
    "config.lock",
]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(git_branches, tmp_path / "site")


@pytest.fixture
def merge(run_module: Callable[..., dict[str, Any]], site: Site) -> Callable[..., dict[str, Any]]:
    """`merge()`: what the module answers that merges a revision of db-stable in PQM's clone."""
    arguments = {
        "vcs": "git",
        "executable": git_branches.client,
        "tree": str(site.pqm),
        "source": str(site.db_stable),
        "push_to": git_branches.at(site.devel),
        "revision": 4,
        "committer": "PQM <pqm@lab.example>",
    }
    return lambda: run_module("merge", arguments)


def lock(repository: Path, name: str) -> Path:
    left = repository / ".git" / name
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    return left


@pytest.mark.parametrize("name", LEFT)
def test_what_a_killed_git_left_in_the_clone_is_in_nobodys_way(
    site: Site, merge: Callable[..., dict[str, Any]], name: str
) -> None:
    lock(site.pqm, name)
    answer = merge()
    assert not answer["failed"], answer["msg"]
    assert answer["steps"][-1] == "push"


def test_all_of_them_at_once(site: Site, merge: Callable[..., dict[str, Any]]) -> None:
    for name in LEFT:
        lock(site.pqm, name)
    answer = merge()
    assert not answer["failed"], answer["msg"]


def test_a_lock_stays_while_a_git_is_at_work_there(site: Site, merge: Callable[..., dict[str, Any]]) -> None:
    left = lock(site.pqm, "refs/rollout/target.lock")
    os.utime(left, (left.stat().st_mtime - 7300,) * 2)
    at_work = [git_branches.client, "cat-file", "--batch"]
    with subprocess.Popen(at_work, cwd=site.pqm, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        answer = merge()
        process.kill()
    assert answer["failed"]
    assert left.exists()
    assert answer["msg"].startswith(f"E-locked  {left} is there for 2 h: a git that was killed left it, or one is at")
    assert answer["msg"].endswith(f"rm {left}")
    assert "ls-remote" not in answer["msg"]


def test_anothers_lock_is_told_not_removed(site: Site, merge: Callable[..., dict[str, Any]]) -> None:
    if os.geteuid() != 0:
        pytest.skip("left out: only root gives a file away")
    left = lock(site.pqm, "index.lock")
    os.chown(left, 4711, -1)
    answer = merge()
    assert answer["msg"].startswith(f"E-locked  {left} is there for ")
    assert left.exists()


def test_a_lock_in_the_branch_that_is_pushed_to_is_told(site: Site, merge: Callable[..., dict[str, Any]]) -> None:
    left = lock(site.devel, "refs/heads/devel.lock")
    answer = merge()
    assert answer["msg"].startswith("E-not-pushed ")
    assert f"{left} is there for " in answer["msg"].replace("/./", "/")
    assert left.exists()
