"""What full-update.py says of itself, and what is made of that: real lines of its logs, as a table (R9, R12)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.schema import full_update
from plugins.module_utils.rollout_core.schema.full_update import OutageState, Output, Run
from plugins.module_utils.rollout_core.schema.patches import PatchName

HERE = Path(__file__).parent
DSN = "host=127.0.0.1 dbname=launchpad_qastaging"


def table(name: str) -> list[Any]:
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


def patch(number: str) -> PatchName:
    return PatchName.parse(f"patch-{number}.sql")


def run_of(row: dict[str, Any]) -> Run:
    text = (HERE / "logs" / row["log"]).read_text() if "log" in row else "\n".join(row["lines"])
    pending = [patch(number) for number in row["pending"]]
    kept = pending if row["kept"] == "all" else [patch(number) for number in row["kept"] or []]
    missing = None if row["kept"] is None else [name for name in pending if name not in kept]
    output = full_update.read(text)
    more = {key: row[key] for key in ("closes_access", "stopped", "setting") if key in row}
    return Run("full-update.py", "launchpad_qastaging", row["exit_code"], 5400, output, pending, missing, **more)


@pytest.mark.parametrize("row", table("ends.yml"))
def test_end(row: dict[str, Any]) -> None:
    run = run_of(row)
    assert run.succeeded is ("name" not in row)
    if run.succeeded:
        return
    told = full_update.failure(run, "/home/launchpad/upgrade.log", DSN)
    first, second = told.splitlines()[:2]
    if row["name"] == "E-upgrade-outage-on":  # then that comes first, and what ends it
        assert first.startswith(f"{row['name']}  THE OUTAGE IS STILL ON. Open the database first, ")
        first = f"{row['name']}  {second}"
    assert first.startswith(f"{row['name']}  full-update.py on launchpad_qastaging ")
    assert "The end of its output, /home/launchpad/upgrade.log:" in told
    assert [says for says in row.get("says", []) if says not in told] == [], told
    assert [never for never in row.get("never", []) if never in told] == [], told


@pytest.mark.parametrize("row", table("steps.yml"))
def test_step(row: dict[str, Any]) -> None:
    assert full_update.step(row["line"]) == row["step"]


def test_the_steps_of_a_whole_run() -> None:
    lines = (HERE / "logs" / "all_good.txt").read_text().splitlines()
    assert [step for step in map(full_update.step, lines) if step] == [
        "Streaming replicas syncing",
        "Pausing replication to launchpad_prod_slave",
        "Outage starts",
        "Disabling access to launchpad_prod_main",
        "Applying patches",
        "patch-2211-01-1.sql",
        "patch-2211-02-0.sql",
        "comments.sql",
        "Enabling access to launchpad_prod_main",
        "Resuming replication to launchpad_prod_slave",
        "Streaming replicas syncing",
    ]


@pytest.mark.parametrize(
    ("took", "seconds"),
    [("0:00:00.495286", 0.495), ("0:01:12", 72), ("1:00:00.5", 3600.5), ("1 day, 0:00:01", 86401), ("soon", None)],
)
def test_the_outage_in_its_own_words(took: str, seconds: float | None) -> None:
    assert full_update.outage_seconds(full_update.read(f"Outage complete. {took}")) == seconds


@pytest.mark.parametrize("row", table("timings.yml"))
def test_timing(row: dict[str, Any]) -> None:
    name = "patch-2211-02-0.sql"
    printed = {} if row["printed"] is None else {name: row["printed"]}
    seconds, remarks = full_update.timings(Output(seconds=printed), {name: row["row"]})
    assert seconds == {name: row["counts"]}
    assert remarks == ([row["remark"]] if "remark" in row else [])


def test_what_has_no_row_is_not_timed() -> None:
    dry_run = full_update.read((HERE / "logs" / "dry_run.txt").read_text())
    assert dry_run.seconds == {"patch-2211-01-1.sql": 0.0, "patch-2211-02-0.sql": 1.4, "patch-2211-04-0.sql": 0.3}
    assert full_update.timings(dry_run, {}) == ({}, [])


def test_earlier_patches_are_not_those_of_this_run() -> None:
    assert "patch-2211-01-0.sql" not in full_update.read((HERE / "logs" / "all_good.txt").read_text()).seconds


def test_lines_without_a_time_are_read_as_well() -> None:
    output = full_update.read("Outage starts.\n2208-30-0 applied just now in 70.5 seconds\n\nAll good. All done.\n\n")
    assert (output.seconds, output.outage, output.all_good) == (
        {"patch-2208-30-0.sql": 70.5},
        OutageState.UNCLEAR,
        True,
    )


@given(st.text(max_size=300), st.sampled_from([None, -9, 0, 1, 2, 42, *full_update.MEANINGS]))
def test_junk_is_never_a_success_and_is_always_told(text: str, exit_code: int | None) -> None:
    output = full_update.read(text)
    for missing in (None, [patch("2208-30-0")], []):
        run = Run("full-update.py", "launchpad_qastaging", exit_code, 1, output, [patch("2208-30-0")], missing)
        assert not run.succeeded or text.strip().endswith(full_update.LAST_LINE)
        assert full_update.failure(run, "log", DSN).startswith("E-upgrade-")


@given(st.lists(st.sampled_from((HERE / "logs" / "all_good.txt").read_text().splitlines()), max_size=12))
def test_a_log_that_breaks_off_anywhere_is_a_success_only_with_its_last_line(lines: list[str]) -> None:
    run = Run("full-update.py", "launchpad_qastaging", 0, 1, full_update.read("\n".join(lines)), [], [])
    assert run.succeeded is bool(lines and lines[-1].endswith("All good. All done."))
