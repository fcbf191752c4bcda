"""What the journal says of a rollout is read as it happened: attempts, answers, undo, lateness, outage and downtime."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from plugins.module_utils.rollout_core.time import timeline
from rollout.views.chart import LEAST_WIDTH, Axis, chart, close_up
from rollout.views.history import History
from tests.unit.journals import typed


def stage(history, name):
    return next(found for found in history.stages if found.name == name)


def test_every_attempt_is_kept(plan, entries):
    merge = stage(History(plan, typed(entries("good"))), "merge")
    assert [(attempt.number, attempt.outcome) for attempt in merge.attempts] == [(1, "failed"), (2, "ok")]
    assert merge.state == "done"


def test_states_of_an_abort(plan, entries):
    states = {found.name: found.state for found in History(plan, typed(entries("aborted"))).stages}
    expected = {"select": "done", "merge": "done", "qastaging": "done", "pause": "undone", "outage": "undone"}
    assert states == {**dict.fromkeys(states, "not begun"), **expected}


def test_a_stage_that_is_done_again_after_its_undo_is_done(plan, entries):
    again = [
        {"at": "2026-12-11T07:30:00+00:00", "event": "rollout_opened", "plan": "0", "by": "mia"},
        {"at": "2026-12-11T07:30:00+00:00", "event": "stage_started", "stage": "pause", "attempt": 2},
        {
            "at": "2026-12-11T07:31:00+00:00",
            "event": "stage_finished",
            "stage": "pause",
            "outcome": "ok",
            "facts": {},
            "message": None,
        },
    ]
    history = History(plan, typed(entries("aborted", *again)))
    assert stage(history, "pause").state == "done"
    assert history.outcome == "open"
    assert [judged.at for judged in history.judgements[-1:]] == [timeline.parse_instant("2026-12-11T07:30:00Z")]


def test_a_gate_answered_no_before_its_stage_refuses_it(plan, entries):
    events = entries()
    outage = stage(History(plan, typed([*events[:-1], {**events[-1], "answer": "no"}])), "outage")
    assert outage.state == "refused"
    assert outage.attempts == []


def test_undo_steps_are_in_the_order_in_which_they_ran(plan, entries):
    assert [step.stage for step in History(plan, typed(entries("aborted"))).undo] == ["outage", "pause"]


@pytest.mark.parametrize(
    ("name", "outage", "downtime", "end"),
    [
        ("good", 121.4, 199.95, "2026-12-09T08:04:02Z"),  # from 08:00:00.05 until the services run, 08:03:20
        ("aborted", 2542.3, 2563.95, "2026-12-09T08:42:44Z"),  # until the undo of the pause, 08:42:44
    ],
)
def test_outage_downtime_and_end(plan, entries, name, outage, downtime, end):
    history = History(plan, typed(entries(name)))
    assert history.outage == timedelta(seconds=outage)
    assert history.downtime == timedelta(seconds=downtime)
    assert history.actual_end == timeline.parse_instant(end)
    assert history.planned_end == timeline.parse_instant("2026-12-09T08:25:21Z")


def test_nobody_was_out_before_the_window(plan, entries):
    history = History(plan, typed(entries()))
    assert history.outage is None
    assert history.downtime is None
    assert history.actual_end is None


def test_lateness_is_judged_at_each_step_and_ends_with_the_undo(plan, entries):
    judged = History(plan, typed(entries("aborted"))).judgements
    assert [(found.moment, found.verdict) for found in judged] == [
        ("pause begins", "on_track"),
        ("outage begins", "on_track"),  # 50 ms after eight is not late
        ("outage runs", "abort"),
        ("outage ends", "abort"),
    ]
    assert judged[2].off_track == timedelta(seconds=1801)


def test_sittings(plan, entries):
    sittings = History(plan, typed(entries("good"))).sittings
    assert [(sitting.by, sitting.outcome) for sitting in sittings] == [
        ("mia", "failed"),
        ("mia", None),
        ("mia", None),
        ("mia", "done"),
    ]


@pytest.mark.parametrize("change", [{"by": "mallory"}, {"at": "2026-12-07T08:00:00.121000+00:00"}, {"more": 1}])
def test_a_changed_entry_breaks_the_chain_at_the_next(plan, entries, change):
    events = entries("good")
    events[0] = {**events[0], **change}
    assert History(plan, typed(events)).chain.broken_at == 2


def test_a_missing_entry_breaks_the_chain(plan, entries):
    events = entries("good")
    assert History(plan, typed(events)).chain.broken_at is None
    assert History(plan, typed(events[:3] + events[4:])).chain.broken_at == 4


# -- the chart ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good", "aborted", None])
def test_chart_lays_planned_stages_end_to_end(plan, entries, name):
    drawn = chart(History(plan, typed(entries(name))))
    assert drawn is not None
    bars = [row.planned for row in drawn.rows]
    assert [row.stage.name for row in drawn.rows] == ["pause", "outage", "switch", "resume", "smoke"]
    for first, second in pairwise(bars):
        assert first.left + first.width <= second.left + 0.01
    assert drawn.planned_end.left == pytest.approx(bars[-1].left + bars[-1].width, abs=0.01)


@pytest.mark.parametrize("name", ["good", "aborted", None])
def test_chart_keeps_everything_on_its_axis(plan, entries, name):
    drawn = chart(History(plan, typed(entries(name))))
    assert drawn is not None
    ticks = [tick.left for tick in drawn.ticks]
    assert (ticks[0], ticks[-1]) == (0, 100)
    assert ticks == sorted(set(ticks))
    for row in drawn.rows:
        for bar in [row.planned, *row.actual]:
            assert 0 <= bar.left < 100
            assert LEAST_WIDTH <= bar.width <= 100.001 - bar.left
            assert drawn.axis.start <= bar.start <= bar.end <= drawn.axis.end


def test_chart_has_a_bar_for_every_attempt_and_undo(plan, entries):
    drawn = chart(History(plan, typed(entries("aborted"))))
    assert drawn is not None
    kinds = {row.stage.name: [bar.kind for bar in row.actual] for row in drawn.rows}
    assert kinds == {"pause": ["done", "undo"], "outage": ["late", "undo"], "switch": [], "resume": [], "smoke": []}


def test_chart_of_a_second_try_days_later_has_few_ticks(plan, entries):
    later = {"at": "2026-12-16T08:00:00+00:00", "event": "stage_started", "stage": "outage", "attempt": 2}
    drawn = chart(History(plan, typed(entries("aborted", later))))
    assert drawn is not None
    assert len(drawn.ticks) < 12


def test_close_up_shows_what_was_too_quick_for_the_whole_axis(plan, entries):
    drawn = close_up(History(plan, typed(entries("good"))))
    assert drawn is not None
    assert [row.stage.name for row in drawn.rows] == ["outage", "switch", "resume", "smoke"]  # the pause was before
    lefts = [row.actual[0].left for row in drawn.rows]
    assert lefts == sorted(lefts)
    assert lefts[1] > 20  # the outage took half of the time: on the whole axis, it took a fiftieth
    assert drawn.axis.end - drawn.axis.start < timedelta(minutes=7)


@pytest.mark.parametrize("name", ["aborted", None])
def test_no_close_up_where_the_whole_axis_shows_enough_or_nothing_was_done(plan, entries, name):
    assert close_up(History(plan, typed(entries(name)))) is None


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0, ["08:00:01", "08:00:02"]),
        (3, ["08:00:01", "08:00:02", "08:00:03", "08:00:04"]),
        (5.5, ["08:00:00", "08:00:02", "08:00:04", "08:00:06", "08:00:08"]),
        (90, ["08:00:00", "08:00:30", "08:01:00", "08:01:30", "08:02:00"]),
        (91, ["08:00", "08:01", "08:02"]),
        (420, ["08:00", "08:01", "08:02", "08:03", "08:04", "08:05", "08:06", "08:07", "08:08"]),
    ],
)
def test_axis_has_the_finest_step_that_there_is_room_for(seconds, labels):
    first = timeline.parse_instant("2026-12-09T08:00:01Z")
    axis = Axis.over(first, first + timedelta(seconds=seconds))
    assert [tick.label for tick in axis.ticks()] == labels
    assert (axis.ticks()[0].left, axis.ticks()[-1].left) == (0, 100)


def test_no_window_no_chart(plan, entries):
    outside = [found for found in plan["process"] if not found.get("window")]
    assert chart(History({**plan, "process": outside}, [])) is None
    assert close_up(History({**plan, "process": outside}, [])) is None
