"""Rollouts on the lab, driven through ./runbook.py as a person or `make rollout` would."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import lab as embedded
from lab import parts
from lab.drills.base import Base
from lab.drills.rollout import Rollout
from lab.layout import Lab


@pytest.fixture
def rollout(fresh_lab: Lab, tmp_path: Path) -> Rollout:
    """A new plan on a fresh lab, window in the schedule's next month, nothing run yet."""
    made = Rollout(tmp_path / "rollouts", fresh_lab)
    made.records.mkdir()
    planned = made.runbook("plan", "new")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return made


@pytest.fixture(scope="session")
def new_plan(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of a rollout that was only planned."""
    made = Rollout(tmp_path_factory.mktemp("new_plan") / "rollouts", lab)
    made.records.mkdir()
    planned = made.runbook("plan", "new")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return made.records


@pytest.fixture
def untouched(lab: Lab, new_plan: Path, tmp_path: Path) -> Rollout:
    """A new plan, on a lab of which nothing is wanted: for runs that are refused before they touch it."""
    for claims in lab.directory.rglob(".rollout/claims.json"):  # of another test's rollout, which is over by now
        claims.unlink()
    shutil.copytree(new_plan, tmp_path / "rollouts")
    return Rollout(tmp_path / "rollouts", lab)


@pytest.fixture(scope="session")
def before_the_window(lab: Lab, lab_snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """The lab, and a rollout on it, with everything done that comes before the window; as drills begin."""
    embedded.restore(lab.directory, lab_snapshot)
    return Base.make(lab, tmp_path_factory.mktemp("before_the_window"))


@pytest.fixture
def at_the_window(before_the_window: Base, tmp_path: Path) -> Rollout:
    """A rollout that stands right before its window, on a lab restored to that moment."""
    return before_the_window.at_the_window(tmp_path / "rollouts")


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
