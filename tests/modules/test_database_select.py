"""The stage `select` as a whole, and the judge before the merge: branches, database, Launchpad, squawk (R8, R9)."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest
import yaml

from rollout import ROOT
from tests.launchpad import service
from tests.modules.both_branches import BOTH
from tests.modules.database_servers import ROWS_BEFORE, Database
from tests.modules.playing import Played, play

BZR, GIT = (pytest.param(vcs, id=vcs.kind) for vcs in BOTH)
INDEX = "-- Find bugs by owner.\nCREATE INDEX bug__owner__idx ON Bug (owner);\n"
LOG = "2026-12-06 03:03:41,046 INFO    2299-01-0 applied just now in 70.5 seconds\n"


def patch(number: str, sql: str) -> dict[str, str]:
    """A sound patch, as files of the tree."""
    row = ", ".join(str(int(part)) for part in number.split("-"))
    text = f"{sql}INSERT INTO LaunchpadDatabaseRevision VALUES ({row});\n"  # noqa: S608
    return {f"database/schema/patch-{number}.sql": text}


class Stage:
    """devel, db-stable with three revisions that devel lacks, a restore log, and production's database."""

    def __init__(self, database: Database, vcs: ModuleType) -> None:
        self.database, self.vcs, self.directory = database, vcs, database.directory
        self.devel, self.db_stable = self.directory / "devel", self.directory / "db-stable"
        vcs.create(self.devel, {"database/schema/launchpad-2208-00-0.sql": "SELECT 1;\n"}, "[no-qa] Start.")
        vcs.branch(self.devel, self.db_stable)
        vcs.commit(self.db_stable, patch("2299-01-0", INDEX), "[r=stub][bug=1] Find bugs by owner.")
        self.revid = vcs.commit(self.db_stable, {"app": "2\n"}, "[r=jml][bug=1,\n\t4] Use it.")
        vcs.commit(self.db_stable, patch("2299-02-0", "SELECT 1;\n"), "[r=jml][bug=5] Another.")
        (self.directory / "staging_restore.log").write_text(LOG)

    def variables(self) -> dict[str, Any]:
        """A plan, and what an inventory says."""
        plan = {
            "id": "2026-12",
            "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
            "policy": {"database_time": {"factor": 2, "plus_minutes": 10}},
            "pinned": {},
        }
        return {
            "rollout": plan,
            "pqm_vcs": self.vcs.kind,
            "revision_db_stable": self.vcs.at(self.db_stable),
            "revision_devel": self.vcs.at(self.devel),
            "revision_logs": str(self.directory / "*.log"),
            "revision_executable": self.vcs.client,
            "database_dsn": self.database.dsn(),
            "revision_launchpad_cache": str(self.directory / "launchpad"),
            "revision_squawk_pg_version": "16",
        }

    def tag(self, tags: dict[int, list[str]]) -> None:
        """Write bug_tags.yml beside the inventory's hosts."""
        (self.directory / "bug_tags.yml").write_text(yaml.safe_dump(tags))

    def run(self, playbook: str, **more: Any) -> Played:
        home = str(self.directory / "home")
        groups = ["merge", "qastaging", "database"]
        nobodys = {"claim_host": ""}  # whose the service is, is tested elsewhere
        return play(playbook, self.directory, groups, {**nobodys, **self.variables(), **more}, HOME=home)

    def judge(self, **more: Any) -> Played:
        """The entry point by itself, for revision 3."""
        task = {
            "name": "Judge",
            "ansible.builtin.include_role": {"name": "downtime.runbook.revision", "tasks_from": "judge"},
        }
        book = [{"name": "JUDGE", "hosts": "merge", "gather_facts": False, "tasks": [task]}]
        path = self.directory / "judge.yml"
        path.write_text(yaml.safe_dump(book))
        name = os.path.relpath(path.with_suffix(""), ROOT / "playbooks")
        return self.run(name, revision_pinned=3, revision_pinned_revid=self.revid, **more)


