"""Module database_upgrade_script: a script that behaves like the site's, on a real server (R9, R12)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from plugins.module_utils.rollout_core.schema import full_update
from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, Database, wait_for

SCRIPT = Path(__file__).with_name("full_update.py")
MARK = "2026-12/0004-qastaging-1"


class Site:
    """The script, what it is given, and how it is to go wrong."""

    def __init__(self, start_module: Callable[..., Any], database: Database) -> None:
        self.start_module, self.database = start_module, database
        self.command = [sys.executable, str(SCRIPT), "--dsn", database.dsn(), "--schema", "schema", "--revid", "r1"]

    def start(self, mood: str = "", check: bool = False, **more: Any) -> Any:
        arguments = {
            "dsn": self.database.dsn(),
            "schema_directory": str(self.database.schema),
            "command": self.command,
            "chdir": str(self.database.directory),
            "revid": "r1",
            "deadline_seconds": 60,
            "directory": str(self.database.directory / "state"),
            **more,
        }
        environment = {**self.database.environment(MARK), "STAND_IN": mood}
        return self.start_module("database_upgrade_script", arguments, check, env=environment)

    def upgrade(self, mood: str = "", check: bool = False, **more: Any) -> dict[str, Any]:
        return self.start(mood, check, **more).result()

    def logs(self) -> list[Path]:
        return sorted((self.database.directory / "state").glob("upgrade-*.log"))

    def processes(self) -> list[psutil.Process]:
        """What carries the mark of this run and lives."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("ROLLOUT_RUN") == MARK and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def site(start_module: Callable[..., Any], database: Database) -> Site:
    return Site(start_module, database)


def test_it_applies_and_its_output_and_the_rows_say_so(site: Site) -> None:
    answer = site.upgrade()
    assert not answer["failed"], answer["msg"]
    assert (answer["changed"], answer["exit_code"]) == (True, 0)
    assert [patch["patch"] for patch in answer["applied"]] == FOUR
    assert answer["applied"][0]["title"].startswith("Remember when a bug task was triaged")
    assert answer["rows"] == [list(row) for row in ROWS_AFTER]
    assert site.database.rows() == ROWS_AFTER
    (log,) = site.logs()
    assert answer["log"] == str(log)
    assert str(log) in answer["evidence"][0]
    assert log.stat().st_mode & 0o777 == 0o600
    printed = full_update.read(log.read_text()).seconds
    assert printed == {patch["patch"]: pytest.approx(patch["seconds"], abs=0.11) for patch in answer["applied"]}


def test_again_it_is_run_only_for_another_revision(site: Site) -> None:
    first = site.upgrade()
    again = site.upgrade()
    assert (again["changed"], again["applied"], again["log"]) == (False, [], None)
    assert first["log"] in again["evidence"][0]
    assert len(site.logs()) == 1
    other = site.upgrade(revid="r2")  # permissions may differ, though no patch is pending
    assert (other["failed"], other["changed"], other["applied"], len(site.logs())) == (False, True, [], 2)


def test_what_failed_is_run_again_although_its_rows_are_there(site: Site) -> None:
    assert site.upgrade("disabled")["failed"]
    assert site.database.rows() == ROWS_AFTER
    again = site.upgrade()
    assert (again["failed"], again["changed"], len(site.logs())) == (False, True, 2)


def test_the_lie_of_a_patch_without_its_row(site: Site) -> None:
    site.database.write(FOUR[2], "SELECT 1;")
    with (site.database.schema / FOUR[2]).open("a") as patch:  # so it is not seen before it is run
        patch.write("DELETE FROM LaunchpadDatabaseRevision WHERE minor = 57;\n")
    before = site.database.dump()
    answer = site.upgrade()
    assert (answer["failed"], answer["exit_code"]) == (True, 0)
    first, says, kept, *_ = answer["msg"].split("\n")
    assert first.startswith(f"E-upgrade-rolled-back  {Path(sys.executable).name} on {site.database.name} exited 0, ")
    assert says == f"  It says: schema/{FOUR[2]} failed to update LaunchpadDatabaseRevision correctly."
    assert kept == "  Nothing was kept: the rows are as before."
    assert "The outage is over (it took 0:00:0" in answer["msg"]
    assert answer["log"] in answer["msg"]
    assert site.database.dump() == before


def test_patches_are_refused_before_the_script_would_roll_back(site: Site) -> None:
    (site.database.schema / FOUR[1]).write_text("SELECT 1")
    (site.database.schema / "patch-2208-97.0.sql").write_text("SELECT 1;")
    assert site.upgrade()["msg"].startswith("E-misnamed-patch  ")
    (site.database.schema / "patch-2208-97.0.sql").unlink()
    assert site.upgrade()["msg"].startswith("E-unsound-patch  ")
    assert site.logs() == []


