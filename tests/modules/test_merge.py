"""Module merge on real branches with their clients (R10). What only tests the rules is played in git, which is fast."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.modules import bzr_branches, git_branches
from tests.modules.both_branches import APP, BOTH, Site
from tests.modules.both_branches import site as new_site
from tests.modules.warm_bazaar import COLD_BRZ

CONFLICTING = {"lib/lp/app.py": APP.replace("two", "two of devel")}
PATCH = "database/schema/patch-2208-30-0.sql"
DONE = ["merge -r 4", "commit", "push"]
CLEARED = {"bzr": ["update", "revert"], "git": ["fetch", "reset"]}
ADVANCED = {"bzr": "pull", "git": "fast-forward"}
in_bazaar = pytest.mark.parametrize("system", [bzr_branches], ids=["bzr"])
in_both = pytest.mark.parametrize("system", BOTH, ids=lambda system: system.kind)


@pytest.fixture
def system() -> ModuleType:
    return git_branches


@pytest.fixture
def site(system: ModuleType, tmp_path: Path) -> Site:
    return new_site(system, tmp_path / "site")


@pytest.fixture
def arguments(system: ModuleType, site: Site) -> dict[str, Any]:
    return {
        "vcs": system.kind,
        "executable": system.client,
        "tree": str(site.pqm),
        "source": str(site.db_stable),
        "push_to": system.at(site.devel),
        "revision": 4,
        "committer": "PQM <pqm@lab.example>",
    }


@pytest.fixture
def merge(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`merge(check=False, **arguments that differ)` calls the module."""
    (tmp_path / "home").mkdir()

    def call(check: bool = False, **different: Any) -> dict[str, Any]:
        env = {"HOME": str(tmp_path / "home")}
        return run_module("merge", {**arguments, **different}, check, diff=True, env=env)

    return call


@pytest.fixture
def wrapped(system: ModuleType, tmp_path: Path) -> Callable[[str, str], str]:
    """`wrapped(verb, script)`: the path of a client that runs a line of shell when it is called with the verb."""

    def write(verb: str, script: str) -> str:
        path = tmp_path / f"wrapped-{verb}"
        path.write_text(f'#!/bin/sh\ncase " $* " in *" {verb} -q "*) {script};; esac\nexec {system.client} "$@"\n')
        path.chmod(0o755)
        return str(path)

    return write


def state(system: ModuleType, site: Site) -> tuple[Any, ...]:
    """Everything a refused merge must leave alone."""
    everything = system.contents(site.pqm), system.status(site.pqm)
    branch = git_branches.git(site.pqm, "symbolic-ref", "HEAD") if system is git_branches else ""
    return system.tip(site.devel), system.tip(site.pqm), branch, everything


