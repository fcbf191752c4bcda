"""Rollouts on the lab, driven through ./runbook.py as a person or `make rollout` would."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab import lab as embedded
from lab import parts
from lab.layout import Lab
from lab.postgres import BIN as POSTGRES_BIN
from rollout import ROOT

ANSWERS = ROOT / "inventories/lab/answers.yml"


@dataclass
class Rollout:
    """One rollout of the lab: its records in a directory of their own."""

    records: Path
    lab: Lab

    def runbook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ./runbook.py with no terminal."""
        environment = {**os.environ, "ROLLOUT_LAB": str(self.lab.directory), "ROLLOUT_RECORDS": str(self.records)}
        return subprocess.run(
            ["./runbook.py", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *arguments: str, answers: dict[str, bool] | None = None) -> subprocess.CompletedProcess[str]:
        """`run` with every gate answered yes but those given."""
        said = yaml.safe_load(ANSWERS.read_text())
        said["answers"].update(answers or {})
        path = self.records / "answers.yml"
        path.write_text(yaml.safe_dump(said))
        return self.runbook("run", "--answers", str(path), *arguments)

    @property
    def directory(self) -> Path:
        """The rollout's directory."""
        return next(self.records.glob("*/plan.yml")).parent

    @property
    def pinned(self) -> dict[str, object]:
        """What the plan has pinned."""
        return yaml.safe_load((self.directory / "plan.yml").read_text())["rollout"]["pinned"]

    @property
    def journal(self) -> list[dict[str, object]]:
        """The journal's entries."""
        return [json.loads(line) for line in (self.directory / "journal.jsonl").read_text().splitlines()]

    def outcomes(self) -> list[tuple[object, object]]:
        """Stages in the order in which they ended, and how."""
        return [(e["stage"], e["outcome"]) for e in self.journal if e["event"] == "stage_finished"]

    def schema(self) -> str:
        """Production's schema as pg_dump prints it, less the random token of newer pg_dumps, and the revision rows."""
        command = [str(POSTGRES_BIN / "pg_dump"), "--schema-only", f"--dbname={self.dsn}"]
        dump = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout
        lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        return "\n".join(lines) + self.sql("SELECT major, minor, patch FROM LaunchpadDatabaseRevision ORDER BY 1, 2, 3")

    def sql(self, statement: str) -> str:
        """What psql prints for a statement, on production's primary as superuser."""
        command = [str(POSTGRES_BIN / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    @property
    def dsn(self) -> str:
        """Production's primary."""
        return parts.servers(self.lab).dsn("launchpad_prod")

    @property
    def environment(self) -> dict[str, str]:
        """With it the tools find the password."""
        return {**os.environ, "PGPASSFILE": str(self.lab.home("wildcherry") / ".pgpass")}


@pytest.fixture
def rollout(fresh_lab: Lab, tmp_path: Path) -> Rollout:
    """A new plan on a fresh lab, window in the schedule's next month, nothing run yet."""
    made = Rollout(tmp_path / "rollouts", fresh_lab)
    made.records.mkdir()
    planned = made.runbook("plan", "new")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return made


@pytest.fixture(scope="session")
def before_the_window(lab: Lab, lab_snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Snapshot of a lab, and records of a rollout on it, with everything done that comes before the window."""
    embedded.restore(lab.directory, lab_snapshot)
    directory = tmp_path_factory.mktemp("before_the_window")
    made = Rollout(directory / "rollouts", lab)
    made.records.mkdir()
    for arguments in (["plan", "new"], ["run", *BEFORE, "--answers", str(ANSWERS), "--at=-48h"]):
        done = made.runbook(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    embedded.snapshot(lab.directory, directory / "lab")
    return directory / "lab", made.records


BEFORE = ["select", "merge", "qastaging", "deliver", "preflight"]


@pytest.fixture
def at_the_window(lab: Lab, before_the_window: tuple[Path, Path], tmp_path: Path) -> Rollout:
    """A rollout that stands right before its window, on a lab restored to that moment."""
    snapshot, records = before_the_window
    embedded.restore(lab.directory, snapshot)
    shutil.copytree(records, tmp_path / "rollouts")
    return Rollout(tmp_path / "rollouts", lab)


@pytest.fixture
def brz(fresh_lab: Lab, tmp_path: Path) -> Callable[..., str]:
    """`brz(*arguments)` as a developer at home would type it."""
    home = tmp_path / "developer"
    home.mkdir()
    environment = {**parts.server_environment(fresh_lab), "HOME": str(home), "BRZ_EMAIL": "Dev <dev@example.com>"}

    def run(*arguments: str, cwd: Path = home) -> str:
        command = [str(parts.BIN / "brz"), *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
