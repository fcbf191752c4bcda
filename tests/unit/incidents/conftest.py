"""A rollout that went through, of an inventory with two channels on loopback, and the commands as they are typed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pexpect
import pytest
import yaml

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout import ROOT
from rollout.journal import store
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from tests.forks.runbook import runbook
from tests.unit.journals import lines
from tests.unit.outbox.channels import Site as Channels

SAMPLES = ROOT / "tests/unit/report"
NOW = datetime(2026, 12, 9, 9, 2, tzinfo=UTC)
WORDS = {
    "problem": "Incident {{ number }}: {{ problem }}\n",
    "solved": "Incident {{ number }} is over: {{ resolution }}\n",
}
KILLED = """
import os, signal, sys
from rollout.commands import cli
from rollout.journal.file import Journal
write, last = Journal.write, sys.argv.pop(1)
def write_and_die(journal, event):
    write(journal, event)
    if event.event_name == last:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.write = write_and_die
cli.entry()
"""


class Site:
    """The rollout's directory, and its channels."""

    def __init__(self, directory: Path, channels: Channels) -> None:
        self.directory, self.channels = directory, channels
        directory.mkdir(parents=True)
        for message, body in WORDS.items():
            for how, text in {"status": body, "mail": f"Subject: {body}\n{body}"}.items():
                (channels.inventory / "announcements" / f"{message}.{how}.j2").write_text(text)
        plan = plans.load(SAMPLES / "plan.yml").as_vars()
        plan["inventory"] = str(channels.inventory.relative_to(ROOT))
        plans.save(plans.Plan.model_validate(plan), directory / "plan.yml")
        events = [
            entry
            for name in ("before_the_window", "good")
            for entry in yaml.safe_load((SAMPLES / f"{name}.yml").read_text(encoding="utf-8"))
        ]
        offset = (NOW - Clock().now()).total_seconds()
        events.append(
            {"at": NOW.isoformat(), "event": "clock_set", "offset_seconds": offset, "reason": "the test's clock"}
        )
        prev = text_format.FIRST_PREV
        with (directory / "journal.jsonl").open("w", encoding="utf-8") as file:
            for number, event in enumerate(events, start=1):
                line = text_format.line({"seq": number, **event}, prev)
                file.write(line)
                prev = text_format.digest(line)

    def type(self, *words: str, expect: int = 0) -> str:
        """`./runbook.py incident …` without a terminal; what it says."""
        done = runbook(*words)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def at_a_terminal(self, *words: str) -> pexpect.spawn:
        """The same with a person at it."""
        return pexpect.spawn(
            "./runbook.py", list(words), cwd=str(ROOT), encoding="utf-8", timeout=60, dimensions=(50, 200)
        )

    def killed_after(self, event: str, *words: str) -> None:
        """The same, killed with SIGKILL once that event is on record."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        argv = [sys.executable, "-c", KILLED, event, *words]
        done = subprocess.run(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == -9, done.stderr

    @property
    def journal(self) -> Journal:
        """As it stands, its chain of hashes looked at."""
        return Journal(self.directory / "journal.jsonl")

    def events(self, event: str) -> list[dict]:
        return [entry for entry in lines(self.journal.entries) if entry["event"] == event]

    def page(self, number: int = 1) -> str:
        return (self.directory / f"incident-{number}.md").read_text(encoding="utf-8")


@pytest.fixture
def channels(tmp_path):
    made = Channels(tmp_path)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path, channels, monkeypatch):
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path / "rollouts"))
    made = Site(store.directory() / "2026-12", channels)
    yield made
    left = [path.name for path in made.directory.iterdir() if path.name.startswith(".incident")]
    assert left == [], "a draft was left behind"
