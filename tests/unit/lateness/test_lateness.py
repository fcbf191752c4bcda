"""Lateness (R19): tables a DBA can check."""

from datetime import UTC, datetime, timedelta

import pytest

from plugins.module_utils.rollout_core.journal.stages import actual, estimates, until
from plugins.module_utils.rollout_core.time import lateness, timeline
from tests.unit.journals import typed
from tests.unit.lateness.rollouts import DAY, LIMIT, PLAN, WITH_STEPS, at, duration, entries, entry, outlook, table

PROCESS = WITH_STEPS["process"]
PAUSED = ["07:30:00 pause started", "07:33:00 pause ok"]


@pytest.mark.parametrize("row", table("verdicts.yml"))
def test_verdict(row):
    off_track = timeline.parse_duration(row["off_track"])
    view = lateness.Outlook(
        now=DAY,
        planned_end=DAY,
        projected_end=DAY + off_track,
        window_end=DAY + timedelta(hours=2),
        stage="outage",
        running_for=None,
        expected=timedelta(),
        abortable=row["abortable"],
        last_safe_abort=None,
    )
    assert lateness.verdict(view, LIMIT) == row["verdict"]


@pytest.mark.parametrize("row", table("outlooks.yml"))
def test_outlook(row):
    view = outlook(entries(row["journal"]), at(row["now"]))
    assert {
        "projected_end": view.projected_end,
        "off_track": view.off_track,
        "abortable": view.abortable,
        "stage": view.stage,
    } == {
        "projected_end": at(row["projected_end"]),
        "off_track": timeline.parse_duration(row["off_track"]),
        "abortable": row["abortable"],
        "stage": row["stage"],
    }
    if "running_for" in row:
        assert view.running_for == timeline.parse_duration(row["running_for"])


def test_last_safe_abort_leaves_time_to_undo_what_was_begun():
    pause = [entry("07:30:00 pause started"), entry("07:33:00 pause ok")]
    assert outlook([], at("07:00:00")).last_safe_abort == at("09:30:00")
    assert outlook(pause, at("07:40:00")).last_safe_abort == at("09:25:00")
    assert outlook([*pause, entry("08:00:00 outage started")], at("08:01:00")).last_safe_abort == at("09:23:00")
    assert outlook([*pause, entry("07:50:00 pause undone")], at("08:01:00")).last_safe_abort == at("09:30:00")


@pytest.mark.parametrize("row", table("steps.yml"))
def test_steps(row):
    view = outlook(entries([*PAUSED, *row["journal"]]), at(row["now"]), WITH_STEPS)
    assert duration(view.off_track) == row["off_track"]
    if "verdict" in row:
        assert lateness.verdict(view, LIMIT) == row["verdict"]
    if "step" in row:
        found = [view.step, duration(view.step_running_for), duration(view.step_expected)]
        assert (found if view.step else None) == row["step"]


@pytest.mark.parametrize("row", table("no_return.yml"))
def test_the_point_of_no_return(row):
    abortable = row.get("abortable", {})
    process = [
        {**stage, "abortable": abortable.get(stage["stage"], stage.get("abortable", "yes"))} for stage in PROCESS
    ]
    view = outlook(entries([*PAUSED, *row["journal"]]), at("09:15:00"), {**WITH_STEPS, "process": process})
    assert lateness.verdict(view, LIMIT) == row["verdict"]
    assert lateness.reason(view, LIMIT).endswith(row.get("because", ""))


@pytest.mark.parametrize("row", table("reasons.yml"))
def test_the_reason_can_be_read_aloud(row):
    lines = row["whole_journal"] if "whole_journal" in row else [*PAUSED, *row["journal"]]
    now = at(row["now"]) + timedelta(milliseconds=row.get("and_milliseconds", 0))
    assert lateness.reason(outlook(entries(lines), now, WITH_STEPS), LIMIT) == row["says"]


