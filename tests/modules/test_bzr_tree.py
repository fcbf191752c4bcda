"""Module bzr_tree on real branches with the real client: a tree that is exactly one revision (R12, R18)."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import both_branches, bzr_branches
from tests.modules.both_branches import Site
from tests.modules.bzr_branches import BRZ


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return both_branches.site(bzr_branches, tmp_path / "site")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "r4"


@pytest.fixture
def arguments(site: Site, dest: Path) -> dict[str, Any]:
    revid = bzr_branches.tip(site.db_stable)[1]
    return {"dest": str(dest), "branch": str(site.db_stable), "revid": revid, "brz_executable": BRZ}


@pytest.fixture
def tree(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`tree(check=False, **arguments that differ)` calls the module."""

    def call(check: bool = False, **different: Any) -> dict[str, Any]:
        given = {**arguments, **different}
        if "revno" in different:
            del given["revid"]
        return run_module("bzr_tree", given, check, diff=True, env={"HOME": str(tmp_path)})

    return call


def revisions_beside(dest: Path) -> bool:
    """Whether the tree has a repository of its own, instead of sharing the one above it."""
    return (dest / ".bzr" / "repository").exists()


def test_a_new_tree(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    assert tree(check=True)["changed"]
    assert not dest.exists()
    made = tree()
    assert made["changed"]
    assert (made["revno"], made["revid"]) == (4, bzr_branches.tip(site.db_stable)[1])
    assert made["previous"] is None
    assert bzr_branches.contents(dest) == bzr_branches.contents(site.db_stable)
    assert not tree()["changed"]


def test_an_older_revision_by_number(tree: Callable[..., dict[str, Any]], dest: Path) -> None:
    assert tree(revno=2)["changed"]
    assert "two of db-stable" not in (dest / "lib/lp/app.py").read_text()
    assert not (dest / "database/schema/patch-2208-31-0.sql").exists()
    assert not tree(revno=2)["changed"]


def test_trees_share_a_repository(tree: Callable[..., dict[str, Any]], dest: Path) -> None:
    shared = {"shared_repository": str(dest.parent)}
    tree(**shared)
    other = str(dest.with_name("r2"))
    assert tree(dest=other, revno=2, **shared)["revno"] == 2
    assert not revisions_beside(dest)
    assert not revisions_beside(Path(other))
    assert not tree(**shared)["changed"]


def test_a_refresh_forwards_and_backwards(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    tree(revno=2)
    refreshed = tree()
    assert refreshed["changed"]
    assert refreshed["previous"]["revno"] == 2
    assert bzr_branches.contents(dest) == bzr_branches.contents(site.db_stable)
    assert tree(revno=3)["previous"]["revno"] == 4
    assert not tree(revno=3)["changed"]


def test_local_changes_are_reverted_and_told(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    tree()
    (dest / "lib/lp/app.py").write_text("a cowboy\n")
    (dest / "README").unlink()
    (dest / "note").write_text("unknown\n")
    foretold = tree(check=True)
    assert foretold["changed"]
    assert (dest / "note").exists()
    done = tree()
    lost = [(entry["change"], entry["path"]) for entry in done["reverted"]]
    assert lost == [("removed", "README"), ("modified", "lib/lp/app.py")]
    assert "modified lib/lp/app.py\n" in done["diff"]["before"]
    assert {**foretold, "diff": None} == {**done, "diff": None}
    assert (dest / "note").read_text() == "unknown\n"
    assert (dest / "lib/lp/app.py.~1~").read_text() == "a cowboy\n"  # nobody's work is lost on qastaging
    assert not tree()["changed"]


def test_clean_leaves_nothing_else(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    tree(clean=True)
    (dest / "lib/lp/app.py").write_text("a cowboy\n")
    (dest / "docroot").mkdir()
    (dest / "docroot/left.css").write_text("unknown\n")
    done = tree(clean=True)
    assert done["removed"] == ["docroot/"]
    assert bzr_branches.contents(dest) == bzr_branches.contents(site.db_stable)
    assert not tree(clean=True)["changed"]


def test_a_refresh_past_files_that_are_in_its_way(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    tree(revno=1)
    (dest / "database/schema/patch-2208-30-0.sql").write_text("in the way of revision 2\n")
    assert tree(clean=True)["changed"]
    assert bzr_branches.contents(dest) == bzr_branches.contents(site.db_stable)


def test_a_directory_that_goes_with_ignored_files_in_it(
    tree: Callable[..., dict[str, Any]], dest: Path, site: Site
) -> None:
    tree(revno=4)
    (dest / "database/schema/cache.pyc").write_text("compiled\n")
    gone = {path: None for path in bzr_branches.contents(site.db_stable) if path.startswith("database/")}
    bzr_branches.commit(site.db_stable, gone, "[r=stub] No database.")
    assert tree(revno=5)["changed"]
    assert not tree(revno=5)["changed"]


def test_an_interrupted_branch_is_no_tree_and_is_swept_up(
    start_module: Callable[..., Any],
    tree: Callable[..., dict[str, Any]],
    arguments: dict[str, Any],
    dest: Path,
    tmp_path: Path,
) -> None:
    client = tmp_path / "killed-brz"
    client.write_text(f'#!/bin/sh\n{BRZ} "$@"\ncase " $* " in *" branch "*) kill -9 $PPID;; esac\n')
    client.chmod(0o755)
    started = start_module("bzr_tree", {**arguments, "brz_executable": str(client)}, env={"HOME": str(tmp_path)})
    assert started.process.wait(60) == -signal.SIGKILL
    assert not dest.exists()
    assert tree()["changed"]
    assert [path.name for path in dest.parent.iterdir()] == [dest.name]


def test_a_pull_that_was_interrupted_is_finished(tree: Callable[..., dict[str, Any]], dest: Path, site: Site) -> None:
    tree(revno=2)
    bzr_branches.move_branch_only(dest, site.db_stable)
    assert bzr_branches.tip(dest) == bzr_branches.tip(site.db_stable)
    assert tree()["changed"]
    assert bzr_branches.contents(dest) == bzr_branches.contents(site.db_stable)


def test_a_revision_that_the_branch_does_not_have(tree: Callable[..., dict[str, Any]], dest: Path) -> None:
    refused = tree(revid="somebody@else-1")
    assert refused["msg"].startswith("E-no-such-revision ")
    assert "its tip is 4." in refused["msg"]
    assert not dest.exists()


def test_something_else_at_dest_is_left_alone(tree: Callable[..., dict[str, Any]], dest: Path) -> None:
    dest.mkdir(parents=True)
    (dest / "precious").write_text("not a tree\n")
    assert tree()["msg"].startswith("E-no-tree ")
    assert (dest / "precious").exists()


def test_a_tree_at_its_revision_needs_no_branch(tree: Callable[..., dict[str, Any]], site: Site) -> None:
    tree()
    site.db_stable.rename(site.db_stable.with_name("gone"))
    assert not tree()["changed"]
