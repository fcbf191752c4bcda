"""Bad input is refused before anything is touched, naming file, line and what was expected."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rollout import ROOT, documents
from rollout.fields import Model
from rollout.inventory import InventoryFacts, PolicyFile
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import creation, findings, schedule
from rollout.plan import model as plans
from rollout.plan.process import ProcessFile

HERE = Path(__file__).parent
TEXT = (HERE / "plan.yml").read_text()
NOW = datetime(2026, 12, 7, 8, tzinfo=UTC)


def check(path):
    plan = plans.load(path)
    if found := findings.findings(plan, NOW):
        raise documents.refused(path, found)
    return plan


def test_a_good_plan_is_accepted_and_survives_being_written(tmp_path):
    plan = check(HERE / "plan.yml")
    plans.save(plan, tmp_path / "plan.yml")
    assert check(tmp_path / "plan.yml") == plan


@pytest.mark.parametrize("row", [pytest.param(r, id=r["case"]) for r in yaml.safe_load((HERE / "bad.yml").read_text())])
def test_bad_plan(row, tmp_path):
    assert row["old"] in TEXT, "the table no longer matches plan.yml"
    path = tmp_path / "plan.yml"
    path.write_text(TEXT.replace(row["old"], row["new"]))
    with pytest.raises(BadInputError) as refused:
        check(path)
    assert re.search(rf"plan\.yml:{row['line']}: .*{re.escape(row['says'])}", str(refused.value)), str(refused.value)
    assert refused.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rollout: [", r"plan\.yml:[12]: .*expected"),
        ("", r"plan\.yml:1: .*valid dictionary"),
        ("- a list", r"plan\.yml:1: .*valid dictionary"),
        ("a: &x [*x]", r"plan\.yml"),
    ],
)
def test_what_is_no_plan_at_all(text, says, tmp_path):
    path = tmp_path / "plan.yml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=says):
        plans.load(path)


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "plan.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match="not UTF-8 text"):
        plans.load(tmp_path / "plan.yml")


def test_the_process_that_is_shipped_makes_a_plan():
    process = documents.load(ROOT / "process.yml", ProcessFile).root
    assert process[0].stage == "confirm"
    assert next(stage.stage for stage in process if stage.window) == "pause"


@pytest.mark.parametrize("inventory", ["lab", "production"])
def test_the_shipped_policies_and_schedules_can_be_read(inventory):
    directory = ROOT / "inventories" / inventory
    documents.load(directory / "group_vars/all/policy.yml", PolicyFile)
    schedule.load(directory)


@pytest.mark.parametrize(
    ("after", "window"),
    [
        ("2026-11-22T12:00", "2026-12-09T08:00"),
        ("2026-12-09T07:59", "2026-12-09T08:00"),
        ("2026-12-09T08:00", "2027-01-13T08:00"),
        ("2027-12-31T23:59", "2028-01-12T08:00"),
    ],
)
def test_the_next_window_is_the_second_wednesday(after, window):
    rule = schedule.Schedule(windows="FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", backup_after="48h")
    found = schedule.next_window(rule, datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(window).replace(tzinfo=UTC)


def test_a_cowboy_whose_file_or_host_is_missing_is_named(tmp_path):
    plan = plans.load(HERE / "plan.yml")
    known = InventoryFacts({"app": ["soybean"]}, tmp_path / "production_status.yml", rehearsals_allowed=False)
    found = creation.cowboy_findings(plan.cowboys, ("rollout", "cowboys"), known)
    text = str(documents.refused(HERE / "plan.yml", found))
    assert (
        f"plan.yml:41: rollout.cowboys.0.diff: cowboy lp-15 (jml) needs the file {tmp_path}/cowboys/lp-15.diff" in text
    )
    assert "plan.yml:41: rollout.cowboys.0.hosts: the inventory has no host gac" in text


class Nested(Model):
    rows: list[dict[str, int]]


def test_the_line_of_a_value_deep_in_a_list(tmp_path):
    path = tmp_path / "nested.yml"
    path.write_text("rows:\n  - a: 1\n  - b: 2\n    c: x\n")
    with pytest.raises(BadInputError, match=r"nested\.yml:4: rows\.1\.c: input should be a valid integer"):
        documents.load(path, Nested)
