"""Module bzr_merge on real branches with the real client (R10)."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.modules import bzr_branches
from tests.modules.bzr_branches import BRZ, Site

CONFLICTING = {"lib/lp/app.py": "one\ntwo of devel\nthree\n"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return bzr_branches.site(tmp_path / "site")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def arguments(site: Site) -> dict[str, Any]:
    return {
        "tree": str(site.pqm),
        "source": str(site.db_stable),
        "push_to": str(site.devel),
        "revision": 4,
        "committer": "PQM <pqm@lab.example>",
        "brz_executable": BRZ,
    }


@pytest.fixture
def merge(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], home: Path
) -> Callable[..., dict[str, Any]]:
    """`merge(check=False, **arguments that differ)` calls the module."""

    def call(check: bool = False, **different: Any) -> dict[str, Any]:
        return run_module("bzr_merge", {**arguments, **different}, check, diff=True, env={"HOME": str(home)})

    return call


@pytest.fixture
def wrapped(tmp_path: Path) -> Callable[[str, str], str]:
    """`wrapped(verb, script)`: the path of a client that runs a line of shell when it is called with the verb."""

    def write(verb: str, script: str) -> str:
        path = tmp_path / "wrapped-brz"
        path.write_text(f'#!/bin/sh\ncase " $* " in *" {verb} "*) {script};; esac\nexec {BRZ} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return write


def state(site: Site) -> tuple[Any, ...]:
    """Everything a refused merge must leave alone."""
    status = subprocess.run([BRZ, "status", "-S", str(site.pqm)], capture_output=True, text=True, check=True)
    return bzr_branches.tip(site.devel), bzr_branches.tip(site.pqm), bzr_branches.contents(site.pqm), status.stdout


def test_merges_commits_and_pushes(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    old, source = bzr_branches.tip(site.devel)[1], bzr_branches.tip(site.db_stable)[1]
    done = merge()
    assert done["changed"]
    assert (done["revno"], done["revid"]) == bzr_branches.tip(site.devel) == bzr_branches.tip(site.pqm)
    assert done["revno"] == 3
    assert done["parents"] == bzr_branches.parents(site.devel, done["revid"]) == [old, source]
    assert bzr_branches.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert done["source_revid"] == source
    assert done["steps"] == ["update", "revert", "merge -r 4", "commit", "push"]
    assert done["files"] == [
        {"change": "added", "path": "database/schema/patch-2208-30-0.sql"},
        {"change": "added", "path": "database/schema/patch-2208-31-0.sql"},
        {"change": "modified", "path": "lib/lp/app.py"},
    ]
    assert "added     database/schema/patch-2208-30-0.sql\n" in done["diff"]["prepared"]


def test_a_revision_below_the_tip_brings_nothing_beyond_it(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    done = merge(revision=2)
    assert [entry["path"] for entry in done["files"]] == ["database/schema/patch-2208-30-0.sql"]
    assert (site.pqm / "lib/lp/app.py").read_text() == "one\ntwo\nthree\n"


def test_already_merged_changes_nothing(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    first = merge(revision=2)
    bzr_branches.commit(site.pqm, {"later": "x"}, "Something later, not pushed.")
    before = state(site)
    again = merge(revision=2)
    assert not again["changed"]
    assert again["already_merged"]
    assert again["steps"] == []
    assert {**first, "changed": False, "already_merged": True, "steps": []} == {**again, "diff": first["diff"]}
    assert state(site) == before


def test_merged_is_judged_by_ancestry_not_by_the_message(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    bzr_branches.commit(site.pqm, {"README": "Not a merge.\n"}, "Merge db-stable 4.")
    bzr_branches.commit(site.devel, {"README": "Nor this.\n"}, "Merge db-stable 4.")
    refused = merge()
    assert refused["msg"].startswith(
        "E-own-revisions "
    )  # the commit in PQM's tree is no merge of ours, whatever it says


def test_more_than_the_pinned_revision_is_no_merge_of_it(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    merge(revision=4)
    refused = merge(revision=3)
    assert refused["msg"].startswith("E-beyond-pinned ")
    assert "log -n0 -r 3 " in refused["msg"]


def test_no_such_revision_names_the_tip(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    before = state(site)
    refused = merge(revision=5)
    assert refused["msg"].startswith("E-no-such-revision  db-stable 5 does not exist; the tip of ")
    assert " is 4.\n" in refused["msg"]
    assert state(site) == before


def test_the_revision_must_be_the_one_that_was_pinned(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    before = state(site)
    refused = merge(revid="somebody@else-1")
    assert refused["msg"].startswith("E-revision-mismatch ")
    assert bzr_branches.tip(site.db_stable)[1] in refused["msg"]
    assert state(site) == before
    assert merge(revid=bzr_branches.tip(site.db_stable)[1])["changed"]


@pytest.mark.parametrize("check", [False, True])
def test_a_conflict_leaves_the_tree_as_it_was(merge: Callable[..., dict[str, Any]], site: Site, check: bool) -> None:
    bzr_branches.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    bzr_branches.pull(site.pqm, site.devel)
    before = state(site)
    refused = merge(check)
    assert refused["failed"]
    first, second = refused["msg"].split("\n")[:2]
    assert first == "E-merge-conflict  devel could not take db-stable 4: 1 file conflicts (lib/lp/app.py)."
    assert second.strip() == f"Nothing was committed; the tree {site.pqm} is as it was."
    assert refused["conflicts"] == [{"path": "lib/lp/app.py", "conflict": "Text conflict in lib/lp/app.py"}]
    assert state(site) == before


def test_what_nobody_versioned_is_put_back_too(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    schema = site.pqm / "database/schema"
    (schema / "patch-2208-30-0.sql").write_text("scribbled here by hand\n")
    (schema / "patch-2208-31-0.sql/empty").mkdir(parents=True)
    (schema / "patch-2208-31-0.sql/note").write_text("mine\n")
    (schema / "patch-2208-31-0.sql/link").symlink_to("note")
    before = state(site)
    refused = merge()
    assert refused["msg"].startswith("E-merge-conflict  devel could not take db-stable 4: 2 files conflict (")
    assert state(site) == before
    assert (schema / "patch-2208-31-0.sql/link").is_symlink()
    assert (schema / "patch-2208-31-0.sql/empty").is_dir()
    assert not list(schema.glob("*.moved"))


def test_the_developer_reproduces_resolves_and_it_goes_through(
    merge: Callable[..., dict[str, Any]], site: Site, tmp_path: Path
) -> None:
    bzr_branches.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    old = bzr_branches.tip(site.devel)[1]
    message = merge()["msg"]
    # The commands of the message, pasted.
    reproduce = re.search(r"A developer reproduces it: +(.+)", message)
    share = re.search(r"resolves and shares it: +(.+)", message)
    assert reproduce
    assert share
    desk, resolution = tmp_path / "desk", tmp_path / "resolution"
    desk.mkdir()
    pasted = subprocess.run(["sh", "-c", reproduce.group(1)], cwd=desk, capture_output=True, text=True, check=False)  # noqa: S607
    assert "Text conflict in lib/lp/app.py" in pasted.stderr
    (desk / "fix/lib/lp/app.py").write_text("one\ntwo of both\nthree\n")
    resolve = f"{BRZ} resolve -q --all && " + share.group(1).replace("BRANCH", str(resolution))
    who = {"BRZ_EMAIL": bzr_branches.DEVELOPER}
    subprocess.run(["sh", "-c", resolve], cwd=desk / "fix", env=who, capture_output=True, check=True)  # noqa: S607

    done = merge(resolution=str(resolution))
    assert done["changed"]
    assert done["parents"] == [old, bzr_branches.tip(resolution)[1]]
    assert bzr_branches.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert (site.pqm / "lib/lp/app.py").read_text() == "one\ntwo of both\nthree\n"
    assert merge(resolution=str(resolution))["already_merged"]
    assert merge()["already_merged"]


def test_a_resolution_without_the_pinned_revision_is_refused(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    before = state(site)
    refused = merge(resolution=str(site.devel))
    assert refused["msg"].startswith("E-resolution-incomplete ")
    assert state(site) == before


def test_a_resolution_with_more_of_the_source_is_refused(
    merge: Callable[..., dict[str, Any]], site: Site, tmp_path: Path
) -> None:
    fix = bzr_branches.branch(site.devel, tmp_path / "fix")
    bzr_branches.merge(fix, site.db_stable, "Merge too much.")
    before = state(site)
    refused = merge(revision=3, resolution=str(fix))
    assert refused["msg"].startswith("E-beyond-pinned ")
    assert state(site) == before


def test_a_crash_between_commit_and_push_needs_only_the_push(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    site: Site,
) -> None:
    old = bzr_branches.tip(site.devel)
    crashing = {**arguments, "brz_executable": wrapped("push", "kill -9 $PPID; exit 9")}
    assert start_module("bzr_merge", crashing).process.wait(60) == -signal.SIGKILL
    assert bzr_branches.tip(site.devel) == old
    committed = bzr_branches.tip(site.pqm)
    assert merge(check=True)["steps"] == ["update", "revert", "push"]
    done = merge()
    assert done["steps"] == ["update", "revert", "push"]
    assert (done["revno"], done["revid"]) == committed == bzr_branches.tip(site.devel)


def test_a_crash_in_the_middle_of_the_merge_is_swept_up(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    site: Site,
) -> None:
    crashing = {**arguments, "brz_executable": wrapped("commit", "kill -9 $PPID; exit 9")}
    assert start_module("bzr_merge", crashing).process.wait(60) == -signal.SIGKILL
    assert (site.pqm / "database/schema/patch-2208-30-0.sql").exists()  # merged, not committed
    assert merge()["changed"]
    assert state(site)[-1] == ""


def test_a_push_that_fails_is_told_and_repeated(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    refused = merge(brz_executable=wrapped("push", "echo no route to host >&2; exit 3"))
    assert refused["msg"].startswith("E-not-pushed ")
    assert "no route to host" in refused["msg"]
    assert merge()["steps"] == ["update", "revert", "push"]


def test_a_push_that_arrived_counts_whatever_its_exit_code(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    done = merge(brz_executable=wrapped("push", f'{BRZ} "$@"; exit 3'))
    assert done["changed"]
    assert done["revid"] == bzr_branches.tip(site.devel)[1]


def test_somebody_pushes_meanwhile(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    old = bzr_branches.tip(site.pqm)
    files = bzr_branches.contents(site.pqm)
    commit = f"{BRZ} commit -q --unchanged -m meanwhile {site.devel}"
    refused = merge(brz_executable=wrapped("push", commit))
    assert refused["msg"].startswith("E-target-moved ")
    assert bzr_branches.tip(site.pqm) == old
    assert bzr_branches.contents(site.pqm) == files
    done = merge()
    assert done["steps"] == ["update", "revert", "pull", "merge -r 4", "commit", "push"]
    assert done["revno"] == 4


def test_the_tree_is_brought_up_first(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    ahead = bzr_branches.commit(site.devel, {"lib/lp/new.py": "x = 1\n"}, "[r=jml][bug=6] Ahead of PQM's tree.")
    (site.pqm / "README").write_text("a change that somebody left\n")
    done = merge()
    assert done["steps"] == ["update", "revert", "pull", "merge -r 4", "commit", "push"]
    assert done["parents"][0] == ahead
    assert (site.pqm / "lib/lp/new.py").exists()
    assert (site.pqm / "README").read_text() == "A service.\n"


@pytest.mark.parametrize("devel_moved", [False, True])
def test_a_tree_with_revisions_of_its_own_is_refused(
    merge: Callable[..., dict[str, Any]], site: Site, devel_moved: bool
) -> None:
    bzr_branches.commit(site.pqm, {"README": "Mine.\n"}, "By hand.")
    if devel_moved:
        bzr_branches.commit(site.devel, {"docroot/a.css": "a {}\n"}, "[r=jml][bug=6] Meanwhile.")
    before = state(site)
    refused = merge()
    assert refused["msg"].startswith("E-own-revisions ")
    assert state(site) == before
    see = re.search(r"See them: +(.+)", refused["msg"])
    assert see
    seen = subprocess.run(["sh", "-c", see.group(1)], capture_output=True, text=True, check=False)  # noqa: S607
    assert "By hand." in seen.stdout


def test_check_mode_changes_nothing_and_foretells(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    bzr_branches.commit(site.devel, {"lib/lp/new.py": "x = 1\n"}, "[r=jml][bug=6] Ahead of PQM's tree.")
    before = state(site)
    foretold = merge(check=True)
    assert state(site) == before
    done = merge()
    for key in ("changed", "revno", "files", "steps", "source_revid", "diff"):
        assert foretold[key] == done[key], key
    assert foretold["revid"] is None


def test_no_tree_is_said(merge: Callable[..., dict[str, Any]], site: Site, tmp_path: Path) -> None:
    refused = merge(tree=str(tmp_path / "nowhere"))
    assert refused["msg"].startswith("E-no-tree ")


def test_an_unreadable_branch_is_said(merge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    refused = merge(source=str(tmp_path / "nowhere"))
    assert refused["msg"].startswith("E-branch-unreadable ")


@pytest.mark.parametrize("wrong", [{"source": "--overwrite"}, {"push_to": "-d"}, {"revision": 0}])
def test_fields_are_checked_before_a_command_sees_them(
    merge: Callable[..., dict[str, Any]], wrong: dict[str, Any]
) -> None:
    assert merge(**wrong)["msg"].startswith("E-bad-")


@pytest.fixture
def server(site: Site) -> Iterator[str]:
    """The URL of a real Bazaar server over the site."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    root = str(site.devel.parent)
    command = [BRZ, "serve", "--allow-writes", "--listen", "127.0.0.1", "--port", str(port), "--directory", root]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on port" in line:
            break
    yield f"bzr://127.0.0.1:{port}/"
    process.terminate()
    process.communicate()


def test_over_a_bazaar_server(merge: Callable[..., dict[str, Any]], site: Site, server: str) -> None:
    remote = {"source": server + "db-stable", "push_to": server + "devel"}
    assert merge(check=True, **remote)["changed"]
    done = merge(**remote)
    assert (done["revno"], done["revid"]) == bzr_branches.tip(site.devel)
    assert merge(**remote)["already_merged"]
