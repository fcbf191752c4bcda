"""Module app_tree with real branches, clients and archives: a tree that is exactly one revision (R12, R18).

Every kind of tree keeps the same promises; what only one has comes last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees, bzr_branches
from tests.modules.app_trees import KINDS, Sample

Call = Callable[..., dict[str, Any]]
FULL_DISK = """
import ast, resource, sys
from pathlib import Path
from plugins.module_utils.rollout_host.trees import base, kinds
from plugins.module_utils.rollout_host.vcs.base import VcsError
kind, dest, client, options = ast.literal_eval(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
tree = kinds.ADAPTERS[kind](Path(dest), client)
tree.source = base.Source(**options)
try:
    tree.create(tree.wanted(None)[1])
except (VcsError, base.TreeError, OSError):
    print("refused")
"""


@pytest.fixture(params=KINDS)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    return app_trees.sample(request.param, tmp_path)


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "srv" / "r4"


@pytest.fixture
def tree(run_module: Call, sample: Sample, dest: Path, tmp_path: Path) -> Call:
    """`tree(number=4, check=False, **arguments that differ)` calls the module."""

    def call(number: int | None = 4, check: bool = False, **different: Any) -> dict[str, Any]:
        given = {"dest": str(dest), **(sample.options(number) if number else {}), **different}
        return run_module("app_tree", given, check, diff=True, env={"HOME": str(tmp_path)})

    return call


# -- every kind


def test_a_new_tree(tree: Call, dest: Path, sample: Sample) -> None:
    assert tree(check=True)["changed"]
    assert not dest.parent.exists() or not list(dest.parent.iterdir())
    made = tree()
    assert made["changed"], made
    assert (made["revno"], made["revid"], made["previous"]) == (4, sample.revision(4), None)
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
    assert not tree()["changed"]


def test_a_refresh_forwards_and_backwards(tree: Call, dest: Path, sample: Sample) -> None:
    tree(2)
    assert not (dest / "database/schema/patch-2208-31-0.sql").exists()
    refreshed = tree(4)
    assert refreshed["changed"]
    assert refreshed["previous"] == {"revno": 2, "revid": sample.revision(2)}
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
    assert tree(3)["previous"]["revno"] == 4
    assert not tree(3)["changed"]
    assert "two of db-stable" not in (dest / "lib/lp/app.py").read_text()


def test_local_changes_are_reverted_and_told(tree: Call, dest: Path) -> None:
    tree()
    (dest / "lib/lp/app.py").write_text("a cowboy\n")
    (dest / "README").unlink()
    (dest / "note").write_text("unknown\n")
    foretold = tree(check=True)
    assert foretold["changed"]
    done = tree()
    lost = {(entry["change"], entry["path"]) for entry in done["reverted"]}
    assert lost == {("removed", "README"), ("modified", "lib/lp/app.py")}
    assert "modified lib/lp/app.py\n" in done["diff"]["before"]
    assert {**foretold, "diff": None} == {**done, "diff": None}
    assert (dest / "note").read_text() == "unknown\n"
    assert (dest / "lib/lp/app.py.~1~").read_text() == "a cowboy\n"  # nobody's work is lost on qastaging
    assert not tree()["changed"]


def test_a_change_that_clients_do_not_see_is_seen(tree: Call, dest: Path, sample: Sample) -> None:
    """The same size and the same times as before: only the content tells."""
    if sample.kind == "bzr":
        pytest.skip("Bazaar believes size and times")
    tree(clean=True)
    changed = dest / "README"
    before = changed.stat()
    changed.write_text("X" + changed.read_text()[1:])
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [entry["path"] for entry in tree(check=True, clean=True)["reverted"]] == ["README"]
    assert tree(clean=True)["changed"]
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)


def test_clean_leaves_nothing_else(tree: Call, dest: Path, sample: Sample) -> None:
    tree(clean=True)
    (dest / "lib/lp/app.py").write_text("a cowboy\n")
    (dest / "docroot").mkdir()
    (dest / "docroot/left.css").write_text("unknown\n")
    done = tree(clean=True)
    assert done["removed"] == ["docroot/"]
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
    assert not tree(clean=True)["changed"]


def test_a_refresh_past_what_is_in_its_way(tree: Call, dest: Path, sample: Sample, tmp_path: Path) -> None:
    tree(1)
    (dest / "database/schema/patch-2208-30-0.sql").write_text("in the way of revision 2\n")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text("somebody's\n")
    if sample.kind != "bzr":  # which refuses that one
        (dest / "lib/lp/app.py").unlink()
        (dest / "lib/lp").rmdir()
        (dest / "lib/lp").symlink_to(outside)
    assert tree(4, clean=True)["changed"]
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
    assert (outside / "app.py").read_text() == "somebody's\n"


def test_a_mode_a_link_and_a_binary_file(tree: Call, dest: Path, sample: Sample) -> None:
    there = sample.site.db_stable
    (there / "run").write_text("#!/bin/sh\n")
    (there / "run").chmod(0o755)
    (there / "docs").mkdir()
    (there / "docs/app").symlink_to("../lib/lp")
    (there / "logo").write_bytes(bytes(range(256)) * 4)
    revno = sample.commit(
        {".gitattributes": "* text eol=crlf\n"} if sample.kind == "git" else {"dos.txt": "a\r\nb\r\n"}
    )
    assert tree(revno)["changed"]
    assert app_trees.contents(dest) == app_trees.contents(there)
    assert (dest / "run").stat().st_mode & 0o111
    assert (dest / "docs/app").readlink() == Path("../lib/lp")
    (dest / "run").chmod(0o644)
    assert [entry["path"].rstrip("*") for entry in tree(revno, check=True)["reverted"]] == ["run"]


def test_something_else_at_dest_is_left_alone(tree: Call, dest: Path) -> None:
    dest.mkdir(parents=True)
    (dest / "precious").write_text("not a tree\n")
    assert tree()["msg"].startswith("E-no-tree ")
    assert (dest / "precious").exists()


def test_a_tree_at_its_revision_needs_nobody(tree: Call, sample: Sample) -> None:
    options = sample.options()
    tree()
    for there in (sample.site.db_stable, sample.builds):
        there.rename(there.with_name(f"no-{there.name}"))
    assert not tree(None, **options)["changed"]


def test_nothing_to_switch_to_where_the_source_is_gone(tree: Call, sample: Sample, dest: Path) -> None:
    options = sample.options(4)
    nobody = {"archive": "https://127.0.0.1:1/a.tgz", "bzr": "bzr://127.0.0.1:1/a", "git": "git://127.0.0.1:1/a#main"}
    for place in (str(sample.builds / "nowhere"), nobody[sample.kind]):
        refused = tree(**{**options, "archive" if sample.kind == "archive" else "branch": place})
        assert refused["msg"].startswith(("E-archive-unreachable ", "E-bzr ", "E-git ")), refused
        assert not dest.exists()


def test_no_room_on_the_disk_leaves_nothing(sample: Sample, dest: Path) -> None:
    """As on a full disk: no file may grow beyond some bytes, neither ours nor the client's."""
    (sample.site.db_stable / "large").write_bytes(os.urandom(300_000))
    options = sample.options(sample.commit({"README": "larger\n"}))
    kind, client = options.pop("kind"), options.pop("executable", None) and sample.cold_client
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, repr((kind, str(dest), client, options))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "refused\n"), done
    assert not dest.exists()
    assert not list(dest.parent.glob(".r*.part"))