@pytest.fixture
def stage(database: Database, request: pytest.FixtureRequest) -> Stage:
    """On the kind of branches that the test asks for: what differs is in the modules, and tested there for both."""
    assert (2299, 1, 0) not in ROWS_BEFORE
    return Stage(database, request.param)


@pytest.mark.parametrize("stage", [GIT], indirect=True)
def test_launchpads_tags_decide_and_squawk_is_evidence(stage: Stage) -> None:
    with service.running() as launchpad:
        launchpad.tag(4, "qa-untestable")
        chosen = stage.run("select_revision", revision_launchpad=launchpad.root)
        asked = [path for path in launchpad.paths if path != service.VERSION]
        launchpad.tag(1, "qa-bad")
        none = stage.run("select_revision", revision_launchpad=launchpad.root)
    silent = stage.run("select_revision", revision_launchpad="http://127.0.0.1:1/")
    assert chosen.code == 0, chosen.output
    assert asked == [f"/devel/bugs/{bug}" for bug in (1, 4, 5)]
    (digest,) = chosen.told["pin"].pop("digests")
    assert digest.startswith("patch-2299-01-0.sql=")
    branches = {"source_branch": "db-stable", "target_branch": "devel"}
    assert chosen.told["pin"] == {"revision": 3, "revid": stage.revid, "patches": ["patch-2299-01-0.sql"], **branches}
    assert chosen.told["evidence"] == [
        "db-stable tip 4 · QA-ok up to 3 · 4 blocks: bug 5 has no QA tag",
        "1 patch, 70.5 s on staging → 12.4 min of 90",
        "left behind: 4: no staging timing of patch-2299-02-0.sql: restore staging with it first",
        "squawk: 1 remark (patch-2299-01-0.sql:2: index without CONCURRENTLY)",
        "Launchpad shows nobody bug 5 (private, or no such bug): not QA'd as far as anyone can tell",
        "1 patch timed in the staging restore of Sun 6 Dec 2026 03:03 UTC (staging_restore.log)",
    ]
    assert [each["why"] for each in chosen.told["left_behind"]] == [
        ["bug 5 has no QA tag"],
        ["no staging timing of patch-2299-02-0.sql: restore staging with it first"],
    ]
    assert [each["rule"] for each in chosen.told["squawk"]] == ["require-concurrent-index-creation"]
    assert "CREATE INDEX" not in str(chosen.told)
    assert none.code != 0
    assert "E-nothing-deployable" in none.output
    assert silent.code != 0
    assert "E-launchpad  http://127.0.0.1:1/ could not be asked for the tags of bugs" in silent.output
    assert list((stage.directory / "launchpad").rglob("*bugs*"))
    assert not list((stage.directory / "home").glob(".launchpadlib"))


@pytest.mark.parametrize("stage", [BZR], indirect=True)
def test_a_file_of_tags_and_a_squawk_that_is_missing(stage: Stage) -> None:
    stage.tag({1: ["qa-ok"], 4: ["qa-ok"], 5: ["qa-bad"]})
    chosen = stage.run("select_revision", revision_squawk_executable="/nowhere/squawk")
    assert chosen.code == 0, chosen.output
    assert chosen.told["revision"] == 3
    missing = "squawk has not looked at the patches: /nowhere/squawk cannot be run: No such file or directory"
    assert missing in chosen.told["evidence"]


@pytest.mark.parametrize("stage", [GIT], indirect=True)
def test_the_judge_before_the_merge(stage: Stage) -> None:
    with service.running() as launchpad:
        launchpad.tag(4, "qa-ok")
        good = stage.judge(revision_launchpad=launchpad.root)
        launchpad.tag(4, "qa-bad")
        bad = stage.judge(revision_launchpad=launchpad.root)
    stage.tag({1: ["qa-ok"], 4: ["qa-needstesting"]})
    by_file = stage.judge()
    assert (good.code, good.told) == (0, {}), good.output
    assert bad.code != 0
    assert "E-pin-not-qa  db-stable 3, pinned, is not QA-ok any more." in bad.output
    assert "3 is bad: bug 4 is qa-bad" in bad.output
    assert "3 is needstesting: bug 4 is qa-needstesting" in by_file.output
