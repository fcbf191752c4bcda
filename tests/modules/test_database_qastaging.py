"""The qastaging stage as a whole: its playbook on a real tree and a real server, with either upgrade (R9, R12, R14)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.journal import text
from tests.modules import bzr_branches
from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, Database
from tests.modules.playing import Played, play

SCRIPT = Path(__file__).with_name("full_update.py")


class Stage:
    """A host of one's own with a branch `devel` to refresh from, a plan, and the playbook."""

    def __init__(self, database: Database) -> None:
        self.database, self.directory = database, database.directory
        self.home = self.directory / "home"
        self.devel = self.directory / "devel"
        patches = {f"database/schema/{path.name}": path.read_text() for path in database.schema.iterdir()}
        self.revid = bzr_branches.create(self.devel, patches, "Merge db-stable 10381.")
        self.seen = {"estimates": {"outage": [{"step": name, "seconds": 30.0} for name in FOUR]}}
        self.seen["estimates"]["outage"].append({"step": "pad", "seconds": 600.0})

    def extra_vars(self) -> dict[str, Any]:
        """What the conductor passes, and what an inventory says."""
        pinned = {"patches": FOUR, "merged_revid": self.revid, "merged_revno": 1}
        outage = {"stage": "outage", "due": "0m", "window": True, "expects": {"minutes": 12, "from": "staging"}}
        plan = {
            "id": "2026-12",
            "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
            "policy": {"database_time": {"factor": 2, "plus_minutes": 10}},
            "process": [outage],
            "pinned": pinned,
        }
        return {
            "rollout": plan,
            "rollout_journal": str(self.journal()),
            "qastaging_tree": str(self.home / "launchpad"),
            "qastaging_branch": str(self.devel),
            "qastaging_dsn": self.database.dsn(),
            "qastaging_executable": bzr_branches.BRZ,
        }

    def journal(self) -> Path:
        """As far as the selection: it has estimated the outage."""
        path = self.directory / "journal.jsonl"
        entry = {"at": "2026-12-07T08:00:00Z", "event": "stage_finished", "stage": "select", "outcome": "ok"}
        path.write_text(text.line({"seq": 1, **entry, "facts": self.seen}, text.FIRST_PREV))
        return path

    def site_script(self, mood: str = "") -> dict[str, Any]:
        """The inventory of a site that has its own."""
        own = ["--dsn", self.database.dsn(), "--schema", "database/schema", "--revid", self.revid]
        command = ["/usr/bin/env", f"STAND_IN={mood}", sys.executable, str(SCRIPT), *own]
        return {"qastaging_upgrade_command": command, "qastaging_upgrade_deadline_seconds": 60}

    def run(self, *options: str, **more: Any) -> Played:
        variables = {**self.extra_vars(), **more}
        return play("qastaging_upgrade", self.directory, ["qastaging"], variables, *options, HOME=str(self.home))


@pytest.fixture
def stage(database: Database) -> Stage:
    return Stage(database)


def measured(stage: Stage) -> dict[str, float]:
    query = """SELECT format('patch-%%s-%%s-%%s.sql', major, lpad(minor::text, 2, '0'), patch),
        extract(epoch FROM end_time - start_time)::float FROM LaunchpadDatabaseRevision WHERE revid = %s"""
    return dict(stage.database.ask(query, stage.revid))


def assert_doubled(stage: Stage, told: dict[str, Any]) -> None:
    """The estimate is 2 × what the rows say, and 10 minutes."""
    steps = {step["step"]: step["seconds"] for step in told["estimates"]["outage"]}
    assert steps == {
        **{name: pytest.approx(2 * seconds, abs=0.21) for name, seconds in measured(stage).items()},
        "pad": 600.0,
    }


@pytest.mark.parametrize("site", [False, True], ids=["our patch runner", "the site's script"])
def test_the_stage_tells_changes_and_the_next_estimate(stage: Stage, site: bool) -> None:
    more = stage.site_script() if site else {}
    code, output, told = stage.run(**more)
    assert code == 0, output
    assert stage.database.rows() == ROWS_AFTER
    assert [change["patch"] for change in told["schema_changes"]] == FOUR
    assert all(set(change) == {"patch", "title", "seconds"} for change in told["schema_changes"])
    assert told["schema_changes"][0]["title"].startswith("Remember when a bug task was triaged")
    assert_doubled(stage, told)
    evidence = told["evidence"]
    assert [line for line in evidence if line.startswith("patch-2208-30-0.sql ") and "Remember when a bug" in line]
    assert evidence[-1].startswith("outage estimate 12.0 min → 10.")
    assert not [line for line in evidence if "HERE BEFORE" in line]
    assert ("came to its end in" in "\n".join(evidence)) is site

    again = stage.run(**more)
    assert again.code == 0, again.output
    assert_doubled(stage, again.told)
    assert "changed=0" in again.output


def test_what_was_on_qastaging_before_the_merge_keeps_its_estimate(stage: Stage, run_module: Any) -> None:
    arguments = {"dsn": stage.database.dsn(), "schema_directory": str(stage.database.schema), "revid": "last month"}
    assert run_module("database_upgrade", arguments, env=stage.database.environment())["changed"]
    code, output, told = stage.run()
    assert code == 0, output
    assert told["estimates"] == {}
    assert told["evidence"][-1].startswith("outage estimate stays 12.0 min")
    before = [line for line in told["evidence"] if " · HERE BEFORE THIS MERGE, since 20" in line]
    assert len(before) == len(FOUR)
    assert before[0].endswith(": as it is in last month")


def test_a_script_that_lies_stops_the_stage(stage: Stage) -> None:
    code, output, told = stage.run(**stage.site_script("dry"))
    assert code != 0
    assert "E-upgrade-rolled-back  env on " in output
    assert "estimates" not in told
    assert stage.database.rows() == ROWS_BEFORE


def test_check_mode(stage: Stage) -> None:
    bzr_branches.branch(stage.devel, stage.home / "launchpad")
    code, output, told = stage.run("--check", **stage.site_script())
    assert code == 0, output
    assert told["estimates"] == {}
    assert [line for line in told["evidence"] if line.startswith("would run /usr/bin/env STAND_IN= ")]
    assert stage.database.rows() == ROWS_BEFORE
