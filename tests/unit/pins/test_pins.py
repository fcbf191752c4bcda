"""What stages have settled, and what is to be done again when one settles something else: a table (R8, R11, R13)."""

from pathlib import Path

import pytest
import yaml

from plugins.module_utils.rollout_core.journal.stages import actual
from plugins.module_utils.rollout_core.merge import pins
from tests.unit.journals import typed

CASES = yaml.safe_load((Path(__file__).parent / "journals.yml").read_text(encoding="utf-8"))
NAMES = ["select", "rc_mode", "merge", "blessing", "qa", "pause", "done"]
PROCESS = [{"stage": name, "window": name == "pause"} for name in NAMES]


def ended(stage, pin, event="stage_finished", **more):
    facts = {} if pin is None else {"pin": pin}
    return {"at": "2026-12-07T08:00:00Z", "event": event, "stage": stage, "outcome": "ok", "facts": facts, **more}


def journal(case):
    carried = [ended(stage, pin, "stage_carried") for stage, pin in case.get("carried", [])]
    return [*carried, *(ended(stage, pin) for stage, pin in case["journal"])]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_what_is_settled_and_what_rests_on_it(case):
    entries = journal(case)
    redo = pins.to_redo(PROCESS, typed(entries), case["stage"], case["pin"] or {})
    assert redo == case["redo"]
    after = [*entries, ended(case["stage"], case["pin"], redo=redo)]
    assert pins.settled(typed(after)) == case["settled"]
    done = {name for name, record in actual(typed(entries)).items() if record.done}
    assert {name for name, record in actual(typed(after)).items() if record.done} == done - set(redo) | {case["stage"]}
    again = [*after, *(ended(name, None) for name in redo)]
    assert all(record.done for record in actual(typed(again)).values()), "done again, it is done"


def test_what_did_not_end_well_settles_nothing():
    entries = [ended("merge", {"merged_revno": 12}), ended("merge", {"merged_revno": 13})]
    entries[1]["outcome"] = "failed"
    assert pins.settled(typed(entries)) == {"merged_revno": 12}
    assert pins.fields(typed(entries)) == {"merged_revno"}