def pasted(message: str, what: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that a message names, as a person would, in a shell."""
    found = re.search(rf"{what}: +(.+)", message)
    assert found, message
    env = {**git_branches.ENVIRONMENT, **bzr_branches.ENVIRONMENT}
    command = ["/bin/sh", "-c", found.group(1)]
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, check=False)


@in_both
def test_merges_commits_and_pushes(merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site) -> None:
    old, source = system.tip(site.devel)[1], system.tip(site.db_stable)[1]
    done = merge()
    assert done["changed"], done["msg"]
    assert (done["revno"], done["revid"]) == system.tip(site.devel) == system.tip(site.pqm)
    assert done["revno"] == 3
    assert done["parents"] == system.parents(site.devel, done["revid"]) == [old, source]
    assert system.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert done["source_revid"] == source
    assert done["steps"] == [*CLEARED[system.kind], *DONE]
    assert done["files"] == [
        {"change": "added", "path": PATCH},
        {"change": "added", "path": "database/schema/patch-2208-31-0.sql"},
        {"change": "modified", "path": "lib/lp/app.py"},
    ]
    assert f"added     {PATCH}\n" in done["diff"]["prepared"]


def test_a_revision_below_the_tip_brings_nothing_beyond_it(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    done = merge(revision=2)
    assert [entry["path"] for entry in done["files"]] == [PATCH]
    assert (site.pqm / "lib/lp/app.py").read_text() == APP


def test_a_merge_that_could_be_a_fast_forward_is_a_commit_all_the_same(
    merge: Callable[..., dict[str, Any]], site: Site
) -> None:
    git_branches.git(site.devel, "reset", "-q", "--hard", "HEAD^")
    git_branches.git(site.pqm, "reset", "-q", "--hard", "HEAD^")
    done = merge(revision=2)
    assert len(done["parents"]) == 2
    assert done["revno"] == 2


def test_already_merged_changes_nothing(merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site) -> None:
    first = merge(revision=2)
    system.commit(site.pqm, {"later": "x"}, "Something later, not pushed.")
    before = state(system, site)
    again = merge(revision=2)
    assert {**first, "changed": False, "already_merged": True, "steps": []} == {**again, "diff": first["diff"]}
    assert state(system, site) == before


@pytest.mark.parametrize("devel_moved", [False, True])
def test_merged_is_judged_by_ancestry_not_by_the_message(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, devel_moved: bool
) -> None:
    system.commit(site.pqm, {"README": "Not a merge.\n"}, "Merge db-stable 4.")
    if devel_moved:
        system.commit(site.devel, {"README": "Nor this.\n"}, "Merge db-stable 4.")
    before = state(system, site)
    assert merge()["msg"].startswith("E-own-revisions ")  # it is no merge of ours, whatever it says
    assert state(system, site) == before


@in_both
def test_own_revisions_are_refused_and_can_be_seen(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    system.commit(site.pqm, {"README": "Mine.\n"}, "By hand.")
    before = state(system, site)
    refused = merge()
    assert refused["msg"].startswith("E-own-revisions ")
    assert "By hand." in pasted(refused["msg"], "See them", site.pqm).stdout
    assert state(system, site) == before


@in_both
def test_more_than_the_pinned_revision_is_no_merge_of_it(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    system.merge(site.devel, site.db_stable, "Merge too much.")
    refused = merge(revision=3)
    assert refused["msg"].startswith("E-beyond-pinned ")
    assert "[r=stub][bug=3] Use them." in pasted(refused["msg"], "See what is in it", site.pqm).stdout


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"revision": 5}, r"E-no-such-revision  db-stable 5 does not exist; the tip of \S+ is 4\.\n"),
        ({"revid": "0" * 40}, r"E-revision-mismatch .*\n.*pinned 0{40}\n.*now    [0-9a-f]{40}\n"),
        ({"source": "/nowhere"}, "E-branch-unreadable "),
        ({"source": "--upload-pack=x"}, "E-bad-branch  source is '--upload-pack=x'"),
        ({"push_to": "-d"}, "E-bad-branch  push_to is '-d'"),
        ({"revision": 0}, "E-bad-revision "),
        ({"tree": "/nowhere"}, "E-no-tree "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, wrong: dict[str, Any], says: str
) -> None:
    before = state(system, site)
    assert re.match(says, merge(**wrong)["msg"])
    assert state(system, site) == before


def test_the_pinned_id_is_the_one_that_is_merged(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    assert merge(revid=system.tip(site.db_stable)[1])["changed"]


@pytest.mark.parametrize("check", [False, True])
def test_a_conflict_leaves_the_tree_as_it_was(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, check: bool
) -> None:
    system.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    system.pull(site.pqm, site.devel)
    (site.pqm / "note").write_text("nobody versioned this\n")
    before = state(system, site)
    refused = merge(check)
    first, second = refused["msg"].split("\n")[:2]
    assert first == "E-merge-conflict  devel could not take db-stable 4: 1 file conflicts (lib/lp/app.py)."
    assert second.strip() == f"Nothing was committed; the tree {site.pqm} is as it was."
    assert refused["conflicts"] == [{"path": "lib/lp/app.py", "conflict": "both modified: lib/lp/app.py"}]
    assert state(system, site) == before


def test_a_file_where_a_directory_comes_leaves_nothing_behind(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    system.commit(site.db_stable, {"lib/new/a.py": "a\n"}, "[r=stub][bug=6] A directory.")
    system.commit(site.devel, {"lib/new": "a file\n"}, "[r=jml][bug=7] A file.")
    system.pull(site.pqm, site.devel)
    before = state(system, site)
    assert merge(revision=5)["msg"].startswith("E-merge-conflict ")
    assert state(system, site) == before


@pytest.mark.parametrize("ignored", [False, True])
def test_what_nobody_versioned_is_not_overwritten(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, ignored: bool
) -> None:
    (site.pqm / PATCH).write_text("scribbled here by hand\n")
    if ignored:
        (site.pqm / ".git/info").mkdir(exist_ok=True)
        (site.pqm / ".git/info/exclude").write_text("*.sql\n")
    before = state(system, site)
    first = merge()["msg"].split("\n")[0]
    assert first.endswith(f"could not take db-stable 4: 1 file conflicts ({PATCH}).")
    assert state(system, site) == before


@in_bazaar
def test_what_nobody_versioned_is_put_back_too(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    schema = site.pqm / "database/schema"
    (site.pqm / PATCH).write_text("scribbled here by hand\n")
    (schema / "patch-2208-31-0.sql/empty").mkdir(parents=True)
    (schema / "patch-2208-31-0.sql/note").write_text("mine\n")
    (schema / "patch-2208-31-0.sql/link").symlink_to("note")
    before = state(system, site)
    refused = merge()
    assert refused["msg"].startswith("E-merge-conflict  devel could not take db-stable 4: 2 files conflict (")
    assert state(system, site) == before
    assert (schema / "patch-2208-31-0.sql/link").is_symlink()
    assert (schema / "patch-2208-31-0.sql/empty").is_dir()
    assert not list(schema.glob("*.moved"))


@in_both
def test_the_developer_reproduces_resolves_and_it_goes_through(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, tmp_path: Path
) -> None:
    system.commit(site.devel, CONFLICTING, "[r=jml][bug=5] The same line.")
    old, desk = system.tip(site.devel)[1], tmp_path / "desk"
    message = merge()["msg"]
    # The commands of the message, pasted.
    desk.mkdir()
    seen = pasted(message, "A developer reproduces it", desk)
    assert "onflict in lib/lp/app.py" in seen.stdout + seen.stderr
    (desk / "fix/lib/lp/app.py").write_text(APP.replace("two", "two of both"))
    if system is bzr_branches:
        branch = resolution = str(tmp_path / "resolution")
        message = re.sub("(shares it: +)", rf"\1{system.client} resolve -q --all && ", message)
    else:
        branch, resolution = "resolved", f"{site.devel}#resolved"
    shared = pasted(re.sub("   [(].*", "", message).replace("BRANCH", branch), "resolves and shares it", desk / "fix")
    assert shared.returncode == 0, shared.stderr

    done = merge(resolution=resolution)
    assert done["changed"], done["msg"]
    assert done["parents"] == [old, system.tip(desk / "fix")[1]]
    assert system.message(site.devel, done["revid"]) == "Merge db-stable 4."
    assert (site.pqm / "lib/lp/app.py").read_text() == APP.replace("two", "two of both")
    assert merge(resolution=resolution)["already_merged"]
    assert merge()["already_merged"]


def test_a_resolution_without_the_pinned_revision_is_refused(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    before = state(system, site)
    assert merge(resolution=str(site.devel))["msg"].startswith("E-resolution-incomplete ")
    assert state(system, site) == before


def test_a_resolution_with_more_of_the_source_is_refused(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, tmp_path: Path
) -> None:
    fix = system.branch(site.devel, tmp_path / "fix")
    system.merge(fix, site.db_stable, "Merge too much.")
    before = state(system, site)
    assert merge(revision=3, resolution=str(fix))["msg"].startswith("E-beyond-pinned ")
    assert state(system, site) == before


@in_both
def test_killed_before_a_step_the_next_run_does_what_is_left(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    system: ModuleType,
    site: Site,
) -> None:
    """One run after the other is killed a step later; what is left of each is swept up."""
    old = system.tip(site.devel)
    for verb, left in (("merge", DONE), ("commit", DONE), ("push", ["push"])):
        crashing = {**arguments, "executable": wrapped(verb, "kill -9 $PPID; exit 9")}
        assert start_module("merge", crashing).process.wait(60) == -signal.SIGKILL
        assert system.tip(site.devel) == old
        assert (site.pqm / PATCH).exists() == (verb != "merge")
        assert merge(check=True)["steps"] == [*CLEARED[system.kind], *left]
    committed = system.tip(site.pqm)
    assert merge()["steps"] == [*CLEARED[system.kind], "push"]
    assert system.tip(site.devel) == committed
    assert system.status(site.pqm) == ""


def test_killed_after_the_push_the_next_run_reads_it_back(
    start_module: Callable[..., Any],
    merge: Callable[..., dict[str, Any]],
    wrapped: Callable[[str, str], str],
    arguments: dict[str, Any],
    system: ModuleType,
    site: Site,
) -> None:
    crashing = {**arguments, "executable": wrapped("push", f'{system.client} "$@"; kill -9 $PPID; exit 9')}
    assert start_module("merge", crashing).process.wait(60) == -signal.SIGKILL
    again = merge()
    assert again["already_merged"]
    assert (again["revno"], again["revid"]) == system.tip(site.devel)


def test_git_killed_in_the_middle_of_the_merge_is_swept_up(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    """What a killed `git merge` leaves: its lock, and files that it had written before the index."""
    (site.pqm / ".git/index.lock").write_bytes((site.pqm / ".git/index").read_bytes())
    (site.pqm / PATCH).write_text((site.db_stable / PATCH).read_text())
    assert merge()["steps"][2:] == DONE
    assert system.status(site.pqm) == ""


def test_a_merge_left_half_done_by_hand_is_reverted(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    system.git(site.pqm, "fetch", "-q", str(site.db_stable), "HEAD")
    system.git(site.pqm, "merge", "-q", "--no-ff", "--no-commit", "FETCH_HEAD")
    assert merge()["steps"][2:] == DONE
    assert system.status(site.pqm) == ""


def test_a_push_that_fails_is_told_and_repeated(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str]
) -> None:
    refused = merge(executable=wrapped("push", "echo no route to host >&2; exit 128"))
    assert refused["msg"].startswith("E-not-pushed ")
    assert "no route to host" in refused["msg"]
    assert merge()["steps"][2:] == ["push"]


def test_a_push_that_arrived_counts_whatever_its_exit_code(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], system: ModuleType, site: Site
) -> None:
    done = merge(executable=wrapped("push", f'{system.client} "$@"; exit 3'))
    assert done["revid"] == system.tip(site.devel)[1]


@in_both
def test_somebody_pushes_meanwhile(
    merge: Callable[..., dict[str, Any]], wrapped: Callable[[str, str], str], system: ModuleType, site: Site
) -> None:
    old, files = system.tip(site.pqm), system.contents(site.pqm)
    who = "-c user.name=jml -c user.email=jml@lab.example"
    meanwhile = {
        "bzr": f"{system.client} commit -q --unchanged -m meanwhile {site.devel}",
        "git": f"env -u GIT_DIR {system.client} {who} -C {site.devel} commit -q --allow-empty -m meanwhile",
    }
    refused = merge(executable=wrapped("push", meanwhile[system.kind]))
    assert refused["msg"].startswith("E-target-moved ")
    assert system.tip(site.pqm) == old
    assert system.contents(site.pqm) == files
    done = merge()
    assert done["steps"] == [*CLEARED[system.kind], ADVANCED[system.kind], *DONE]
    assert done["revno"] == 4


@in_both
def test_check_mode_changes_nothing_and_foretells(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    ahead = system.commit(site.devel, {"lib/lp/new.py": "x = 1\n"}, "[r=jml][bug=6] Ahead of PQM's tree.")
    (site.pqm / "README").write_text("a change that somebody left\n")
    before = state(system, site)
    foretold = merge(check=True)
    assert state(system, site) == before
    done = merge()
    for key in ("changed", "revno", "files", "steps", "source_revid", "diff"):
        assert foretold[key] == done[key], key
    assert foretold["revid"] is None
    assert done["steps"] == [*CLEARED[system.kind], ADVANCED[system.kind], *DONE]
    assert done["parents"][0] == ahead
    assert (site.pqm / "lib/lp/new.py").exists()
    assert (site.pqm / "README").read_text() == "A service.\n"


def test_check_mode_leaves_no_reference_behind(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    references = git_branches.git(site.pqm, "for-each-ref")
    assert merge(check=True)["changed"]
    assert git_branches.git(site.pqm, "for-each-ref") == references


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
    done = run_module("merge", arguments, env=env)
    assert done["steps"][2:] == DONE, done.get("msg")


def test_a_tree_of_somebody_elses_is_read(merge: Callable[..., dict[str, Any]], site: Site) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a repository away")
    for path in (site.db_stable, *site.db_stable.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    assert merge()["changed"]


@pytest.fixture
def server(site: Site) -> Iterator[str]:
    """The URL of a real Bazaar server over the site."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    where = ["--listen", "127.0.0.1", "--port", str(port), "--directory", str(site.devel.parent)]
    command = [COLD_BRZ, "serve", "--allow-writes", *where]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on port" in line:
            break
    yield f"bzr://127.0.0.1:{port}/"
    process.terminate()
    process.communicate()


@in_bazaar
def test_over_a_bazaar_server(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, server: str
) -> None:
    """With the client as a host has it."""
    remote = {"source": server + "db-stable", "push_to": server + "devel", "executable": COLD_BRZ}
    assert merge(check=True, **remote)["changed"]
    done = merge(**remote)
    assert (done["revno"], done["revid"]) == system.tip(site.devel)
    assert merge(**remote)["already_merged"]


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
