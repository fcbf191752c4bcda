"""What the environment of whoever starts the runbook may decide, and the runbook started in strange ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout import ROOT, environment, inventory

NEW = ("plan", "new", "-i", str(ROOT / "inventories/production"))
CASES = yaml.safe_load(Path(__file__).with_name("variables.yml").read_text(encoding="utf-8"))
LOCALE = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
STRANGE = {
    "ANSIBLE_RUN_TAGS": "deploy",
    "ANSIBLE_FORCE_COLOR": "1",
    "ANSIBLE_STDOUT_CALLBACK": "json",
    "ANSIBLE_CONFIG": "/nonexistent/ansible.cfg",
    "ANSIBLE_INVENTORY_ENABLED": "none",
    "PYTHONHOME": "/nonexistent",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "utf-16",
    "LC_ALL": "C",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_variable_goes_on_or_is_left_out(case: dict[str, Any]) -> None:
    found = environment.ours({case["name"]: case["value"]}, "/checkout", "/")
    of_theirs = {case["name"]: case["value"]} if case["kept"] else {}
    given = {"ANSIBLE_CONFIG": "/checkout/ansible.cfg", "PATH": environment.PATH, **LOCALE}
    assert found.variables == {**of_theirs, **given}
    assert found.left_out == ([case["name"]] if case.get("told") else [])


def test_what_was_made_once_stays_as_it_is() -> None:
    once = environment.ours({case["name"]: case["value"] for case in CASES}, "/checkout", "/home/tom")
    assert environment.ours(once.variables, "/checkout", "/elsewhere") == (once.variables, [])


def test_names_are_told_and_values_are_not() -> None:
    found = environment.ours({case["name"]: case["value"] for case in CASES}, "/checkout", "/")
    line = environment.said(found.left_out)
    assert "\n" not in line
    assert ", ANSIBLE_RUN_TAGS, " in line
    assert "secret" not in line


def test_a_vault_password_file_is_the_same_file_wherever_it_is_read() -> None:
    told = {"ANSIBLE_VAULT_PASSWORD_FILE": "vault", "ANSIBLE_PRIVATE_KEY_FILE": "~/key"}
    found = environment.ours(told, "/checkout", "/home/tom").variables
    assert [found[name] for name in told] == ["/home/tom/vault", "~/key"]


def test_a_users_own_ansible_cfg_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[tags]\nrun = deploy\n")
    (tmp_path / ".ansible.cfg").write_text("[tags]\nrun = deploy\n")
    ours = environment.ours({**os.environ, "HOME": str(tmp_path)}, str(ROOT), str(tmp_path)).variables
    command = [Path(sys.executable).with_name("ansible-config"), "dump", "--only-changed", "--format", "yaml"]
    dumped = subprocess.run(command, cwd=tmp_path, env=ours, capture_output=True, text=True, check=True).stdout
    found = {entry["name"]: entry["value"] for entry in yaml.safe_load(dumped) if "name" in entry}
    assert (found["CONFIG_FILE"], found.get("TAGS_RUN")) == (str(ROOT / "ansible.cfg"), None)


# -- the runbook in strange environments --------------------------------------------------------------------------


def runbook(*words: str, cwd: Path = ROOT, **strange: str) -> subprocess.CompletedProcess[str]:
    known = {name: os.environ[name] for name in ("PATH", "HOME")}
    argv = [str(ROOT / "runbook.py"), *words]
    return subprocess.run(argv, cwd=cwd, env={**known, **strange}, capture_output=True, text=True, check=False)


def test_a_plan_is_made_whatever_the_environment_is(tmp_path: Path) -> None:
    cfg = tmp_path / "elsewhere"
    cfg.mkdir()
    (cfg / "ansible.cfg").write_text("[defaults]\ninventory = /nonexistent\nforce_color = true\n")
    done = runbook(*NEW, cwd=cfg, ROLLOUT_RECORDS=str(tmp_path / "rollouts"), **STRANGE)
    told = environment.said(sorted(STRANGE))
    assert (done.returncode, done.stderr) == (0, f"{told}\n")
    assert list((tmp_path / "rollouts").glob("*/plan.yml"))


@pytest.mark.parametrize(
    "strange",
    [
        {"HOME": "/nonexistent"},
        {"TMPDIR": "/nonexistent"},
        {"TZ": "Nowhere/At_All"},
        {"COLUMNS": "1", "TERM": "dumb"},
        {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": ""},
    ],
    ids=lambda strange: " ".join(strange),
)
def test_what_may_be_strange_does_no_harm(strange: dict[str, str], tmp_path: Path) -> None:
    done = runbook(*NEW, **{"ROLLOUT_RECORDS": str(tmp_path / "rollouts"), **strange})
    assert (done.returncode, done.stderr) == (0, "")


def test_an_environment_that_is_empty_will_do(tmp_path: Path) -> None:
    argv = [sys.executable, str(ROOT / "runbook.py"), *NEW]
    done = subprocess.run(
        argv, cwd=ROOT, env={"ROLLOUT_RECORDS": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_do_no_harm(streams: str, tmp_path: Path) -> None:
    command = f"exec {ROOT}/runbook.py {' '.join(NEW)} {streams}"
    known = {**os.environ, "ROLLOUT_RECORDS": str(tmp_path / "rollouts")}
    done = subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    (made,) = (tmp_path / "rollouts").glob("*/plan.yml")
    assert (done.returncode, done.stderr, made.read_text(encoding="utf-8")[:2]) == (0, "", "# ")


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    again = f"os.execv({sys.executable!r}, [{sys.executable!r}, '-I', {str(ROOT / 'runbook.py')!r}])"
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); {again}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.partition("  ")[0]) == (2, "E-no-directory")


def test_an_answer_of_ansible_is_read_whatever_colours_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_FORCE_COLOR", "1")
    assert inventory.ask(ROOT / "inventories/lab", {"here": "{{ inventory_hostname }}"}) == {"here": "localhost"}
