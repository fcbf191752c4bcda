"""What a plan of another kind must be told: the site's own playbook (R18), or the rollout to back out (R17)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout import ROOT, inventory
from rollout.inventory import InventoryFacts
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import findings, kinds, store
from rollout.plan import model as plans
from rollout.plan.kinds import PlanWanted
from tests.unit.journals import event_of

LAB = ROOT / "inventories/lab"
REINDEX = LAB / "playbooks/reindex.yml"
KNOWN = InventoryFacts(
    groups={"database": ["wildcherry"], "empty": []}, production_status=Path(), rehearsals_allowed=True
)
PLAN = (Path(__file__).parents[1] / "plan/plan.yml").read_text()
MARKED = {"environment": {"ROLLOUT_RUN": "{{ rollout_run | default(lookup('downtime.runbook.run_by_hand')) }}"}}


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            PlanWanted("no_such"),
            r"E-no-such-process  There is no no_such\. There are: monthly, partial_downtime, schema_undo\.",
        ),
        (PlanWanted("partial_downtime"), "partial_downtime.yml needs  --playbook FILE"),
        (
            PlanWanted("schema_undo", playbook=REINDEX),
            "schema_undo.yml needs  --of ID(?s:.*)no use for  --playbook",
        ),
        (PlanWanted(of="2026-12"), "process.yml has no use for  --of ID"),
    ],
)
def test_what_a_process_needs(wanted: PlanWanted, says: str) -> None:
    with pytest.raises(BadInputError, match=says):
        kinds.stages(wanted, LAB)


@pytest.mark.parametrize(
    ("wanted", "stage"),
    [
        (PlanWanted(), "outage"),
        (PlanWanted("partial_downtime", playbook=REINDEX), "work"),
        (PlanWanted("schema_undo", of="2026-12"), "schema_undo"),
    ],
)
def test_the_processes_that_are_shipped(wanted: PlanWanted, stage: str) -> None:
    """Each makes a plan that nothing is wrong with."""
    found = kinds.stages(wanted, LAB)
    assert stage in [each.stage for each in found]
    plan = plans.Plan.model_validate(
        {**yaml.safe_load(PLAN)["rollout"], "process": [each.model_dump(by_alias=True) for each in found]}
    )
    assert findings.findings(plan, datetime(2026, 12, 7, 8, tzinfo=UTC)) == []


def test_a_stage_for_a_group_that_a_service_does_not_have_is_left_out_and_that_is_said() -> None:
    """Where nobody guards the branch there is no RC mode, and the plan is as sound without it."""
    whole = kinds.stages(PlanWanted(), LAB)
    with_guard = InventoryFacts({"rc_mode": ["git"]}, production_status=Path(), rehearsals_allowed=False)
    assert kinds.in_this_service(whole, with_guard) == whole
    left = kinds.in_this_service(whole, KNOWN)
    assert [stage.stage for stage in whole if stage not in left] == ["rc_mode", "rc_mode_end"]

    def plan(stages: list[Any]) -> plans.Plan:
        given = yaml.safe_load(PLAN)["rollout"]
        return plans.Plan.model_validate({**given, "process": [each.model_dump(by_alias=True) for each in stages]})

    assert findings.findings(plan(left), datetime(2026, 12, 7, 8, tzinfo=UTC)) == []
    assert kinds.left_out(plan(whole)) == []
    (said,) = kinds.left_out(plan(left))
    assert said.startswith(
        "Left out, for nobody is in the group rc_mode: rc_mode, rc_mode_end. Nobody guards the branch. "
    )


def test_a_play_may_say_that_nobody_need_be_in_its_group() -> None:
    groups = {"merge": ["git"]}
    without = InventoryFacts(groups, production_status=Path(), rehearsals_allowed=False)
    inventory.check_groups(LAB, without, ["merge_back_out"])
    with pytest.raises(BadInputError, match=r"expected a group `rc_mode` with a host; playbooks/rc_mode_enter.yml"):
        inventory.check_groups(LAB, without, ["rc_mode_enter"])


def test_the_sites_own_playbook() -> None:
    assert kinds.playbook(PlanWanted("x", playbook=REINDEX), LAB, KNOWN) == "inventories/lab/playbooks/reindex.yml"
    assert kinds.playbook(PlanWanted(), LAB, KNOWN) is None


def test_a_playbook_from_elsewhere(tmp_path: Path) -> None:
    link = tmp_path / "link.yml"
    link.symlink_to(REINDEX)
    assert kinds.playbook(PlanWanted("x", playbook=link), LAB, KNOWN), "it leads to where it may be"
    for path in (tmp_path / "own.yml", ROOT / "roles/../process.yml", LAB / "../production/hosts.yml"):
        with pytest.raises(
            BadInputError, match=r"^E-bad-playbook  .* is in neither of playbooks/ and inventories/lab/"
        ):
            kinds.playbook(PlanWanted("x", playbook=path), LAB, KNOWN)


@pytest.mark.parametrize(
    ("plays", "says"),
    [
        ([{"hosts": "database", **MARKED}], []),
        ([{"hosts": "localhost"}], []),
        ([{"hosts": "elsewhere", **MARKED}], ["1: 0.hosts: the inventory has no group `elsewhere` with a host"]),
        ([{"hosts": "empty", **MARKED}], ["1: 0.hosts: the inventory has no group `empty` with a host"]),
        ([{"hosts": ["database"], **MARKED}], ["1: 0: a play with `hosts: NAME` was expected"]),
        ([{"hosts": "database"}], ["1: 0: what this play starts could not be found and stopped: it needs "]),
        ([{"import_playbook": "part.yml"}], ["part.yml: the inventory has no group `app` with a host"]),
        ({"hosts": "database"}, ["input should be a valid list"]),
    ],
)
def test_a_playbook_that_could_not_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plays: Any, says: list[str]
) -> None:
    monkeypatch.setattr(kinds, "ROOT", tmp_path)
    (tmp_path / "part.yml").write_text(yaml.safe_dump([{"hosts": "app", **MARKED}]))
    (tmp_path / "own.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    wanted = PlanWanted("x", playbook=tmp_path / "own.yml")
    if not says:
        assert kinds.playbook(wanted, tmp_path, KNOWN) == "own.yml"
        return
    with pytest.raises(BadInputError) as refused:
        kinds.playbook(wanted, tmp_path, KNOWN)
    for said in says:
        assert said in str(refused.value), refused.value


def test_the_groups_of_what_is_imported() -> None:
    """A stage is stopped on the hosts of the site's own playbook, too."""
    ours = ROOT / "playbooks/partial_downtime.yml"
    assert inventory.groups_of(ours, "playbooks/smoke.yml") == ["database"]
    assert inventory.groups_of(ours, "playbooks/trees_switch.yml") == ["database", "app"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path))
    return tmp_path


