"""The rc_mode module on real files and real branches, Bazaar's and git's (R13)."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.merge import rc_mode

from . import bzr_branches

CONFIG = f"# PQM\r\n[devel]\ncommit_re = {rc_mode.OPEN}\nverify = make\n    check\n[db-devel]\ncommit_re: ^%(x)"
REASON = "2026-12"
MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"


@dataclass
class Branch:
    """A branch that a test commits to: its kind, path, and `commit(files, message) -> revid`."""

    vcs: str
    path: Path
    commit: Callable[[dict[str, str], str], str]


def git(path: Path, *argv: str) -> str:
    who = [word for key in ("name", "email") for word in ("-c", f"user.{key}=pqm@lab.example")]
    argv = ("git", "-C", str(path), *who, *argv)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(params=["bzr", "git"])
def devel(request, tmp_path) -> Branch:
    """A branch with two revisions."""
    path = tmp_path / "devel"
    if request.param == "bzr":
        bzr_branches.create(path, {"app.py": "one\n"})
        branch = Branch("bzr", path, lambda files, message: bzr_branches.commit(path, files, message))
    else:
        path.mkdir()
        git(path, "init", "-q", "-b", "devel")

        def commit(files: dict[str, str], message: str) -> str:
            for name, text in files.items():
                (path / name).write_text(text)
            git(path, "add", "-A")
            git(path, "commit", "-q", "-m", message)
            return git(path, "rev-parse", "HEAD")

        branch = Branch("git", path, commit)
        commit({"app.py": "one\n"}, "Start.")
    branch.commit({"app.py": "two\n"}, "[r=jml][bug=1] Two.")
    return branch


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "pqm.conf"
    path.write_bytes(CONFIG.encode())
    path.chmod(0o640)
    return path


@pytest.fixture
def switch(run_module, config, devel):
    """`switch(state, check=False, **options)`: the module on the file and the branch."""

    def run(state: str, check: bool = False, **options: Any) -> dict[str, Any]:
        executable = bzr_branches.BRZ if devel.vcs == "bzr" else "git"
        args = {"path": str(config), "state": state, "reason": REASON, "location": str(devel.path), "vcs": devel.vcs}
        return run_module("rc_mode", {**args, "executable": executable, **options}, check, diff=True)

    return run


def ok(result: dict[str, Any]) -> dict[str, Any]:
    assert not result["failed"], result["msg"]
    return result


def lines(config: Path) -> dict[str, str]:
    """The options of both sections, as they are written."""
    pairs = [line.split(" = ", 1) for line in config.read_text().splitlines() if " = " in line]
    return {pair[0]: pair[1] for pair in pairs}


def test_into_rc_mode_and_out_of_it(switch, config, devel):
    assert ok(switch("open", check=True))["tip"] is None
    entered = ok(switch("rc", clock_offset=-3600))
    assert (entered["changed"], entered["in_rc_mode"], entered["ours"]) == (True, True, True)
    assert entered["commit_re"] == rc_mode.RC
    assert entered["as_before"]
    assert entered["why"] == "devel is as before, at 2"
    written, tip = lines(config), entered["tip"]
    assert tip["revno"] == 2
    assert (written["rc_for"], written["rc_tip"]) == (REASON, tip["revid"])
    assert written["commit_re_open"] == rc_mode.OPEN
    assert written["rc_since"] == entered["since"]
    assert rc_mode.configured(config.read_text(), "devel") == (True, rc_mode.OPEN)
    assert not ok(switch("rc", clock_offset=3600))["changed"]
    left = ok(switch("open"))
    assert (left["changed"], left["in_rc_mode"], left["since"], left["dropped"]) == (True, False, None, None)
    assert config.read_bytes() == CONFIG.encode()
    assert not ok(switch("open"))["changed"]


def test_check_mode_says_what_it_would_do_and_does_nothing(switch, config):
    result = ok(switch("rc", check=True))
    assert (result["changed"], result["in_rc_mode"]) == (True, False)
    assert "rc_for = 2026-12" in result["diff"]["after"]
    assert result["diff"]["before"] == CONFIG
    assert config.read_bytes() == CONFIG.encode()
    ok(switch("rc"))
    entered = config.read_bytes()
    result = ok(switch("open", check=True))
    assert (result["changed"], result["in_rc_mode"], result["diff"]["after"]) == (True, True, CONFIG)
    assert config.read_bytes() == entered


def test_as_before_until_something_lands_and_again_when_it_is_taken_back(switch, devel):
    ok(switch("rc"))
    devel.commit({"app.py": "three\n"}, "Merge db-stable 10381.\n\nMore of it.")
    found = ok(switch("open", check=True))
    assert (found["as_before"], found["why"]) == (False, "devel 3 stands: Merge db-stable 10381.")
    devel.commit({"app.py": "four\n"}, "[release-critical=jml] Mend it.")
    why = ok(switch("open", check=True))["why"]
    assert why == ("2 revisions landed in devel since 2: 3 Merge db-stable 10381.; 4 [release-critical=jml] Mend it.")
    devel.commit({"app.py": "two\n"}, "Back out 3 and 4.")
    found = ok(switch("open", check=True))
    assert (found["as_before"], found["why"]) == (True, "devel 5 has the content of 2: what landed was taken back")


@pytest.mark.parametrize("devel", ["git"], indirect=True)
def test_what_lands_while_it_is_switched_belongs_to_how_it_was_before(switch, config, devel, tmp_path):
    """PQM had taken it already. The client is the real one; after its first look at the tip something lands."""
    client, landed = tmp_path / "client", tmp_path / "landed"
    commit = f"git -C {devel.path} -c user.name=pqm -c user.email=pqm commit -q --allow-empty -m Late."
    client.write_text(
        '#!/bin/sh\ngit "$@" || exit\n'
        f'case "$*" in *--count*) [ -e {landed} ] || {{ touch {landed}; {commit} >&2; }} ;; esac\n'
    )
    client.chmod(0o755)
    entered = ok(switch("rc", executable=str(client)))
    assert landed.exists()
    assert (entered["tip"]["revno"], entered["as_before"]) == (3, True)
    assert lines(config)["rc_tip"] == git(devel.path, "rev-parse", "HEAD")
    ok(switch("open"))
    assert config.read_bytes() == CONFIG.encode()


def test_a_mode_is_content_too(switch, devel):
    ok(switch("rc"))
    (devel.path / "app.py").chmod(0o755)
    devel.commit({}, "Make it a program.")
    assert not ok(switch("open", check=True))["as_before"]


def test_a_branch_that_was_overwritten_is_not_as_before(switch, config):
    ok(switch("rc"))
    tip = lines(config)["rc_tip"]
    other = tip[:-4] + ("0000" if not tip.endswith("0000") else "1111")
    config.write_text(config.read_text().replace(tip, other))
    found = ok(switch("open", check=True))
    assert not found["as_before"]
    assert "not part of it any more" in found["why"]


def test_edits_of_others_in_between_stay(switch, config):
    ok(switch("rc"))
    edited = config.read_bytes().replace(b"# PQM\r\n", b"# PQM, see the wiki\r\n") + b"\n[stable]\ncommit_re = ^x\n"
    config.write_bytes(edited.replace(rc_mode.RC.encode(), rb"^\[release-critical=NAME\]|^\[testfix\]\[release-crit"))
    result = ok(switch("open"))
    assert result["dropped"] == r"^\[release-critical=NAME\]|^\[testfix\]\[release-crit"
    expected = CONFIG.replace("# PQM\r\n", "# PQM, see the wiki\r\n") + "\n[stable]\ncommit_re = ^x\n"
    assert config.read_bytes() == expected.encode()


def test_rc_mode_of_another_rollout_is_left_alone_until_it_is_named(switch, config):
    ok(switch("rc", reason="2026-11, by hand"))
    since, before = lines(config)["rc_since"], config.read_bytes()
    for state, playbook in (("rc", "rc_mode_enter"), ("open", "rc_mode_leave")):
        result = switch(state)
        assert result["failed"]
        first, *rest = result["msg"].splitlines()
        assert first == (
            f"E-rc-mode-taken  devel is in RC mode already, for 2026-11, by hand since {since},"
            f" not for 2026-12 ({config})."
        )
        typed = shlex.split(rest[1])
        assert typed[:4] == ["ansible-playbook", f"playbooks/{playbook}.yml", "-e", "@PLAN"]
        assert json.loads(typed[5]) == {"rc_mode_take_over": ["2026-11, by hand"]}
        assert switch(state, take_over=["2026-10"])["failed"]
        assert not ok(switch(state, check=True))["ours"]
    assert config.read_bytes() == before
    tip = lines(config)["rc_tip"]
    assert ok(switch("rc", take_over=["2026-11, by hand"]))["changed"]
    assert (lines(config)["rc_for"], lines(config)["rc_since"], lines(config)["rc_tip"]) == (REASON, since, tip)
    ok(switch("open"))
    assert config.read_bytes() == CONFIG.encode()


def test_rc_mode_set_by_hand_that_says_nothing_of_itself(switch, config):
    by_hand = CONFIG.replace("commit_re =", f"commit_re = {rc_mode.RC}\ncommit_re_open =", 1)
    config.write_bytes(by_hand.encode())
    result = switch("open")
    assert "for nobody since nobody knows when" in result["msg"]
    ok(switch("open", take_over=["nobody"]))
    assert config.read_bytes() == CONFIG.encode()


def test_mode_owner_and_link_are_kept(switch, config, tmp_path):
    real = tmp_path / "etc" / "real.conf"
    real.parent.mkdir()
    config.rename(real)
    config.symlink_to("etc/real.conf")
    owner = (12345, 54321) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(real, *owner)
    ok(switch("rc"))
    assert config.is_symlink()
    found = real.stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o640, *owner)
    assert [path.name for path in real.parent.iterdir()] == ["real.conf"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
def test_another_users_file_is_not_made_ours(config):
    """In a directory that we may write to: replaced by us, PQM might not be able to read it any more."""
    os.chown(config, 12345, 54321)
    code = (
        "import sys, ansible.module_utils as utils; utils.__path__.append(sys.argv[2])\n"
        "from plugins.module_utils.rollout_host.rc_mode.configuration import Configuration\n"
        "Configuration(sys.argv[1]).replace('x')"
    )
    without_chown = ["setpriv", "--bounding-set=-chown", sys.executable, "-c", code, config, MODULE_UTILS]
    done = subprocess.run(without_chown, capture_output=True, text=True, check=False)
    assert f"E-rc-mode-file  {config} belongs to 12345:54321, and this is user 0" in done.stderr
    assert config.read_bytes() == CONFIG.encode()
    assert list(config.parent.glob(".pqm*")) == []


def test_what_somebody_else_writes_meanwhile_is_not_lost(config):
    code = (
        "import sys, pathlib, ansible.module_utils as utils; utils.__path__.append(sys.argv[2])\n"
        "from plugins.module_utils.rollout_host.rc_mode.configuration import Configuration\n"
        "file = Configuration(sys.argv[1]); pathlib.Path(sys.argv[1]).write_text('theirs'); file.replace('ours')"
    )
    argv = [sys.executable, "-c", code, config, MODULE_UTILS]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "was changed by somebody else just now" in done.stderr
    assert config.read_text() == "theirs"
    assert list(config.parent.glob(".pqm*")) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no file"),
        ("[db-devel]\ncommit_re = x\n", "no section [devel]; there are: db-devel."),
        ("[devel]\nx = 1\n", "section [devel] has no commit_re, the expression"),
        ("[devel]\ncommit_re = (\n", "commit_re is no regular expression"),
        (b"[devel]\ncommit_re = \xe9\n", "cannot be read: 'utf-8' codec"),
    ],
)
def test_a_configuration_that_cannot_be_switched(switch, config, content, says):
    config.unlink()
    if content is not None:
        config.write_bytes(content if isinstance(content, bytes) else content.encode())
    for state in ("rc", "open"):
        result = switch(state)
        assert result["failed"]
        assert result["msg"].startswith("E-rc-mode-file  ")
        assert says in result["msg"]
    assert content is None or config.read_bytes() == (content if isinstance(content, bytes) else content.encode())


def test_rc_mode_is_not_entered_without_the_branch_but_left(switch, config, tmp_path):
    nowhere = str(tmp_path / "nowhere")
    result = switch("rc", location=nowhere)
    assert result["msg"].startswith("E-branch  devel cannot be read: ")
    assert config.read_bytes() == CONFIG.encode()
    ok(switch("rc"))
    assert ok(switch("open", location=nowhere))["changed"]
    assert config.read_bytes() == CONFIG.encode()


@pytest.mark.parametrize("reason", ["", " x", "a\nb"])
def test_a_reason_is_one_line(switch, config, reason):
    assert switch("rc", reason=reason)["msg"].startswith("E-bad-reason  ")
    assert config.read_bytes() == CONFIG.encode()
