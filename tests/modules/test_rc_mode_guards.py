"""RC mode without PQM: git's `update` hook at real pushes, and the site's own commands (R13)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollout.decisions import rc_check
from tests.modules.playing import Played, play

WHO = {f"GIT_{who}_{what}": "dev@lab.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
REASON = "2026-12"
Switch = Callable[..., dict[str, Any]]


@dataclass
class Site:
    """A repository that everybody pushes to, guarded by the hook, and a developer's clone of it."""

    repository: Path
    clone: Path

    @property
    def state(self) -> Path:
        return self.repository / "rc_mode.conf"

    @property
    def hook(self) -> Path:
        return self.repository / "hooks/update"

    def git(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "-C", str(self.clone), *words]
        return subprocess.run(argv, env=environment, check=check, capture_output=True, text=True)

    def commit(self, message: str) -> str:
        (self.clone / f"{len(list(self.clone.iterdir()))}-{message[-8:]}.py").write_text(message + "\n")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *words: str) -> tuple[bool, str]:
        """Whether it landed, and what the developer reads."""
        done = self.git("push", "origin", *(words or ("main",)), check=False)
        return done.returncode == 0, done.stderr

    def back(self) -> None:
        """The developer gives up what did not land."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-B", "main", "origin/main")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "service.git", tmp_path / "clone")
    made.clone.mkdir()
    made.git("init", "-q", "--bare", "-b", "main", str(made.repository))
    made.git("init", "-q", "-b", "main")
    made.git("remote", "add", "origin", f"file://{made.repository}")
    made.commit("Start.")
    made.git("push", "-q", "origin", "main", "main:db", "main:topic")
    install(made)
    made.state.write_text("[main]\ncommit_re = (?s).*\nmerges = db\n")
    return made


def install(site: Site) -> None:
    site.hook.write_text(rc_check.hook(), encoding="utf-8")
    site.hook.chmod(0o755)


@pytest.fixture
def switch(site: Site, run_module: Callable[..., dict[str, Any]]) -> Switch:
    """`switch(state, check=False, **options)`: the module, on the host of the repository."""

    def run(state: str, check: bool = False, **options: Any) -> dict[str, Any]:
        common = {"kind": "hook", "repository": str(site.repository), "branch": "main", "merges": "db", "vcs": "git"}
        more = {"state": state, "reason": REASON, "location": f"{site.repository}#main"}
        return run_module("rc_mode", {**common, **more, **options}, check, diff=True)

    return run


def ok(result: dict[str, Any]) -> dict[str, Any]:
    assert not result["failed"], result["msg"]
    return result


def refused(landed: tuple[bool, str]) -> str:
    assert not landed[0], landed[1]
    return " ".join(landed[1].replace("remote: ", "").split())


def test_into_rc_mode_and_out_of_it(site: Site, switch: Switch) -> None:
    site.state.unlink()
    entered = ok(switch("rc", clock_offset=-3600))
    assert (entered["changed"], entered["in_rc_mode"], entered["ours"], entered["as_before"]) == (
        True,
        True,
        True,
        True,
    )
    objects = sorted((site.repository / "objects").rglob("*"))
    assert ok(switch("rc"))["changed"] is False
    assert sorted((site.repository / "objects").rglob("*")) == objects, "trying the hook leaves nothing"
    assert site.state.stat().st_mode & 0o777 == 0o644

    new = site.commit("Mend it.")
    said = refused(site.push())
    assert (
        f"E-rc-mode main is in RC mode since {entered['since']} for 2026-12: only what is release-critical lands"
        in said
    )
    assert f"{new[:10]} the branch is in RC mode: a message needs [release-critical=NAME]" in said
    assert "found 'Mend it.'" in said
    assert "git rebase -i" in said
    assert "Otherwise it lands once the rollout has ended RC mode." in said

    site.git("commit", "-q", "--amend", "-m", "[release-critical=jml] Mend it.")
    assert site.push()[0]
    assert ok(switch("open", check=True))["why"].startswith("main 2 stands")
    left = ok(switch("open"))
    assert (left["changed"], left["in_rc_mode"]) == (True, False)
    assert site.state.read_text() == "[main]\ncommit_re = (?s).*\nmerges = db\n"
    site.commit("Anything.")
    assert site.push()[0]


def test_each_commit_of_the_branchs_own_line_is_looked_at(site: Site, switch: Switch) -> None:
    ok(switch("rc"))
    site.commit("[release-critical=jml] One.")
    second = site.commit("Two.")
    site.commit("[release-critical=jml] Three.")
    assert second[:10] in refused(site.push())
    site.back()

    site.git("checkout", "-q", "-b", "fix")
    site.commit("Work.")
    site.commit("More of it.")
    site.git("checkout", "-q", "main")
    site.git("merge", "-q", "--no-ff", "-m", "[release-critical=jml] Merge the fix.", "fix")
    assert site.push()[0], "what a release-critical merge brings is release-critical"

    site.git("checkout", "-q", "-b", "other", "main")
    site.commit("Ordinary.")
    site.git("merge", "-q", "--no-ff", "-m", "[release-critical=jml] Catch up.", "origin/main")
    assert "Ordinary." in refused(site.push("other:main")), "a merge the wrong way round brings its own line"


def test_the_runbooks_own_merge_lands_and_what_is_only_called_so_does_not(site: Site, switch: Switch) -> None:
    ok(switch("rc"))
    site.git("checkout", "-q", "-b", "db")
    site.commit("A patch.")
    site.git("checkout", "-q", "main")
    site.git("merge", "-q", "--no-ff", "-m", "Merge db 2.", "db")
    assert site.push()[0]
    site.commit("Merge db 3.")
    assert "it is called the merge of db, and is no merge" in refused(site.push())
    site.back()
    site.git("checkout", "-q", "-b", "elsewhere", "HEAD~1")
    site.commit("Other work.")
    site.git("checkout", "-q", "main")
    site.git("merge", "-q", "--no-ff", "-m", "Merge elsewhere 3.", "elsewhere")
    assert "found 'Merge elsewhere 3.'" in refused(site.push())


def test_the_module_merge_lands_in_rc_mode_and_so_does_its_back_out(
    site: Site, switch: Switch, run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """From any host with a checkout, by an ordinary push: neither needs PQM."""
    site.git("checkout", "-q", "-b", "db")
    site.commit("A patch.")
    assert site.push("db")[0]
    ok(switch("rc"))
    tree, url = tmp_path / "tree", f"file://{site.repository}"
    site.git("clone", "-q", "-b", "main", url, str(tree))
    common = {"vcs": "git", "tree": str(tree), "push_to": f"{url}#main", "committer": "Rollout <rollout@lab.example>"}
    merged = ok(run_module("merge", {**common, "source": f"{url}#db", "revision": 2, "revid": None}))
    assert merged["changed"]
    back = {
        "revno": merged["revno"],
        "revid": merged["revid"],
        "what": "db 2",
        "reason": "it is slow",
        "approver": "losa",
    }
    assert ok(run_module("merge_back_out", {**common, **back}))["changed"]
    left = ok(switch("open", check=True))
    assert (left["as_before"], left["ours"]) == (True, True), left["why"]


def played(site: Site, directory: Path, playbook: str, **more: Any) -> Played:
    """A playbook of RC mode, on a site that has neither PQM nor a channel."""
    given = {
        "rollout": {"id": REASON},
        "claim_host": "",
        "rc_mode_kind": "hook",
        "rc_mode_repository": str(site.repository),
        "rc_mode_branch": "main",
        "rc_mode_merges": "db",
        "rc_mode_location": f"{site.repository}#main",
        "rc_mode_vcs": "git",
    }
    return play(playbook, directory, more.pop("groups", ["rc_mode"]), {**given, **more})


def test_the_stages_of_a_site_with_neither_pqm_nor_a_channel(site: Site, tmp_path: Path) -> None:
    entered = played(site, tmp_path, "rc_mode_enter")
    assert entered.code == 0, entered.output
    assert entered.told["evidence"][0].startswith("on rc_mode-host: main is in RC mode since 20")
    assert entered.told["evidence"][-1] == "no channel says so"
    site.commit("Mend it.")
    refused(site.push())
    site.hook.chmod(0o644)
    broken = played(site, tmp_path, "rc_mode_enter")
    assert broken.code == 2
    assert "E-rc-mode-hook" in broken.output
    early = played(site, tmp_path, "rc_mode_end_early")
    assert (early.code, early.told["released"]) == (0, True), early.output
    assert played(site, tmp_path, "rc_mode_leave").code == 0
    assert "rc_since" not in site.state.read_text()


def test_history_stays_in_rc_mode(site: Site, switch: Switch) -> None:
    start = site.git("rev-parse", "HEAD").stdout.strip()
    site.commit("Work.")
    assert site.push()[0]
    site.git("-C", str(site.repository), "config", "receive.denyDeletes", "false")
    site.git("-C", str(site.repository), "symbolic-ref", "HEAD", "refs/heads/topic")
    ok(switch("rc"))
    site.git("reset", "-q", "--hard", start)
    site.commit("[release-critical=jml] Instead.")
    assert "neither taken away, made anew nor moved back now" in refused(site.push("--force", "main"))
    assert "neither taken away" in refused(site.push("--delete", "main"))
    ok(switch("open"))
    assert site.push("--force", "main")[0], "of an open branch the repository's own settings decide"
    assert site.push("--delete", "main")[0]


def test_other_branches_and_tags_are_free(site: Site, switch: Switch) -> None:
    ok(switch("rc"))
    site.commit("Anything.")
    site.git("tag", "v1")
    assert site.push("main:topic", "main:new", "v1")[0]


def test_an_open_branch_has_its_own_expression(site: Site, switch: Switch) -> None:
    site.state.write_text("[main]\ncommit_re = \\[r=[^]]+\\]\nmerges = db\n")
    site.commit("Mend it.")
    said = refused(site.push())
    assert "E-rc-mode main is guarded; this is not let in:" in said
    assert "release-critical?" not in said
    site.git("commit", "-q", "--amend", "-m", "[r=jml] Mend it.")
    assert site.push()[0]


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (None, "No such file or directory"),
        ("", "it names no branch"),
        ("[main]\n", "section [main] has no commit_re"),
        ("[main]\ncommit_re = (\n", "commit_re is no regular expression"),
        ("[main\n", "no section headers"),
        ("\xff\xfe", "can't decode byte"),
    ],
)
def test_a_broken_file_lets_nothing_land_and_says_what_to_do(site: Site, state: str | None, says: str) -> None:
    site.state.unlink()
    if state is not None:
        site.state.write_bytes(state.encode("latin-1"))
    site.commit("[release-critical=jml] Mend it.")
    said = refused(site.push())
    assert f"E-rc-mode-file {site.state}: " in said
    assert says in said
    assert "Mend it, or take hooks/update away if no branch is to be guarded." in said
    if state != "[main]\n" and state != "[main]\ncommit_re = (\n":
        assert "Nothing lands on any branch" in refused(site.push("main:topic"))
    site.git("tag", "v1")
    assert site.push("v1")[0], "a tag is on no branch"


def test_it_runs_as_another_user_with_nothing_but_the_standard_library(site: Site, switch: Switch) -> None:
    ok(switch("rc"))
    site.hook.write_text(rc_check.hook().replace("#!/usr/bin/env python3", f"#!{sys.executable} -IS", 1))
    site.commit("Mend it.")
    assert "E-rc-mode main is in RC mode" in refused(site.push())


def test_who_guards_nobody_is_found_out(site: Site, switch: Switch) -> None:
    site.hook.chmod(0o644)
    failed = switch("rc")
    assert failed["failed"]
    assert f"{site.hook} is not there, or may not be run, so nobody guards main as the file says" in failed["msg"]
    assert "./runbook.py rc-check --hook" in failed["msg"]
    site.hook.write_text("#!/bin/sh\nexit 0\n")
    site.hook.chmod(0o755)
    assert "an ordinary commit would land" in switch("rc")["msg"]
    site.hook.write_text("#!/bin/sh\necho nobody may >&2\nexit 1\n")
    told = switch("rc")["msg"]
    assert "what is release-critical would not land" in told
    assert "says: nobody may" in told
    install(site)
    assert "the merge of staging would not land" in switch("rc", merges="staging")["msg"]
    assert ok(switch("rc"))["in_rc_mode"]
    shutil.rmtree(site.hook.parent)
    assert not ok(switch("open"))["in_rc_mode"], "leaving does not depend on it"


def test_a_hook_of_the_sites_own_may_call_it(site: Site, switch: Switch) -> None:
    site.hook.rename(site.hook.with_name("rc_check.py"))
    site.hook.write_text('#!/bin/sh\nexec "$(dirname "$0")/rc_check.py" "$@"\n')
    site.hook.chmod(0o755)
    ok(switch("rc"))
    site.commit("Mend it.")
    assert "E-rc-mode main is in RC mode" in refused(site.push())


def test_another_rollouts_rc_mode_is_left_alone(switch: Switch) -> None:
    ok(switch("rc"))
    assert switch("rc", reason="2027-01")["msg"].startswith("E-rc-mode-taken  main is in RC mode already, for 2026-12")
    assert switch("open", reason="2027-01")["failed"]
    assert ok(switch("open", reason="2027-01", take_over=[REASON]))["changed"]


# -- the site's own commands


@pytest.fixture
def commands(site: Site, switch: Switch, tmp_path: Path) -> Switch:
    """The same with commands that keep their state in the file `on`, and note each call in `calls`."""

    def words(name: str, script: str) -> list[str]:
        return ["/bin/sh", "-c", f"cd {tmp_path}; echo {name} >> calls; {script}"]

    given = {
        "kind": "command",
        "path": str(tmp_path / "rc_mode.conf"),
        "enter_command": words("enter", "touch on"),
        "leave_command": words("leave", "rm on"),
        "state_command": ["/bin/sh", "-c", f"test -e {tmp_path}/on"],
    }
    return lambda state, check=False, **options: switch(state, check, **{**given, **options})


def test_the_sites_own_commands(commands: Switch, tmp_path: Path) -> None:
    assert ok(commands("rc", check=True))["in_rc_mode"] is False
    assert not (tmp_path / "calls").exists()
    entered = ok(commands("rc"))
    assert (entered["in_rc_mode"], entered["ours"], entered["reason"]) == (True, True, REASON)
    assert ok(commands("rc"))["changed"] is False
    assert (tmp_path / "calls").read_text() == "enter\n"
    assert ok(commands("rc", check=True))["in_rc_mode"]

    (tmp_path / "on").unlink()
    assert "says that RC mode is not on, and it was entered" in commands("rc", check=True)["msg"]
    ok(commands("rc"))
    assert ok(commands("open"))["in_rc_mode"] is False
    assert (tmp_path / "calls").read_text() == "enter\nenter\nleave\n"
    assert ok(commands("open"))["changed"] is False


def test_a_command_that_fails_or_does_nothing(commands: Switch) -> None:
    failed = commands("rc", enter_command=["/bin/sh", "-c", "echo no right; exit 4"])
    assert "ended with 4 (no right)" in failed["msg"]
    assert "says that RC mode is not on" in commands("rc", enter_command=["/bin/true"])["msg"]
    ok(commands("rc"))
    failed = commands("open", leave_command=["/bin/false"])
    assert failed["failed"]
    assert ok(commands("rc", check=True))["ours"], "it is still on, and still on record"
    assert "0 for RC mode or 1 was expected" in commands("rc", state_command=["/bin/sh", "-c", "exit 7"])["msg"]
    assert "cannot be run" in commands("rc", state_command=["/nonexistent"])["msg"]
    assert "needs rc_mode_state_command in the inventory" in commands("rc", state_command=[])["msg"]


def test_rc_mode_that_somebody_else_entered_is_left_alone(commands: Switch, tmp_path: Path) -> None:
    (tmp_path / "on").touch()
    assert "E-rc-mode-taken  main is in RC mode already, for nobody" in commands("rc")["msg"]
    assert ok(commands("open"))["changed"] is False
    assert (tmp_path / "on").exists()
    assert ok(commands("rc", take_over=["nobody"]))["in_rc_mode"]
