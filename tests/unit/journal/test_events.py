"""Events of a newer version, and lines that no version has written."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from plugins.module_utils.rollout_core.journal.entries import entries, entry
from plugins.module_utils.rollout_core.journal.events import EVENTS, StageStarted, UnknownEvent, WindowMoved
from plugins.module_utils.rollout_core.journal.stages import JUDGED, actual

AT = {"at": "2026-12-09T08:00:00Z"}


def test_an_event_of_a_newer_version_is_kept_and_passed_over():
    newer = {**AT, "event": "stage_dreamt_of", "stage": "outage", "outcome": "ok"}
    found = entries([{**AT, "event": "stage_started", "stage": "outage"}, newer])
    assert (found[1].event, found[1].fields) == (UnknownEvent("stage_dreamt_of"), newer)
    assert actual(found)["outage"].running


def test_a_field_of_a_newer_version_is_kept_and_passed_over():
    newer = {**AT, "event": "stage_started", "stage": "outage", "attempt": 2, "mood": "calm"}
    found = entry(newer, 7)
    assert (found.seq, found.event) == (7, StageStarted("outage", 2, ""))
    assert found.fields == newer


def test_null_stands_for_nothing_said():
    found = entry({**AT, "event": "stage_finished", "stage": "outage", "outcome": "ok", "facts": None})
    assert found.event.facts == {}


def test_a_word_of_python_has_an_underscore_and_its_key_has_none():
    moved = {"from": "2026-12-09T09:00:00+01:00", "to": "2026-12-16T08:00:00+00:00"}
    found = entry({**AT, "event": "window_moved", **moved}).event
    assert isinstance(found, WindowMoved)
    assert found.from_ == datetime(2026, 12, 9, 8, tzinfo=UTC)
    assert list(found.as_fields()) == ["from", "to", "backup", "by", "reason", "redo"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"event": "stage_started", "stage": "outage"}, "entry 1: an entry has `at` and `event`"),
        ({**AT, "event": "stage_finished", "stage": "outage"}, "entry 1: stage_finished has no `outcome`"),
        ({"at": "8 o'clock", "event": "x"}, "entry 1: .* is not an instant"),
        (
            {**AT, "event": "step_started", "stage": "s", "step": "x", "since": "then"},
            "entry 1: 'then' is not an instant",
        ),
    ],
)
def test_what_is_no_entry_is_refused(line, says):
    with pytest.raises(ValueError, match=says):
        entries([line])


@pytest.mark.parametrize("kind", EVENTS.values(), ids=EVENTS)
def test_an_event_cannot_be_changed_and_says_what_it_is(kind):
    assert kind.__doc__, "the table in the docs is made of it"
    assert kind.__dataclass_params__.frozen
    names = [field.name for field in dataclasses.fields(kind)]
    assert set(JUDGED.get(kind, ())) <= set(names), "late looks at fields that there are"