def test_applied_just_now_is_not_believed(site: Site) -> None:
    answer = site.upgrade("dry")
    log = Path(answer["log"]).read_text()
    assert (log.count(" applied just now in "), log.splitlines()[-1][-19:]) == (4, full_update.LAST_LINE)
    assert answer["failed"]
    assert answer["msg"].startswith("E-upgrade-rolled-back  ")
    assert site.database.rows() == ROWS_BEFORE


@pytest.mark.parametrize(
    ("mood", "code", "name", "says", "rows"),
    [
        ("crash", 1, "E-upgrade-outage-on", "RuntimeError: a bug in the script", ROWS_BEFORE),
        ("disabled", 96, "E-upgrade-outage-on", "'ENABLE launchpad_qastaging_main'", ROWS_AFTER),
        ("fragile", 99, "E-upgrade-failed", "Fragile system publish_distro running.", ROWS_BEFORE),
        ("last line", 0, "E-upgrade-unfinished", "its last line is not 'All good. All done.'", ROWS_AFTER),
    ],
)
def test_every_other_end_is_a_failure(
    site: Site, mood: str, code: int, name: str, says: str, rows: list[tuple[int, int, int]]
) -> None:
    answer = site.upgrade(mood)
    assert (answer["failed"], answer["exit_code"]) == (True, code)
    assert answer["msg"].startswith(f"{name}  ")
    assert says in answer["msg"]
    assert ("KEPT: the rows 2208-30-0" in answer["msg"]) is (rows == ROWS_AFTER)
    assert site.database.rows() == rows


def test_an_option_it_does_not_know(site: Site) -> None:
    site.command.append("--dry-run")
    answer = site.upgrade()
    assert answer["msg"].split("\n")[0].endswith("exited 2: it does not know one of its options.")
    assert "unrecognized arguments: --dry-run" in answer["msg"]


@pytest.mark.parametrize(
    ("mood", "name", "says"),
    [
        ("hang", "E-upgrade-deadline", "The outage is over (it took 0:00:0"),  # it has opened what it had closed
        ("deaf", "E-upgrade-outage-on", "THE OUTAGE IS STILL ON."),
    ],
)
def test_a_hanging_script_is_ended_with_all_that_it_started(site: Site, mood: str, name: str, says: str) -> None:
    answer = site.upgrade(mood, deadline_seconds=3)
    assert (answer["failed"], answer["exit_code"]) == (True, None)
    assert answer["msg"].startswith(f"{name}  ")
    assert "was ended after 3 s, its deadline" in answer["msg"]
    assert says in answer["msg"]
    assert site.processes() == []
    session = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'full-update'"
    wait_for(lambda: not site.database.ask(session), "its session to be gone")
    assert site.database.rows() == ROWS_BEFORE


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGINT, "everyone"), (signal.SIGINT, "the module"), (signal.SIGTERM, "the module")],
    ids=["as playbooks/stop.yml does", "Ctrl-C", "SIGTERM"],
)
def test_the_script_does_not_outlive_the_module_and_opens_what_it_closed(
    site: Site, number: signal.Signals, told: str
) -> None:
    running = site.start("hang")
    wait_for(lambda: len(site.processes()) == 3, "the module, the script and its child")
    for process in site.processes() if told == "everyone" else [running.process]:
        os.kill(process.pid, number)
    wait_for(lambda: not site.processes(), "all to be ended")
    (log,) = site.logs()
    assert full_update.read(log.read_text()).outage is full_update.OutageState.OVER
    assert site.database.rows() == ROWS_BEFORE


def test_what_cannot_be_run(site: Site) -> None:
    answer = site.upgrade(command=["database/schema/full-update.py"])
    assert answer["msg"].startswith(
        f"E-upgrade-command  database/schema/full-update.py cannot be run in {site.database}"[:60]
    )
    assert "No such file or directory" in answer["msg"]


def test_check_mode_runs_nothing(site: Site) -> None:
    answer = site.upgrade(check=True)
    assert (answer["changed"], [patch["patch"] for patch in answer["applied"]]) == (True, FOUR)
    assert answer["evidence"][0].startswith("would run ")
    assert site.database.rows() == ROWS_BEFORE
    assert not (site.database.directory / "state").exists()


def test_a_shell_would_not_understand_the_command(site: Site, tmp_path: Path) -> None:
    site.command += ["--revid", f"r1; touch {tmp_path}/hit; $(touch {tmp_path}/hit)"]
    assert not site.upgrade()["failed"]
    assert not (tmp_path / "hit").exists()


def test_another_rollout_at_work(site: Site) -> None:
    with site.database.admin("rollout 2026-12 access") as other:
        other.execute("SELECT pg_advisory_lock(22080400)")
        answer = site.upgrade()
    assert answer["msg"].startswith("E-another-rollout  ")
    assert site.logs() == []