@pytest.mark.parametrize("moment", [" branch ", " read-tree "])
def test_killed_on_the_way_it_is_no_tree_and_is_swept_up(
    start_module: Callable[..., Any], tree: Call, sample: Sample, dest: Path, tmp_path: Path, moment: str
) -> None:
    if sample.kind != {" branch ": "bzr", " read-tree ": "git"}[moment]:
        pytest.skip("another client's moment")
    client = tmp_path / "killed-client"
    client.write_text(f'#!/bin/sh\n{sample.system.client} "$@"\ncase " $* " in *"{moment}"*) kill -9 $PPID;; esac\n')
    client.chmod(0o755)
    options = {"dest": str(dest), **sample.options(), "executable": str(client)}
    started = start_module("app_tree", options, env={"HOME": str(tmp_path)})
    assert started.process.wait(60) == -signal.SIGKILL
    assert not dest.exists()
    assert tree()["changed"]
    assert not list(dest.parent.glob(".r*"))


@pytest.mark.parametrize("branch", ["-u", "--upload-pack=touch /srv/x", "https://ci:s3cret@git/app.git"])
def test_an_option_or_a_password_is_refused(tree: Call, sample: Sample, dest: Path, branch: str) -> None:
    named = {"archive": branch} if sample.kind == "archive" else {"branch": branch}
    refused = tree(**named)["msg"]
    assert refused.startswith("E-bad-")
    assert "s3cret" not in refused
    assert not dest.exists()


# -- version controls


@pytest.fixture
def versioned(sample: Sample) -> Sample:
    if sample.kind == "archive":
        pytest.skip("an archive has one revision")
    return sample


def test_an_older_revision_by_number(tree: Call, dest: Path, versioned: Sample) -> None:
    assert tree(revid=None, revno=2)["changed"]
    assert "two of db-stable" not in (dest / "lib/lp/app.py").read_text()
    assert not (dest / "database/schema/patch-2208-31-0.sql").exists()
    assert not tree(revid=None, revno=2)["changed"]


def test_trees_share_what_they_have_in_common(tree: Call, dest: Path, versioned: Sample) -> None:
    shared = {"store": str(dest.parent)}
    tree(**shared)
    other = dest.with_name("r2")
    assert tree(2, dest=str(other), **shared)["revno"] == 2
    for each in (dest, other):
        assert not (each / ".bzr/repository").exists()
        assert not list(each.glob(".git/objects/??/*"))
    assert not tree(**shared)["changed"]


def test_a_revision_that_the_branch_does_not_have(tree: Call, dest: Path, versioned: Sample) -> None:
    refused = tree(revid="5" * 40)
    assert refused["msg"].startswith("E-no-such-revision ")
    assert f"its tip is {4 if versioned.kind == 'bzr' else versioned.revision(4)}." in refused["msg"]
    assert not dest.exists()


# -- Bazaar alone


@pytest.mark.parametrize("sample", ["bzr"], indirect=True)
def test_a_directory_that_goes_with_ignored_files_in_it(tree: Call, dest: Path, sample: Sample) -> None:
    tree()
    (dest / "database/schema/cache.pyc").write_text("compiled\n")
    gone = {path: None for path in bzr_branches.contents(sample.site.db_stable) if path.startswith("database/")}
    assert tree(sample.commit(gone))["changed"]
    assert not tree(5)["changed"]


@pytest.mark.parametrize("sample", ["bzr"], indirect=True)
def test_a_pull_that_was_interrupted_is_finished(tree: Call, dest: Path, sample: Sample) -> None:
    tree(2)
    bzr_branches.move_branch_only(dest, sample.site.db_stable)
    assert bzr_branches.tip(dest) == bzr_branches.tip(sample.site.db_stable)
    assert tree()["changed"]
    assert app_trees.contents(dest) == app_trees.contents(sample.site.db_stable)
