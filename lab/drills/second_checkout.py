"""A second checkout of the runbook beside the first, on the same lab: another operator's, with records of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.drills.rollout import TIMEOUT
from lab.layout import Lab
from rollout import ROOT

# All that the runbook needs of a clone; the virtual environment is made from the same lock file, so a link will do.
PARTS = ("inventories", "lab", "playbooks", "plugins", "processes", "roles", "rollout")
FILES = ("ansible.cfg", "process.yml", "runbook.py")


@dataclass(frozen=True)
class SecondCheckout:
    """A checkout in `directory`, for the lab that another one works on."""

    directory: Path
    lab: Lab

    def runbook(self, *arguments: str, machine: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run its ./runbook.py with no terminal, and wait for it.

        `machine` stands for another control machine than the first checkout's: the operator has another home there.
        """
        environment = {name: value for name, value in os.environ.items() if name != "ROLLOUT_RECORDS"}
        environment["ROLLOUT_LAB"] = str(self.lab.directory)
        if machine:
            home = self.directory / machine
            home.mkdir(exist_ok=True)
            environment["HOME"] = str(home)
        return subprocess.run(
            ["./runbook.py", *arguments],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )


@contextmanager
def second_checkout(lab: Lab) -> Iterator[SecondCheckout]:
    """Make one beside the lab, and remove it afterwards."""
    directory = lab.directory.with_name(f"{lab.directory.name}-2")  # short: ssh's sockets are below it
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    try:
        for part in PARTS:
            shutil.copytree(ROOT / part, directory / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in FILES:
            shutil.copy2(ROOT / file, directory / file)
        (directory / ".venv").symlink_to(ROOT / ".venv")
        yield SecondCheckout(directory, lab)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