def rollout(kept: Path, name: str, entries: list[dict[str, Any]], **more: Any) -> None:
    (kept / name).mkdir()
    plan = {**yaml.safe_load(PLAN)["rollout"], "id": name, **more}
    (kept / name / "plan.yml").write_text(json.dumps({"rollout": plan}, default=str))
    journal = Journal(kept / name / "journal.jsonl", now=lambda: datetime(2026, 12, 9, 8, tzinfo=UTC))
    for entry in entries:
        journal.write(event_of(entry))


COMMITTED = [
    {"event": "rollout_opened", "plan": "0", "by": "mia"},
    {"event": "stage_started", "stage": "outage", "attempt": 1, "run": "r"},
    {"event": "stage_finished", "stage": "outage", "outcome": "ok", "facts": {"irreversible": True}, "message": None},
]
DONE = [COMMITTED[0], {"event": "rollout_closed", "outcome": "done", "exit_code": 0, "message": ""}]


def test_what_is_backed_out_was_pinned_there(kept: Path) -> None:
    rollout(kept, "2026-12", COMMITTED)
    pinned = kinds.pinned(PlanWanted("schema_undo", of="2026-12"), LAB)
    assert pinned.model_dump() == {"revision": 10381, "patches": ["patch-2208-30-0.sql"]}
    assert kinds.pinned(PlanWanted(), LAB).model_dump(exclude_none=True) == {}


def test_what_cannot_be_backed_out(kept: Path) -> None:
    rollout(kept, "2026-11", COMMITTED[:2])
    rollout(kept, "2026-12", COMMITTED)
    with pytest.raises(BadInputError, match=r"^E-no-such-rollout  There is no 2026-10\. There are: 2026-11, 2026-12\."):
        kinds.pinned(PlanWanted("x", of="2026-10"), LAB)
    with pytest.raises(BadInputError, match=r"^E-nothing-committed  2026-11 has not committed any patches"):
        kinds.pinned(PlanWanted("x", of="2026-11"), LAB)
    with pytest.raises(BadInputError, match=r"^E-other-inventory  2026-12 was rolled out on inventories/lab"):
        kinds.pinned(PlanWanted("x", of="2026-12"), ROOT / "inventories/production")
    rollout(kept, "2026-12-schema-undo", DONE[:1], of="2026-12")
    kinds.pinned(PlanWanted("x", of="2026-12"), LAB)
    rollout(kept, "2026-12-schema-undo.2", DONE, of="2026-12")
    with pytest.raises(BadInputError, match=r"^E-backed-out  2026-12 was backed out before, by .*undo\.2\."):
        kinds.pinned(PlanWanted("x", of="2026-12"), LAB)


def test_other_open_plans_are_told(kept: Path) -> None:
    rollout(kept, "2026-11", DONE)
    rollout(kept, "2026-12", COMMITTED)
    assert store.open_plans(LAB) == ["2026-12"]
    assert store.open_plans(ROOT / "inventories/production") == []