@pytest.mark.parametrize("row", table("asked.yml"))
def test_what_is_asked_besides_the_verdict(row):
    process = [{**stage} for stage in PROCESS]
    process[2]["expects"] = {"minutes": row.get("resume", 3)}
    plan, lines = {**WITH_STEPS, "process": process}, entries(row["journal"])
    view = outlook(lines, at(row["now"]), plan)
    assert {
        "left": duration(lateness.time_left(timeline.planned(plan, estimates(typed(lines))), view, LIMIT)),
        "outgrows": lateness.outgrows(view, LIMIT, timedelta(minutes=row.get("margin", 10))),
        "too_late": lateness.too_late_to_begin(view, LIMIT),
    } == {key: row[key] for key in ("left", "outgrows", "too_late")}


def test_the_window_must_have_a_stage():
    process = [{**stage, "window": False} for stage in PROCESS]
    with pytest.raises(ValueError, match="no stage of the process is in the window"):
        outlook([], DAY, {**PLAN, "process": process})


# -- how long a stage takes, and what has happened to it ------------------------------------------------------------


def measured(event, seconds, outcome="ok", stage="select"):
    facts = {"estimates": {"outage": [{"step": "patch-2208-30-0.sql", "seconds": seconds}]}}
    return {"at": DAY.isoformat(), "event": event, "stage": stage, "outcome": outcome, "facts": facts}


@pytest.mark.parametrize(
    ("plan", "entries", "seconds"),
    [
        (PLAN, [], 720),  # the plan's minutes
        (WITH_STEPS, [], 780),  # the plan's steps
        (WITH_STEPS, [measured("stage_finished", 141.5)], 141.5),  # what a stage measured
        (WITH_STEPS, [measured("stage_carried", 141.5)], 141.5),  # or was carried over
        (PLAN, [measured("stage_carried", 1), measured("stage_finished", 2)], 2),  # the latest counts
        (PLAN, [measured("stage_finished", 2), measured("stage_carried", 1)], 1),
        (PLAN, [measured("stage_finished", 2), measured("stage_finished", 3, "failed")], 2),
        (PLAN, [measured("stage_finished", 2), {**measured("stage_finished", 3), "facts": {}}], 2),
    ],
)
def test_where_an_estimate_comes_from(plan, entries, seconds):
    expected = {stage.name: stage.expected for stage in timeline.planned(plan, estimates(typed(entries)))}
    assert expected["outage"] == timedelta(seconds=seconds)


def test_a_journal_by_hand_needs_no_attempts_and_no_facts():
    lines = [
        {"at": "2026-12-09T07:30:00Z", "event": "stage_started", "stage": "pause"},
        {"at": "2026-12-09T07:31:00Z", "event": "stage_finished", "stage": "pause", "outcome": "failed"},
        {"at": "2026-12-09T07:32:00Z", "event": "stage_started", "stage": "pause"},
        {"at": "2026-12-09T07:33:00Z", "event": "stage_finished", "stage": "pause", "outcome": "ok"},
        {"at": "2026-12-09T08:00:00Z", "event": "stage_finished", "stage": "outage", "outcome": "ok"},
        {"at": "2026-12-09T08:00:00Z", "event": "undo_finished", "stage": "resume", "outcome": "ok"},
        {"at": "2026-12-09T08:00:00Z", "event": "step_started", "stage": "resume", "step": "x"},
    ]
    seen = actual(typed(lines))
    assert (seen["pause"].attempt, seen["pause"].done) == (2, True)
    undone = {"at": "2026-12-09T07:40:00Z", "event": "undo_finished", "stage": "pause", "outcome": "ok"}
    assert not actual(typed([*lines, undone]))["pause"].done
    assert actual(typed([*lines, undone, lines[3]]))["pause"].done
    assert seen["outage"].started == seen["outage"].finished == at("08:00:00")
    assert "resume" not in seen


def test_steps_are_those_of_the_latest_attempt_in_the_order_of_their_begin():
    told = ["08:00:01 outage step a", "08:00:02 outage step b", "08:00:03 outage step a"]
    seen = actual(typed(entries(["08:00:00 outage started", *told])))["outage"]
    assert seen.steps == (("b", at("08:00:02")), ("a", at("08:00:03")))
    assert actual(typed(entries(told))) == {}


