"""Module git_merge on real repositories with the real client: the same contract as bzr_merge (R10)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import git_branches
from tests.modules.bzr_branches import Site
from tests.modules.git_branches import ENVIRONMENT, GIT

CONFLICTING = {"lib/lp/app.py": "one\ntwo of devel\nthree\n"}
STEPS = ["fetch", "reset", "merge -r 4", "commit", "push"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return git_branches.site(tmp_path / "site")


@pytest.fixture
def arguments(site: Site) -> dict[str, Any]:
    return {
        "tree": str(site.pqm),
        "source": str(site.db_stable),
        "push_to": f"{site.devel}#devel",
        "revision": 4,
        "committer": "PQM <pqm@lab.example>",
    }


@pytest.fixture
def merge(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`merge(check=False, **arguments that differ)` calls the module."""

    def call(check: bool = False, **different: Any) -> dict[str, Any]:
        return run_module("git_merge", {**arguments, **different}, check, diff=True, env={"HOME": str(tmp_path)})

    return call


@pytest.fixture
def wrapped(tmp_path: Path) -> Callable[[str, str], str]:
    """`wrapped(verb, script)`: the path of a client that runs a line of shell when it is called with the verb."""

    def write(verb: str, script: str) -> str:
        path = tmp_path / "wrapped-git"
        path.write_text(f'#!/bin/sh\ncase " $* " in *" {verb} -q "*) {script};; esac\nexec {GIT} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return write


def state(site: Site) -> tuple[Any, ...]:
    """Everything a refused merge must leave alone."""
    everything = git_branches.contents(site.pqm), git_branches.status(site.pqm)
    branch = git_branches.git(site.pqm, "symbolic-ref", "HEAD")
    return git_branches.tip(site.devel), git_branches.tip(site.pqm), branch, everything


def paste(line: str, where: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a message as a person would, in a shell."""
    command = ["/bin/sh", "-c", line]
    return subprocess.run(command, cwd=where, env={**ENVIRONMENT, **env}, capture_output=True, text=True, check=False)


def test_merges_commits_and_pushes(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    old, source = git_branches.tip(site.devel)[1], git_branches.tip(site.db_stable)[1]
    done = merge()
    assert done["changed"], done["msg"]
    assert (done["revno"], done["revid"]) == git_branches.tip(site.devel) == git_branches.tip(site.pqm)
    assert done["revno"] == 3
    assert done["parents"] == git_branches.parents(site.devel, done["revid"]) == [old, source]
    assert git_branches.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert done["source_revid"] == source
    assert done["steps"] == STEPS
    assert done["files"] == [
        {"change": "added", "path": "database/schema/patch-2208-30-0.sql"},
        {"change": "added", "path": "database/schema/patch-2208-31-0.sql"},
        {"change": "modified", "path": "lib/lp/app.py"},
    ]
    assert "added     database/schema/patch-2208-30-0.sql\n" in done["diff"]["prepared"]
    assert git_branches.git(site.devel, "show", "-s", "--format=%cn <%ce>", done["revid"]) == "PQM <pqm@lab.example>\n"


def test_a_merge_that_could_be_a_fast_forward_is_a_commit_all_the_same(
    merge: Callable[..., dict[str, Any]], site: Site
) -> None:
    git_branches.git(site.devel, "reset", "-q", "--hard", "HEAD^")
    git_branches.git(site.pqm, "reset", "-q", "--hard", "HEAD^")
    done = merge(revision=2)
    assert len(done["parents"]) == 2
    assert done["revno"] == 2


def test_already_merged_changes_nothing(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    first = merge(revision=2)
    git_branches.commit(site.pqm, {"later": "x"}, "Something later, not pushed.")
    before = state(site)
    again = merge(revision=2)
    assert not again["changed"]
    assert {**first, "changed": False, "already_merged": True, "steps": []} == {**again, "diff": first["diff"]}
    assert state(site) == before


def test_merged_is_judged_by_ancestry_not_by_the_message(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    git_branches.commit(site.pqm, {"README": "Not a merge.\n"}, "Merge db-stable 4.")
    refused = merge()
    assert refused["msg"].startswith("E-own-revisions ")
    see = re.search(r"See them: +(.+)", refused["msg"])
    assert see
    assert "Merge db-stable 4." in paste(see.group(1), site.pqm).stdout


def test_more_than_the_pinned_revision_is_no_merge_of_it(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    merge(revision=4)
    refused = merge(revision=3)
    assert refused["msg"].startswith("E-beyond-pinned ")
    see = re.search(r"See what is in it: +(.+)", refused["msg"])
    assert see
    assert "[r=stub][bug=3] Use them." in paste(see.group(1), site.pqm).stdout


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"revision": 5}, "E-no-such-revision  db-stable 5 does not exist; the tip of "),
        ({"revid": "0" * 40}, "E-revision-mismatch "),
        ({"source": "/nowhere"}, "E-branch-unreadable "),
        ({"source": "--upload-pack=x"}, "E-bad-branch "),
        ({"revision": 0}, "E-bad-revision "),
        ({"tree": "/nowhere"}, "E-no-tree "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(
    merge: Callable[..., dict[str, Any]], site: Site, wrong: dict[str, Any], says: str
) -> None:
    before = state(site)
    assert merge(**wrong)["msg"].startswith(says)
    assert state(site) == before


@pytest.mark.parametrize("check", [False, True])
def test_a_conflict_leaves_the_tree_as_it_was(merge: Callable[..., dict[str, Any]], site: Site, check: bool) -> None:
    git_branches.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    git_branches.pull(site.pqm, site.devel)
    (site.pqm / "note").write_text("nobody versioned this\n")
    before = state(site)
    refused = merge(check)
    first, second = refused["msg"].split("\n")[:2]
    assert first == "E-merge-conflict  devel could not take db-stable 4: 1 file conflicts (lib/lp/app.py)."
    assert second.strip() == f"Nothing was committed; the tree {site.pqm} is as it was."
    assert refused["conflicts"] == [{"path": "lib/lp/app.py", "conflict": "both modified: lib/lp/app.py"}]
    assert state(site) == before


def test_a_file_where_a_directory_comes_leaves_nothing_behind(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    git_branches.commit(site.db_stable, {"lib/new/a.py": "a\n"}, "[r=stub][bug=6] A directory.")
    git_branches.commit(site.devel, {"lib/new": "a file\n"}, "[r=jml][bug=7] A file.")
    git_branches.pull(site.pqm, site.devel)
    before = state(site)
    refused = merge(revision=5)
    assert refused["msg"].startswith("E-merge-conflict ")
    assert state(site) == before


@pytest.mark.parametrize("ignored", [False, True])
def test_what_nobody_versioned_is_not_overwritten(
    merge: Callable[..., dict[str, Any]], site: Site, ignored: bool
) -> None:
    schema = site.pqm / "database/schema"
    (schema / "patch-2208-30-0.sql").write_text("scribbled here by hand\n")
    if ignored:
        (site.pqm / ".git/info").mkdir(exist_ok=True)
        (site.pqm / ".git/info/exclude").write_text("*.sql\n")
    before = state(site)
    refused = merge()
    first = refused["msg"].split("\n")[0]
    assert first.endswith("could not take db-stable 4: 1 file conflicts (database/schema/patch-2208-30-0.sql).")
    assert state(site) == before


def test_the_developer_reproduces_resolves_and_it_goes_through(
    merge: Callable[..., dict[str, Any]], site: Site, tmp_path: Path
) -> None:
    git_branches.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    old = git_branches.tip(site.devel)[1]
    message = merge()["msg"]
    reproduce = re.search(r"A developer reproduces it: +(.+)", message)
    share = re.search(r"resolves and shares it: +(.+?)   \(it is then (.+)\)", message)
    assert reproduce
    assert share
    desk = tmp_path / "desk"
    desk.mkdir()
    assert "CONFLICT (content): Merge conflict in lib/lp/app.py" in paste(reproduce.group(1), desk).stdout
    (desk / "fix/lib/lp/app.py").write_text("one\ntwo of both\nthree\n")
    shared = paste(share.group(1).replace("BRANCH", "resolved"), desk / "fix")
    assert shared.returncode == 0, shared.stderr
    resolution = share.group(2).replace("BRANCH", "resolved").replace("'", "")

    done = merge(resolution=resolution)
    assert done["changed"], done["msg"]
    assert done["parents"] == [old, git_branches.git(desk / "fix", "rev-parse", "HEAD").strip()]
    assert git_branches.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert (site.pqm / "lib/lp/app.py").read_text() == "one\ntwo of both\nthree\n"
    assert merge(resolution=resolution)["already_merged"]
    assert merge()["already_merged"]


def test_a_resolution_without_the_pinned_revision_is_refused(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    before = state(site)
    assert merge(resolution=str(site.devel))["msg"].startswith("E-resolution-incomplete ")
    assert state(site) == before


@pytest.mark.parametrize(
    ("verb", "left"),
    [
        ("merge", ["fetch", "reset", *STEPS[2:]]),
        ("commit", ["fetch", "reset", *STEPS[2:]]),
        ("push", ["fetch", "reset", "push"]),
    ],
)
def test_killed_before_a_step_the_next_run_does_what_is_left(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    site: Site,
    verb: str,
    left: list[str],
) -> None:
    old = git_branches.tip(site.devel)
    crashing = {**arguments, "git_executable": wrapped(verb, "kill -9 $PPID; exit 9")}
    assert start_module("git_merge", crashing).process.wait(60) == -signal.SIGKILL
    assert git_branches.tip(site.devel) == old
    committed = git_branches.tip(site.pqm)
    assert merge(check=True)["steps"] == left
    done = merge()
    assert done["steps"] == left
    assert (done["revno"], done["revid"]) == git_branches.tip(site.devel)
    assert git_branches.status(site.pqm) == ""
    if verb == "push":
        assert done["revid"] == committed[1]


def test_killed_after_the_push_the_next_run_reads_it_back(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    site: Site,
) -> None:
    crashing = {**arguments, "git_executable": wrapped("push", f'{GIT} "$@"; kill -9 $PPID; exit 9')}
    assert start_module("git_merge", crashing).process.wait(60) == -signal.SIGKILL
    again = merge()
    assert again["already_merged"]
    assert (again["revno"], again["revid"]) == git_branches.tip(site.devel)


def test_git_killed_in_the_middle_of_the_merge_is_swept_up(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    """What a killed `git merge` leaves: its lock, and files that it had written before the index."""
    (site.pqm / ".git/index.lock").write_bytes((site.pqm / ".git/index").read_bytes())
    patch = "database/schema/patch-2208-30-0.sql"
    (site.pqm / patch).write_text((site.db_stable / patch).read_text())
    assert merge()["steps"] == STEPS
    assert git_branches.status(site.pqm) == ""


def test_a_merge_left_half_done_by_hand_is_reverted(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    git_branches.git(site.pqm, "fetch", "-q", str(site.db_stable), "HEAD")
    git_branches.git(site.pqm, "merge", "-q", "--no-ff", "--no-commit", "FETCH_HEAD")
    assert merge()["steps"] == STEPS
    assert git_branches.status(site.pqm) == ""


def test_a_push_that_fails_is_told_and_repeated(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    refused = merge(git_executable=wrapped("push", "echo no route to host >&2; exit 128"))
    assert refused["msg"].startswith("E-not-pushed ")
    assert "no route to host" in refused["msg"]
    assert merge()["steps"] == ["fetch", "reset", "push"]


def test_a_push_that_arrived_counts_whatever_its_exit_code(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    done = merge(git_executable=wrapped("push", f'{GIT} "$@"; exit 3'))
    assert done["revid"] == git_branches.tip(site.devel)[1]


def test_somebody_pushes_meanwhile(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], site: Site
) -> None:
    old, files = git_branches.tip(site.pqm), git_branches.contents(site.pqm)
    who = "-c user.name=jml -c user.email=jml@lab.example"
    commit = f"env -u GIT_DIR {GIT} {who} -C {site.devel} commit -q --allow-empty -m meanwhile"
    refused = merge(git_executable=wrapped("push", commit))
    assert refused["msg"].startswith("E-target-moved ")
    assert git_branches.tip(site.pqm) == old
    assert git_branches.contents(site.pqm) == files
    done = merge()
    assert done["steps"] == ["fetch", "reset", "fast-forward", "merge -r 4", "commit", "push"]
    assert done["revno"] == 4


def test_check_mode_changes_nothing_and_foretells(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    ahead = git_branches.commit(site.devel, {"lib/lp/new.py": "x = 1\n"}, "[r=jml][bug=6] Ahead of PQM's tree.")
    (site.pqm / "README").write_text("a change that somebody left\n")
    before, references = state(site), git_branches.git(site.pqm, "for-each-ref")
    foretold = merge(check=True)
    assert state(site) == before
    assert git_branches.git(site.pqm, "for-each-ref") == references
    done = merge()
    for key in ("changed", "revno", "files", "steps", "source_revid", "diff"):
        assert foretold[key] == done[key], key
    assert foretold["revid"] is None
    assert done["parents"][0] == ahead
    assert (site.pqm / "README").read_text() == "A service.\n"


def test_nothing_of_the_machine_gets_in_the_way(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], site: Site, tmp_path: Path
) -> None:
    """A user's configuration, hooks, signing, and GIT_ variables of whoever calls."""
    hook = site.pqm / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    settings = {"commit.gpgSign": "true", "core.hooksPath": "/nowhere", "push.default": "nothing", "merge.ff": "only"}
    for name, value in settings.items():
        git_branches.git(home, "config", "--file", ".gitconfig", name, value)
    env = {"HOME": str(home), "GIT_DIR": "/nowhere", "GIT_CONFIG_PARAMETERS": "'merge.ff=only'", "LANG": "de_DE.UTF-8"}
    done = run_module("git_merge", arguments, env=env)
    assert done["steps"] == STEPS, done.get("msg")


def test_a_tree_of_somebody_elses_is_read(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a repository away")
    for path in (site.db_stable, *site.db_stable.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert merge()["changed"]


def test_over_urls_from_bare_repositories(merge: Callable[..., dict[str, Any]], site: Site, tmp_path: Path) -> None:
    """One repository with both branches, as a server has it."""
    bare = tmp_path / "launchpad.git"
    git_branches.git(tmp_path, "clone", "-q", "--bare", str(site.devel), str(bare))
    git_branches.git(site.db_stable, "push", "-q", str(bare), "HEAD:refs/heads/db-stable")
    remote = {"source": f"file://{bare}#db-stable", "push_to": f"file://{bare}#devel"}
    assert merge(check=True, **remote)["changed"]
    done = merge(**remote)
    assert git_branches.git(bare, "rev-parse", "devel").strip() == done["revid"]
    assert git_branches.message(bare, done["revid"]) == "Merge db-stable 4."
    assert merge(**remote)["already_merged"]
