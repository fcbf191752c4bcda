"""`./runbook.py budget`: logs in, whether they fit out (R2, R9). The rule and the logs: test_budget.py."""

import json
import re
from pathlib import Path

import pytest

from plugins.module_utils.rollout_core.schema.budget import Budget
from plugins.module_utils.rollout_core.schema.patches import Pending
from rollout import ROOT
from rollout.decisions import budget
from rollout.outcomes import BadInputError, ExitCode
from tests.forks.runbook import runbook

HERE = Path(__file__).parent
POLICY = Budget(90, 2, 10)
LOG = """\
2026-12-06 03:03:41,046 INFO    2208-28-1 previously applied 2026-11-11 in 12.0 seconds
2026-12-06 03:03:41,046 INFO    2208-30-0 applied just now in 70.5 seconds
2026-12-06 03:03:41,046 INFO    2208-30-0 applied just now in 70.5 seconds
2026-12-06 03:03:41,047 INFO    2208-31-0 applied just now in 9.0 seconds
"""


def command(*arguments):
    return runbook("budget", *arguments)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "staging_restore.log"
    path.write_text(LOG)
    return path


@pytest.fixture
def pending(tmp_path):
    """A schema directory and production's rows, as options."""
    (tmp_path / "schema").mkdir()
    for name in ("patch-2208-28-1", "patch-2208-30-0", "patch-2208-32-0", "patch-2208-33.0", "launchpad-2208-00-0"):
        (tmp_path / "schema" / f"{name}.sql").touch()
    (tmp_path / "applied.json").write_text("[[2208, 0, 0], [2208, 28, 1], [2208, 31, 0]]")
    return ["--schema", tmp_path / "schema", "--applied", tmp_path / "applied.json"]


def test_json(log):
    answered = command(log, "--json")
    assert (answered.returncode, answered.stderr) == (ExitCode.DONE, "")
    assert json.loads(answered.stdout) == {
        "log": str(log),
        "line": 1,
        "at": "2026-12-06T03:03:41+00:00",
        "patches": {"patch-2208-30-0.sql": 70.5, "patch-2208-31-0.sql": 9.0},
        "aggregate": 79.5,
        "estimate": 759.0,
        "window": 5400.0,
        "factor": 2.0,
        "plus_minutes": 10.0,
        "fits": True,
        "untimed": None,
        "not_pending": None,
        "misnamed": None,
    }


def test_a_person_gets_the_sum_and_then_the_patches(log):
    assert command(log).stdout.splitlines() == [
        "2 patches, 79.5 s on staging → 12.7 min of 90: fits",
        "      70.5 s  patch-2208-30-0.sql",
        "       9.0 s  patch-2208-31-0.sql",
        f"The last restore: {log}:1, 2026-12-06T03:03:41+00:00",
    ]


@pytest.mark.parametrize(
    ("options", "estimate", "code"),
    [
        (["--window-minutes", "12.65"], 759.0, ExitCode.DONE),
        (["--window-minutes", "12.64"], 759.0, ExitCode.REFUSED),
        (["--factor", "100"], 8550.0, ExitCode.REFUSED),
        (["--factor", "1", "--plus-minutes", "0", "--window-minutes", "1.325"], 79.5, ExitCode.DONE),
        (["-i", ROOT / "inventories" / "production"], 759.0, ExitCode.DONE),
    ],
)
def test_numbers_of_a_site(options, estimate, code, log):
    answered = command(log, "--json", *options)
    found = json.loads(answered.stdout)
    assert (answered.returncode, found["estimate"], found["fits"]) == (code, estimate, code == ExitCode.DONE)


def test_what_is_pending_without_a_time_is_named_and_does_not_fit(log, pending):
    answered = command(log, "--json", *pending)
    found = json.loads(answered.stdout)
    assert answered.returncode == ExitCode.REFUSED
    assert found["patches"] == {"patch-2208-30-0.sql": 70.5}
    assert (found["aggregate"], found["estimate"], found["fits"]) == (70.5, 741.0, False)
    assert found["untimed"] == ["patch-2208-32-0.sql"]
    assert found["not_pending"] == ["patch-2208-31-0.sql"]
    assert found["misnamed"] == ["patch-2208-33.0.sql"]
    told = command(log, *pending).stdout
    assert told.startswith(
        "1 patch, 70.5 s on staging → 12.4 min of 90: does not fit\n  patch-2208-32-0.sql: no staging"
    )


def test_all_that_is_pending_has_a_time(log):
    found = budget.judge([log], POLICY, Pending([], []))
    assert (found["patches"], found["untimed"], found["estimate"], found["fits"]) == ({}, [], 600.0, True)


@pytest.mark.parametrize("name", ["full_update_rolled_back.log", "preflight.log"])
def test_a_real_log_with_nothing_usable(name):
    answered = command(HERE / name, "--json")
    assert (answered.returncode, answered.stdout) == (ExitCode.BAD_INPUT, "")
    assert answered.stderr.startswith("E-no-timings  ")
    assert name in answered.stderr


def test_a_real_dry_run_among_others(log):
    found = budget.judge([HERE / "preflight.log", log, HERE / "upgrade_dry_run.log"], POLICY, None)
    assert found["log"] == str(log)


def test_a_log_may_hold_any_bytes(log):
    log.write_bytes(b"\xff\xfe\x00\n" + LOG.encode())
    assert budget.judge([log], POLICY, None)["aggregate"] == 79.5


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("- [2208, 30]", r"applied.json:1: 0.2: is missing"),
        ("- [2208, 30, 0]\n- [2208, x, 0]", r"applied.json:2: 1.1: input should be a valid integer \(found 'x'\)"),
        ("- [2208, 30, 0]\n- 2208-31-0", r"applied.json:2: 1: input should be a valid tuple \(found '2208-31-0'\)"),
        ("{}", r"applied.json:1: input should be a valid list"),
    ],
)
def test_rows_that_are_none(rows, says, pending, tmp_path):
    (tmp_path / "applied.json").write_text(rows)
    with pytest.raises(BadInputError) as refused:
        budget.read_pending(tmp_path / "schema", tmp_path / "applied.json")
    assert re.search(says, str(refused.value)), str(refused.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--schema", HERE], "What is pending takes both"),
        (["--schema", HERE, "--applied", HERE / "estimates.yml"], "E-no-schema-directory"),
        (["--factor", "0"], "0 is not in the range"),
    ],
)
def test_bad_input_is_exit_code_2(options, says, log):
    answered = command(log, *options)
    assert (answered.returncode, answered.stdout) == (ExitCode.BAD_INPUT, "")
    assert says in answered.stderr


def test_a_line_that_cannot_be_read_is_a_patch_that_would_not_be_counted(log):
    log.write_text(LOG + "2026-12-06 03:03:41,047 INFO    2208-32-0 applied just now in 3")
    answered = command(log)
    assert (answered.returncode, answered.stdout) == (ExitCode.BAD_INPUT, "")
    assert answered.stderr.startswith(f"E-no-timings  {log}: its last upgrade tells of patches what cannot be read; ")
    assert "line 5: '2208-32-0 applied just now in 3'" in answered.stderr
    assert "Get that log again" in answered.stderr
