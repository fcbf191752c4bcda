"""What PQM lets land, when a branch is open and in RC mode (R13): the rule, the command, the file for PQM's host."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import messages, rc_mode
from rollout import ROOT
from rollout.decisions import rc_check
from rollout.outcomes import BadInputError, ExitCode

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "messages.yml").read_text())
CONFIG = HERE / "pqm.conf"
APPROVERS = {"lead": "flacoste", "architect": "barry", "strategist": "sabdfl"}


def check(message, *, in_rc_mode, **given):
    return rc_mode.check(message, in_rc_mode=in_rc_mode, approvers=APPROVERS, **given)


def command(message, *arguments):
    argv = [ROOT / "runbook.py", "rc-check", *arguments]
    return subprocess.run(argv, input=message.encode(), capture_output=True, check=False)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_message(case):
    when_open = check(case["message"], in_rc_mode=False, pinned=10381)
    in_rc_mode = check(case["message"], in_rc_mode=True, pinned=10381)
    assert (when_open.lands, in_rc_mode.lands) == (case["open"], case["rc"])
    assert dict(when_open.release_critical) == dict(in_rc_mode.release_critical) == case.get("names", {})
    assert when_open.exempt is in_rc_mode.exempt is case.get("exempt", False)


def test_without_a_pin_the_form_of_the_merge_is_enough():
    answer = check("Merge db-stable 10380.", in_rc_mode=True)
    assert (answer.lands, answer.exempt) == (True, True)
    assert "not said" in answer.reason


def test_reasons_say_what_is_expected_and_what_was_found():
    assert check("Fix it.", in_rc_mode=False).reason == (
        "a message begins with [r=NAME], [rs=NAME] or [release-critical=NAME], after [testfix] if it is one; "
        "found 'Fix it.'"
    )
    assert "needs [release-critical=NAME] among the tags at its beginning (R13); found '[r=jml] x'" in (
        check("[r=jml]\n\tx", in_rc_mode=True).reason
    )
    assert "10380 is not the pinned revision, which is 10381 (R8)" in (
        check("Merge db-stable 10380.", in_rc_mode=True, pinned=10381).reason
    )
    assert "jml, who claims" in check("[release-critical=jml] x", in_rc_mode=True).reason
    assert "flacoste, the project lead" in check("[release-critical=flacoste] x", in_rc_mode=True).reason


@given(st.text() | st.text("[]=,: \n\trselascritical-tfx", max_size=60), st.booleans())
def test_any_message_gets_an_answer(message, in_rc_mode):
    answer = check(message, in_rc_mode=in_rc_mode)
    assert answer.reason
    assert answer.lands or not answer.exempt


@given(st.text("[]=,: \n\trelease-critical-f", max_size=80).map("[release-critical=x{}".format) | st.text())
def test_who_lands_in_rc_mode_is_named_in_the_message(message):
    """Never without a name, and every name is one that the parser of QA finds too."""
    answer = check(message, in_rc_mode=True)
    names = {name for name, _ in answer.release_critical}
    assert answer.exempt or answer.lands == bool(names)
    assert names <= set(messages.parse(message).release_critical)


# -- the command ------------------------------------------------------------------------------------------------------


def test_json():
    message = "[release-critical=lab-lead,\n\tjml][r=jml] Mend the merge."
    answered = command(message, "--mode", "rc", "--branch", "devel", "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, b"")
    found = json.loads(answered.stdout)
    assert found.pop("reason").startswith("release-critical by lab-lead, the project lead and jml, who claims")
    assert found == {
        "branch": "devel",
        "mode": "rc",
        "lands": True,
        "exempt": False,
        "release_critical": [{"name": "lab-lead", "role": "lead"}, {"name": "jml", "role": None}],
    }


@pytest.mark.parametrize(
    ("message", "arguments", "code", "says"),
    [
        ("[r=jml] x", [], ExitCode.DONE, "lands · the branch is open"),
        ("[r=jml] x", ["--mode", "rc"], ExitCode.REFUSED, "refused · the branch is in RC mode"),
        ("Merge db-stable 10381.\n", ["--mode", "rc", "--pinned", "10381"], ExitCode.DONE, "the one pinned"),
        ("Merge db-stable 10381.\n", ["--mode", "rc", "--pinned", "10380"], ExitCode.REFUSED, "not the pinned"),
        ("[r=jml] x", ["--config", CONFIG, "--branch", "devel"], ExitCode.REFUSED, "the branch is in RC mode"),
        ("[r=jml] x", ["--config", CONFIG, "--branch", "devel", "--mode", "open"], ExitCode.DONE, "lands"),
        ("[r=jml] x", ["--config", CONFIG, "--branch", "stable"], ExitCode.DONE, "lands"),
        ("[r=jml][bug=1] x", ["--config", CONFIG, "--branch", "db-devel"], ExitCode.DONE, "lands"),
        ("[r=jml] x", ["--config", CONFIG, "--branch", "db-devel"], ExitCode.REFUSED, "begins with what matches (?i)"),
        (
            "[r=jml] x",
            ["--config", CONFIG, "--branch", "nix"],
            ExitCode.BAD_INPUT,
            "no section [nix]; there are: devel",
        ),
        ("[r=jml] x", ["--config", CONFIG], ExitCode.BAD_INPUT, "--config takes --branch NAME"),
    ],
)
def test_command(message, arguments, code, says):
    answered = command(message, *arguments)
    assert answered.returncode == code
    assert says in (answered.stdout + answered.stderr).decode()


def test_the_branch_that_rollouts_merge_is_the_files(tmp_path):
    (tmp_path / "rc_mode.conf").write_text("[main]\ncommit_re = x\ncommit_re_open = .*\nmerges = db\n")
    config = ["--config", tmp_path / "rc_mode.conf", "--branch", "main"]
    assert command("Merge db 12.", *config).returncode == ExitCode.DONE
    assert command("Merge db-stable 12.", *config).returncode == ExitCode.REFUSED


def test_bytes_that_are_no_text_are_no_error():
    argv = [ROOT / "runbook.py", "rc-check"]
    answered = subprocess.run(argv, input=b"[r=jml] \xff\xfe", capture_output=True, check=False)
    assert answered.returncode == ExitCode.DONE


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("commit_re = x\n", r"no section headers.*line: 1"),
        ("[devel]\ncommit_re\n", r"parsing errors.*line +2\]"),
        ("[devel]\n[devel]\n", r"line +2\].*section 'devel' already exists"),
        ("[devel]\ncommit_re = x\ncommit_re = y\n", r"line +3\].*option 'commit_re' in section 'devel' already exists"),
        ("[devel]\n", r"section \[devel\] has no commit_re"),
        ("[devel]\ncommit_re = x\ncommit_re_open =\n", r"section \[devel\] has no commit_re_open"),
        ("[devel]\ncommit_re = [\n", r"section \[devel\]: commit_re is no regular expression"),
    ],
)
def test_a_configuration_that_says_nothing(text, says, tmp_path):
    config = tmp_path / "pqm.conf"
    config.write_text(text)
    with pytest.raises(BadInputError) as refused:
        rc_check.configured(config, "devel")
    assert str(refused.value).startswith(f"E-rc-mode-file  {config}: ")
    assert re.search(says, str(refused.value)), str(refused.value)


@pytest.mark.parametrize("inventory", ["lab", "production"])
def test_every_inventory_names_who_approves(inventory):
    assert set(rc_check.read_approvers(ROOT / "inventories" / inventory / rc_check.APPROVERS)) == set(rc_mode.ROLES)


def test_a_role_too_few_is_bad_input(tmp_path):
    (tmp_path / "approvers.yml").write_text("release_critical_approvers:\n  lead: a\n  architect: b\n")
    with pytest.raises(BadInputError, match=r"approvers.yml:\d+: release_critical_approvers.strategist: is missing"):
        rc_check.read_approvers(tmp_path / "approvers.yml")


# -- the one file for the PQM host ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    """Run it with nothing but the standard library, as git (a file) or a pipe (standard input) would."""
    file = tmp_path_factory.mktemp("host") / "rc_check.py"
    file.write_bytes(
        subprocess.run([ROOT / "runbook.py", "rc-check", "--hook"], capture_output=True, check=True).stdout
    )

    def run(message, *arguments):
        argv = [sys.executable, "-I", "-S", file, *arguments]
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(
            argv, input=message, cwd=file.parent, env=env, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["case"]) for case in CASES if "pinned" not in case["case"]]
)
def test_the_file_says_the_same(case, hook):
    for branch, in_rc_mode in (("devel", True), ("stable", False)):
        expected = rc_mode.check(case["message"], in_rc_mode=in_rc_mode)
        answered = hook(case["message"], CONFIG, branch)
        assert answered.returncode == (0 if expected.lands else 3)
        assert answered.stderr == expected.reason + "\n"


def test_the_file_takes_a_message_file_as_git_gives_it(hook, tmp_path):
    (tmp_path / "COMMIT_EDITMSG").write_text("[release-critical=jml] Mend it.\n")
    assert hook("", CONFIG, "devel", tmp_path / "COMMIT_EDITMSG").returncode == 0
    assert hook("[release-critical=jml] Mend it.\n", CONFIG, "devel", os.devnull).returncode == 3


@pytest.mark.parametrize("arguments", [[], [HERE / "none.conf", "devel"], [CONFIG, "nix"], [CONFIG, "devel", "none"]])
def test_the_file_lets_nothing_land_that_it_cannot_judge(arguments, hook):
    answered = hook("[release-critical=flacoste] x", *arguments)
    assert answered.returncode not in (0, 3)
    assert "Traceback" not in answered.stderr
    assert answered.stderr
