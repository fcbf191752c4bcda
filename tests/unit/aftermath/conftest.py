"""A rollout that was aborted in its window, in records of its own, for an inventory with a window every Wednesday."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout import ROOT, documents
from rollout.after_abort import conclusion
from rollout.after_abort.aborted import Aborted
from rollout.announcing.abort_notices import write_draft
from rollout.engine.verification import HostsLookedAt, HostState
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.plan.process import ProcessFile
from tests.unit.journals import event, last, lines

WINDOW = datetime(2026, 12, 9, 8, tzinfo=UTC)
ABORT = WINDOW + timedelta(minutes=42)
PIN = {"revision": 18, "revid": "pqm@example.com-18", "patches": ["patch-2208-56-0.sql"]}
MERGED = {"merged_revno": 10, "merged_revid": "pqm@example.com-10"}
FACTS = {
    "select": {
        "evidence": ["18 goes out"],
        "pin": PIN,
        "estimates": {"outage": [{"step": "patch-2208-56-0.sql", "seconds": 7.5}, {"step": "pad", "seconds": 600}]},
    },
    "merge": {"evidence": ["devel 10 (verified)"], "pin": MERGED},
    "deliver": {"pin": {"cowboys_landed": ["lp-12"]}},
}
CARRIED = ["select", "rc_mode", "merge", "blessing", "qastaging", "rc_mode_end"]
AS_BEFORE = HostsLookedAt(
    ok=True, summary="21 tests passed on gac, wildcherry", hosts={"gac": HostState(12), "wildcherry": HostState(9)}
)
WHY = "E-late-abort  outage has run 42:18 of about 10:08; 30:01 late (limit 30:00).\n  undone: outage\n  undone: pause"


class Stopped(Clock):
    """A clock that stands still until it is told otherwise."""

    def __init__(self, instant: datetime) -> None:
        super().__init__()
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


@dataclass
class Says:
    """Somebody who says these things, in this order; then nothing."""

    by: str = "mia"
    lines: list[str | None] = field(default_factory=list)
    prompts: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, name: str, prompt: str) -> str | None:
        self.prompts.append((name, prompt))
        return self.lines.pop(0) if self.lines else None


@dataclass
class Site:
    """The aborted rollout, and what comes of it."""

    directory: Path
    plan: Plan
    journal: Journal
    clock: Stopped

    @property
    def aborted(self) -> Aborted:
        return Aborted(self.directory, self.plan, self.journal, self.clock)

    def conclude(self, *told: str | None, verified: HostsLookedAt | None = AS_BEFORE) -> list[str]:
        """What the conductor does after the undo, closing included."""
        on_record = verified and verified.on_record("as_before")
        said = conclusion.conclude(self.aborted, Says(lines=list(told)), on_record, WHY, write_draft)
        self.journal.write(event("rollout_closed", outcome="aborted", exit_code=4, message=WHY))
        return said

    def next(self, *told: str | None, **given: Any) -> list[str]:
        """`./runbook.py next`, at the moment that the clock shows."""
        self.put_clock_on_record()
        _, said = conclusion.follow_up(conclusion.NextRequest(**given), Says(lines=list(told)), write_draft)
        self.journal = Journal(self.directory / "journal.jsonl", now=self.clock.now)
        return said

    def put_clock_on_record(self) -> None:
        """Another process knows a rehearsal's clock from the journal."""
        offset = (self.clock.instant - Clock().now()).total_seconds()
        self.journal.write(event("clock_set", offset_seconds=offset, reason="the test's clock"))

    def pack(self) -> str:
        return (self.directory / "abort.md").read_text(encoding="utf-8")

    def announcement(self) -> str:
        return (self.directory / "announcement.txt").read_text(encoding="utf-8")

    @property
    def last(self) -> dict[str, Any]:
        """The latest `next_attempt`."""
        entry = last(self.journal, "next_attempt")
        assert entry is not None
        return entry

    @property
    def next_directory(self) -> Path:
        """Where the plan of the next attempt is."""
        return (self.directory / self.last["plan"]).resolve().parent

    def next_plan(self) -> Plan:
        return plans.load(self.next_directory / "plan.yml")

    def next_journal(self) -> list[dict[str, Any]]:
        return lines(Journal(self.next_directory / "journal.jsonl").entries)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    inventory = make_inventory(tmp_path / "site")
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path / "rollouts"))
    directory = tmp_path / "rollouts" / "2026-12"
    directory.mkdir(parents=True)
    policy = yaml.safe_load((inventory / "group_vars/all/policy.yml").read_text())
    plan = Plan(
        id="2026-12",
        inventory=str(inventory.relative_to(ROOT)),
        window={"start": WINDOW, "minutes": 90},
        backup_window={"start": WINDOW + timedelta(hours=48), "minutes": 90},
        people={"losa": "Mia"},
        policy=policy["policy"],
        process=documents.load(ROOT / "process.yml", ProcessFile).root,
        pinned={**PIN, **MERGED, "cowboys_landed": ["lp-12"]},
    )
    plans.save(plan, directory / "plan.yml")
    clock = Stopped(WINDOW - timedelta(hours=48))
    journal = Journal(directory / "journal.jsonl", now=clock.now)
    aborted_in_the_window(journal, clock)
    return Site(directory, plan, journal, clock)


def make_inventory(directory: Path) -> Path:
    """What a plan needs of an inventory: its numbers, its schedule and its production status."""
    (directory / "group_vars/all").mkdir(parents=True)
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    status = {"production_status_file": str(directory / "production_status.yml")}
    schedule = {"windows": "FREQ=WEEKLY;BYDAY=WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0", "backup_after": "48h"}
    lab_policy = ROOT / "inventories/lab/group_vars/all/policy.yml"
    (directory / "group_vars/all/policy.yml").write_text(lab_policy.read_text())
    for name, content in {
        "hosts.yml": {
            "all": {
                "hosts": {"localhost": local},
                "children": {"rc_mode": {"hosts": {"localhost": None}}},
                "vars": status,
            }
        },
        "schedule.yml": {"schedule": schedule, "people": {"losa": "Mia"}},
        "production_status.yml": {"cowboys": []},
    }.items():
        (directory / name).write_text(yaml.safe_dump(content))
    return directory


def aborted_in_the_window(journal: Journal, clock: Stopped) -> None:
    """The journal of a rollout whose outage was stopped and undone."""
    journal.write(event("rollout_opened", plan="0" * 64, by="mia"))
    for stage in (*CARRIED, "review", "deliver", "preflight", "pause"):
        journal.write(event("stage_started", stage=stage, attempt=1))
        clock.instant += timedelta(minutes=1)
        journal.write(event("stage_finished", stage=stage, outcome="ok", facts=FACTS.get(stage, {}), message=None))
    clock.instant = WINDOW
    journal.write(event("stage_started", stage="outage", attempt=1))
    clock.instant = ABORT
    journal.write(event("stage_finished", stage="outage", outcome="late", facts={}, message=WHY.splitlines()[0]))
    for stage, playbook in (("outage", "outage_undo"), ("pause", "services_resume")):
        journal.write(event("undo_started", stage=stage, playbook=playbook))
        clock.instant += timedelta(seconds=1)
        journal.write(event("undo_finished", stage=stage, playbook=playbook, outcome="ok", message=None))
