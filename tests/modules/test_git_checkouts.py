"""Trees of git: nothing of a repository runs on the host, and what git alone would not bring whole is refused (R18)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees, git_branches, ssh_hosts
from tests.modules.app_trees import Sample

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return app_trees.sample("git", tmp_path)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "r4"


@pytest.fixture
def tree(run_module: Call, sample: Sample, dest: Path, tmp_path: Path) -> Call:
    """`tree(number=4, **arguments that differ)` calls the module."""

    def call(number: int | None = 4, **different: Any) -> dict[str, Any]:
        given = {"dest": str(dest), **(sample.options(number) if number else {}), **different}
        return run_module("app_tree", given, env={"HOME": str(tmp_path)})

    return call


def test_hooks_and_filters_of_a_tree_do_not_run(tree: Call, dest: Path, sample: Sample, tmp_path: Path) -> None:
    tree(2)
    ran = tmp_path / "ran"
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        hook = dest / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    git_branches.git(dest, "config", "core.hooksPath", str(dest / ".git/hooks"))
    git_branches.git(dest, "config", "core.autocrlf", "true")
    assert tree(4)["changed"]
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
    assert not ran.exists()


@pytest.mark.parametrize("with_lfs", [True, False])
def test_what_git_would_bring_in_part_is_refused(tree: Call, dest: Path, sample: Sample, with_lfs: bool) -> None:
    there = sample.site.db_stable
    if with_lfs:
        sample.commit({"images/.gitattributes": "# big ones\n*.png filter=lfs diff=lfs merge=lfs -text\n"})
    else:
        entry = f"160000,{sample.revision(1)},vendor/lib"
        git_branches.git(there, "update-index", "--add", "--cacheinfo", entry)
        git_branches.git(there, "commit", "-q", "-m", "[r=stub] A submodule.")
    refused = tree(5)
    assert refused["msg"].startswith("E-tree-not-whole ")
    assert ("images/.gitattributes" if with_lfs else "vendor/lib is a submodule") in refused["msg"]
    assert not dest.exists()


def test_a_clone_that_people_made_becomes_exact(tree: Call, dest: Path, sample: Sample) -> None:
    dest.parent.mkdir()
    git_branches.branch(sample.site.db_stable, dest)
    (dest / "lib/lp/app.py").write_text("staged\n")
    (dest / "new.py").write_text("staged too\n")
    git_branches.git(dest, "add", "-A")
    done = tree(3, clean=True)
    assert {entry["path"] for entry in done["reverted"]} == {"lib/lp/app.py", "new.py"}
    assert git_branches.status(dest) == ""
    assert git_branches.tip(dest) == (3, sample.revision(3))


def test_nobody_s_garbage_collection_takes_a_tree_s_objects(tree: Call, dest: Path, sample: Sample) -> None:
    options = sample.options()
    tree()
    git_branches.git(sample.site.db_stable, "reset", "-q", "--hard", sample.revision(2))
    tree(2, dest=str(dest.with_name("r2")))
    git_branches.git(dest.parent / ".store.git", "gc", "-q", "--prune=now")
    assert not tree(None, **options, clean=True)["changed"]


@pytest.mark.skipif(ssh_hosts.possible() is not None, reason=f"left out: {ssh_hosts.possible()}")
def test_a_host_whose_key_is_not_known_is_not_believed(tree: Call, dest: Path, tmp_path: Path) -> None:
    host = ssh_hosts.SshHost(tmp_path / "ssh")
    host.start()
    try:
        refused = tree(branch=f"ssh://{ssh_hosts.OPS}@127.0.0.1:{host.port}/srv/app#main")
    finally:
        host.stop()
    assert "Host key verification failed" in refused["msg"]
    assert not dest.exists()
