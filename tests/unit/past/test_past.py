"""Estimates come from what earlier rollouts and drills took (R2, R19)."""

import os
from pathlib import Path

import pytest
import yaml

from plugins.module_utils.rollout_core.time import timeline
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.plan import creation, past
from rollout.plan.process import ProcessFile
from tests.unit.journals import event_of, typed

HERE = Path(__file__).parent
ROWS = [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / "histories.yml").read_text())]
EVENTS = {
    "started": {"event": "stage_started", "attempt": 1},
    "ok": {"event": "stage_finished", "outcome": "ok", "facts": {}},
    "by-hand": {"event": "stage_finished", "outcome": "ok", "facts": {"by_hand": True}},
    "failed": {"event": "stage_finished", "outcome": "failed", "facts": {}},
    "undo": {"event": "undo_started", "playbook": "undo"},
    "undone": {"event": "undo_finished", "outcome": "ok"},
    "undo-failed": {"event": "undo_finished", "outcome": "failed"},
    "asks": {"event": "gate_asked"},
    "answers": {"event": "gate_answered", "answer": "yes"},
    "set": {"event": "clock_set", "offset_seconds": 1.0},
}


def entry(line):
    clock, stage, what, *gate = line.split()
    at = f"2026-12-09T{clock}+00:00"
    if stage == "closed":
        return {"at": at, "event": "rollout_closed", "outcome": what, "exit_code": 0}
    return {"at": at, "stage": stage, **EVENTS[what], **({"gate": gate[0]} if gate else {})}


def stage(name, minutes, source, **more):
    common = {"title": name, "rules": [], "due": "0m", "window": True, "playbook": name}
    return {"stage": name, **common, "expects": {"minutes": minutes, "from": source}, **more}


PROCESS = ProcessFile.model_validate(
    [
        stage(
            "select",
            2,
            "guess",
            gates=[{"gate": "pin", "ask": "after", "question": "?", "who": ["losa"], "waits": "1h"}],
        ),
        stage("outage", 12, "staging", undo={"playbook": "outage_undo", "minutes": 2}),
        stage("switch", 3, "guess", undo={"playbook": "switch_back", "minutes": 3}),
    ]
).root


@pytest.mark.parametrize("row", ROWS)
def test_what_history_says(row):
    rollouts, drills = (
        [typed(entry(line) for line in lines) for lines in row.get(kind, [])] for kind in ("rollouts", "drills")
    )
    process = past.with_history(PROCESS, rollouts, drills)
    expects = {s.stage: s.expects for s in process if s.expects.source == "history"}
    undo = {s.stage: s.undo for s in process if s.undo and s.undo.source == "history"}
    assert {name: [e.minutes, e.worst_minutes, e.samples] for name, e in expects.items()} == row.get("expects", {})
    assert {name: [u.minutes, u.samples] for name, u in undo.items()} == row.get("undo", {})
    plain = [s.model_copy(update={"expects": p.expects, "undo": p.undo}) for s, p in zip(process, PROCESS, strict=True)]
    assert plain == PROCESS, "something besides the estimates was changed"
    assert [s.undo.playbook for s in process if s.undo] == ["outage_undo", "switch_back"]


# -- which journals --------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where rollouts are kept, and a function that puts one there."""
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path / "rollouts"))

    def keep(name, lines, inventory="inventories/lab", age=0):
        directory = tmp_path / name
        directory.mkdir(parents=True)
        (directory / "plan.yml").write_text(yaml.safe_dump({"rollout": {"id": "x", "inventory": inventory}}))
        entries = [entry(line) for line in lines]
        moments = iter([timeline.parse_instant(found["at"]) for found in entries])
        journal = Journal(directory / "journal.jsonl", lambda: next(moments))
        for found in entries:
            journal.write(event_of(found))
        os.utime(journal.path, (1_000_000 - age, 1_000_000 - age))
        return journal.path

    return keep


DONE = ["08:00:00 switch started", "08:01:00 switch ok", "08:30:00 closed done"]


def test_only_this_inventorys_newest_and_whole_ones_count(kept):
    for age in range(15):
        kept(f"rollouts/2026-{age:02}", [f"08:00:{age:02} switch started"], age=age)
    kept("rollouts/elsewhere", DONE, inventory="inventories/production", age=-1)
    broken = kept("rollouts/broken", DONE, age=-2)
    broken.write_text(broken.read_text().replace("started", "begun", 1))
    (kept("rollouts/no-plan", DONE, age=-3).with_name("plan.yml")).unlink()
    (kept("rollouts/odd-plan", DONE, age=-4).with_name("plan.yml")).write_text("- 1")
    found = past.journals(store.directory(), {"inventory": "inventories/lab"})
    assert [f"{entries[0].at:%S}" for entries in found] == [f"{age:02}" for age in range(past.NEWEST)]


def test_a_new_plan_has_the_estimates_of_its_inventory(kept):
    for number in range(3):
        kept(f"rollouts/{number}", ["08:00:00 switch started", "08:01:30 switch ok", "08:30:00 closed done"])
    kept("drills/slow-patch/rollouts/2026-12", ["08:00:00 pause undo", "08:00:15 pause undone"])
    process = creation.process("inventories/lab")
    stages = {stage.stage: stage.model_dump(by_alias=True, exclude_none=True) for stage in process}
    assert stages["switch"]["expects"] == {"minutes": 1.5, "from": "history", "worst_minutes": 1.5, "samples": 3}
    assert stages["pause"]["undo"] == {"playbook": "services_resume", "minutes": 0.25, "from": "history", "samples": 1}
    assert stages["outage"]["expects"]["from"] == "staging"
    assert stages["smoke"]["expects"]["from"] == "guess"


def test_where_there_is_nothing_there_is_no_history(tmp_path):
    assert past.journals(tmp_path / "nowhere", {"inventory": "inventories/lab"}) == []
