"""Drives one rollout of the lab through ./runbook.py, as a person at a terminal would, and shows what became of it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from lab import parts, processes
from lab.layout import Lab
from lab.postgres import BIN as POSTGRES_BIN
from rollout import ROOT
from rollout.engine.processes import marked

ANSWERS = ROOT / "inventories/lab/answers.yml"
DATABASE = parts.DATABASE
STRANGE = ROOT / "lab" / "strange.env"
UMASK = 0o022  # most people's: what is ours to read is so whatever it is
TIMEOUT = 900  # seconds; a runbook that hangs is a failure, but one on a busy machine is not


def strange() -> dict[str, str]:
    """Return the variables of lab/strange.env."""
    lines = [line for line in STRANGE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@dataclass
class Rollout:
    """A rollout of a lab, with its records in a directory of their own."""

    records: Path
    lab: Lab
    checkout: Path = ROOT

    # -- what a person types --------------------------------------------------------------------------------------

    def runbook(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ./runbook.py without a terminal, and wait for it."""
        return subprocess.run(
            ["./runbook.py", *arguments],
            cwd=self.checkout,
            env=self.runbook_environment,
            umask=UMASK,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ./runbook.py without a terminal, in a session of its own; its output is appended to `screen_file`."""
        with self.screen_file.open("ab") as screen:
            return subprocess.Popen(
                ["./runbook.py", *arguments],
                cwd=self.checkout,
                env=self.runbook_environment,
                umask=UMASK,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str, answers: dict[str, bool] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `./runbook.py run` with every gate answered yes, except `answers`."""
        return self.runbook("run", *self.answering(answers), *arguments)

    def answering(self, answers: dict[str, bool] | None = None, **more: Any) -> tuple[str, str]:
        """Return `--answers FILE`: the lab's answers, with `answers` (gates) and `more` (other keys) added."""
        said = yaml.safe_load(ANSWERS.read_text())
        said["answers"].update(answers or {})
        path = self.records / "answers.yml"
        path.write_text(yaml.safe_dump({**said, **more}))
        return "--answers", str(path)

    @property
    def runbook_environment(self) -> dict[str, str]:
        """Return the environment that has ./runbook.py use this lab and these records."""
        ours = {"ROLLOUT_LAB": str(self.lab.directory), "ROLLOUT_RECORDS": str(self.records)}
        return {**os.environ, **strange(), **ours}

    @property
    def screen_file(self) -> Path:
        """Return the file with the output of the started runbooks."""
        return self.records / "screen.txt"

    # -- what it left behind --------------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Return the rollout's directory; after an abort the next attempt may have one beside it."""
        return sorted(self.records.glob("*/plan.yml"))[0].parent

    @property
    def plan(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        plan: dict[str, Any] = yaml.safe_load((self.directory / "plan.yml").read_text())["rollout"]
        return plan

    @property
    def pinned(self) -> dict[str, Any]:
        """Return what the plan has pinned."""
        pinned: dict[str, Any] = self.plan["pinned"]
        return pinned

    @property
    def journal(self) -> list[dict[str, Any]]:
        """Return the journal's entries; a line that is just being written is left out."""
        *lines, _ = self.journal_text.split("\n")
        return [json.loads(line) for line in lines]

    @property
    def journal_text(self) -> str:
        """Return the journal, byte for byte."""
        path = self.directory / "journal.jsonl"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def announced(self) -> set[str]:
        """Return what people have been told: the texts of every mail, and of every post of the status account."""
        posts = json.loads((self.lab.status_account / "statuses.json").read_text(encoding="utf-8"))
        mails = (path.read_text(encoding="utf-8") for path in (self.lab.mail / "mails").iterdir())
        return {*mails, *map(str, posts)}

    def outcomes(self) -> list[tuple[object, object]]:
        """Return the stages in the order in which they ended, each with its outcome."""
        return [(e["stage"], e["outcome"]) for e in self.journal if e["event"] == "stage_finished"]

    def survivors(self) -> list[psutil.Process]:
        """Return the living processes of this rollout's runs, on the control machine or on a host of the lab."""
        controllers = marked("ROLLOUT_CONTROL", f"{self.directory}/")
        on_hosts = {process.pid for process in processes.marked(self.lab.directory)}
        workers = [process for process in marked("ROLLOUT_RUN", f"{self.directory.name}/") if process.pid in on_hosts]
        return [*controllers, *workers]

    # -- production's database ------------------------------------------------------------------------------------

    def schema(self) -> str:
        """Return production's schema as pg_dump prints it, without newer pg_dumps' random token, and revision rows."""
        command = [str(POSTGRES_BIN / "pg_dump"), "--schema-only", f"--dbname={self.dsn}"]
        dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        return "\n".join(lines) + self.sql("SELECT major, minor, patch FROM LaunchpadDatabaseRevision ORDER BY 1, 2, 3")

    def sql(self, statement: str) -> str:
        """Return what psql prints for a statement, on production's primary as superuser."""
        command = [str(POSTGRES_BIN / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def patch_waits(self) -> bool:
        """Return True if the outage is held up inside a patch: by a lock, or asleep."""
        waits = "(wait_event_type = 'Lock' OR wait_event = 'PgSleep')"
        return self.sql(f"SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rollout %' AND {waits}") != ""  # noqa: S608

    def paused(self, host: str) -> bool:
        """Return True if the banner that announces the downtime is up on a host."""
        return (self.lab.home(host) / "srv/launchpad/+maintenancetime.txt").exists()

    @property
    def dsn(self) -> str:
        """Return a superuser's conninfo for production's primary."""
        return parts.servers(self.lab).dsn(DATABASE)

    @property
    def users_dsn(self) -> str:
        """Return the application's conninfo for production's primary."""
        return parts.servers(self.lab).dsn(DATABASE, user="launchpad")