def test_what_another_rollout_did_is_done_and_the_first_attempt_here_is_the_first():
    carried = actual(typed([entry("07:00:00 pause carried")]))["pause"]
    assert (carried.done, carried.attempt) == (True, 0)


@pytest.mark.parametrize(
    ("lines", "now", "kept"),
    [
        (["08:00:00 outage started", "08:05:00 outage ok"], "07:59:59", 0),
        (["08:00:00 outage started", "08:05:00 outage ok"], "08:00:00", 1),
        (["08:00:00 outage started", "08:05:00 outage ok"], "08:05:00", 2),
        # The clock was set back by five minutes after the commit: it was made all the same.
        (["08:00:00 outage started", "08:05:00 outage ok", "08:00:05 resume started"], "08:00:06", 3),
        ([], "08:00:00", 0),
    ],
)
def test_what_stands_after_now_has_not_happened(lines, now, kept):
    assert len(until(typed(entries(lines)), at(now))) == kept


@pytest.mark.parametrize("text", ["48", "48 h", "-h", "1w", "", "0", "3654d", "9" * 30 + "s"])
def test_durations_that_are_none(text):
    with pytest.raises(ValueError, match="is not a duration"):
        timeline.parse_duration(text)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-12-09T08:00:00", "no offset from UTC"),
        (datetime(2026, 12, 9, 8), "no offset from UTC"),  # noqa: DTZ001 - that is the point
        ("2026-12-09", "no offset from UTC"),
        ("Wednesday", "is not an instant"),
        (1796803200, "is not an instant"),
        (DAY.date(), "is not an instant"),
        (None, "is not an instant"),
        ("9999-12-31T23:59:59Z", "not an instant of our time"),
        ("0001-01-01T00:00:00+14:00", "not an instant of our time"),
    ],
)
def test_instants_that_are_none(value, says):
    with pytest.raises(ValueError, match=says):
        timeline.parse_instant(value)


# -- the clock --------------------------------------------------------------------------------------------------------


def test_a_window_across_midnight_is_nothing_special():
    plan = {**PLAN, "window": {"start": "2026-12-31T23:00:00Z", "minutes": 90}}
    layout = timeline.planned(plan)
    assert timeline.window(plan)[1] == datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    assert layout[-1].end == datetime(2026, 12, 31, 23, 15, tzinfo=UTC)


def test_the_summer_time_of_the_operators_zone_ends_inside_the_window():
    """In Berlin, 02:30 comes twice on 25 October: with its offset, an instant is an instant."""
    plan = {**PLAN, "window": {"start": "2026-10-25T02:00:00+02:00", "minutes": 90}}
    lines = [
        {"at": "2026-10-25T01:30:00+02:00", "event": "stage_started", "stage": "pause"},
        {"at": "2026-10-25T01:33:00+02:00", "event": "stage_finished", "stage": "pause", "outcome": "ok"},
        {"at": "2026-10-25T02:00:00+02:00", "event": "stage_started", "stage": "outage"},
        {"at": "2026-10-25T02:04:00+01:00", "event": "stage_finished", "stage": "outage", "outcome": "ok"},
        {"at": "2026-10-25T02:05:00+01:00", "event": "stage_started", "stage": "resume"},
    ]
    view = outlook(lines, timeline.parse_instant("2026-10-25T02:06:00+01:00"), plan)
    assert timeline.window(plan)[1] == timeline.parse_instant("2026-10-25T02:30:00+01:00")
    assert (view.running_for, view.off_track) == (timedelta(minutes=1), timedelta(minutes=53))


def test_durations_are_not_negative_when_the_clock_was_set_back():
    lines = entries([*PAUSED, "08:00:00 outage started", "08:05:00 outage step patch-2208-56-0.sql"])
    view = outlook(lines, at("07:58:00"), WITH_STEPS)
    assert (view.running_for, view.step_running_for) == (timedelta(), timedelta())
    assert lateness.reason(view, LIMIT).startswith("patch 2208-56-0 has run 0:00 of about 2:00")
