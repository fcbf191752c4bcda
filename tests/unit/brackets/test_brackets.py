"""What a stage left switched on, computed from the journal (R13): a table that a person of the field can check."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plugins.module_utils.rollout_core.journal.brackets import still_on, switched_on
from plugins.module_utils.rollout_core.journal.stages import actual
from tests.unit.journals import typed

CASES = yaml.safe_load((Path(__file__).parent / "journals.yml").read_text(encoding="utf-8"))
PROCESS = [
    {"stage": "on", "bracket": {"what": "PQM is in RC mode", "ends_with": "off", "end_early": "let_go"}},
    {"stage": "merge"},
    {"stage": "qa"},
    {"stage": "off"},
]


def at(clock):
    return datetime.fromisoformat(f"2026-12-07T{clock}").replace(tzinfo=UTC)


def entry(clock, event, stage, fields=None):
    return {"at": at(clock).isoformat(), "event": event, "stage": stage, **(fields or {})}


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_what_is_still_on(case):
    found = switched_on(PROCESS, typed([entry(*event) for event in case["events"]]))
    assert [(each.since, each.why) for each in found if each.on] == [
        (at(on["since"]), on.get("why")) for on in case.get("still_on", [])
    ]
    assert [(each.since, each.ended, each.ended_by) for each in found if not each.on] == [
        (at(since), at(ended), by) for since, ended, by in case.get("over", [])
    ]
    assert {(each.stage, each.what, each.ends_with, each.end_early) for each in found} <= {
        ("on", "PQM is in RC mode", "off", "let_go")
    }


def test_two_brackets_end_each_by_its_own():
    other = {"stage": "topic", "bracket": {"what": "the topic is set", "ends_with": "topic_back", "end_early": "unset"}}
    begun = [entry("08:00", "stage_started", "on"), entry("08:01", "stage_started", "topic")]
    process = [*PROCESS, other, {"stage": "topic_back"}]
    assert [each.stage for each in still_on(process, typed(begun))] == ["on", "topic"]
    ended = [*begun, entry("13:00", "stage_finished", "off", {"outcome": "ok"})]
    assert [each.stage for each in still_on(process, typed(ended))] == ["topic"]
    out = [*begun, entry("15:00", "back_out_finished", "qa", {"outcome": "ok", "facts": {"released": True}})]
    assert still_on(process, typed(out)) == []


def test_what_was_ended_early_is_to_be_done_again():
    done = [entry("08:00", "stage_started", "on"), entry("08:01", "stage_finished", "on", {"outcome": "ok"})]
    stays = entry("09:00", "release_finished", "on", {"released": False, "why": "the merge stands"})
    gone = entry("09:00", "release_finished", "on", {"released": True, "why": None})
    assert actual(typed([*done, stays]))["on"].done
    assert not actual(typed([*done, gone]))["on"].done


def test_what_ended_it_the_last_time_has_to_end_it_again():
    before = [entry("07:00", "stage_started", "off"), entry("07:01", "stage_finished", "off", {"outcome": "ok"})]
    again = [*before, entry("08:00", "stage_started", "on", {"until": "off"})]
    assert actual(typed(before))["off"].done
    assert not actual(typed(again))["off"].done
    assert actual(typed([*again, entry("13:00", "stage_finished", "off", {"outcome": "ok"})]))["off"].done


def test_what_was_backed_out_is_not_done():
    merged = [entry("08:00", "stage_started", "merge"), entry("08:05", "stage_finished", "merge", {"outcome": "ok"})]
    failed = entry("15:00", "back_out_finished", "qa", {"outcome": "failed", "facts": None})
    out = entry("15:00", "back_out_finished", "qa", {"outcome": "ok", "facts": {}})
    assert actual(typed([*merged, failed]))["merge"].done
    assert not actual(typed([*merged, out]))["merge"].done
