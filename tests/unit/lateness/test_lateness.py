"""Lateness (R19): tables a DBA can check, and what must hold for every rollout."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rollout_core import lateness, timeline
from rollout_core.lateness import Verdict

HERE = Path(__file__).parent
LIMIT = timedelta(minutes=30)
DAY = datetime(2026, 12, 9, tzinfo=UTC)
OUTCOMES = {
    "ok": {"event": "stage_finished", "outcome": "ok", "facts": {}},
    "failed": {"event": "stage_finished", "outcome": "failed", "facts": {}},
    "committed": {"event": "stage_finished", "outcome": "failed", "facts": {"irreversible": True}},
    "started": {"event": "stage_started", "attempt": 1},
    "undone": {"event": "undo_finished", "outcome": "ok"},
}
PLAN = {
    "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
    "process": [
        {
            "stage": "pause",
            "due": "-30m",
            "window": True,
            "expects": {"minutes": 5},
            "undo": {"playbook": "r", "minutes": 5},
        },
        {
            "stage": "outage",
            "due": "0m",
            "window": True,
            "abortable": "until_commit",
            "expects": {"minutes": 12},
            "undo": {"playbook": "u", "minutes": 2},
        },
        {"stage": "resume", "due": "0m", "window": True, "expects": {"minutes": 3}},
    ],
}


def table(name):
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


def at(clock):
    hours, minutes, seconds = map(int, clock.split(":"))
    return DAY + timedelta(hours=hours, minutes=minutes, seconds=seconds)


def entry(line):
    clock, stage, what = line.split()
    return {"at": at(clock).isoformat(), "stage": stage, **OUTCOMES[what]}


def outlook(entries, now, plan=PLAN):
    return lateness.outlook(timeline.planned(plan, entries), timeline.actual(entries), timeline.window(plan)[1], now)


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
    view = outlook([entry(line) for line in row["journal"]], at(row["now"]))
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


def test_the_reason_can_be_read_aloud():
    entries = [entry("07:30:00 pause started"), entry("07:33:00 pause ok"), entry("08:00:00 outage started")]
    view = outlook(entries, at("08:42:01"))
    assert lateness.reason(view, LIMIT) == (
        "outage has run 42:01 of about 12:00; the rollout would end 08:45, planned 08:15, 30:01 late (limit 30:00); "
        "it can be aborted until 09:23"
    )


def test_estimates_measured_by_a_stage_replace_the_guess():
    measured = {
        "estimates": {"outage": [{"step": "patch-2208-30-0.sql", "seconds": 141.0}, {"step": "pad", "seconds": 600}]}
    }
    entries = [
        {"at": DAY.isoformat(), "event": "stage_finished", "stage": "select", "outcome": "ok", "facts": measured},
    ]
    expected = {stage.name: stage.expected for stage in timeline.planned(PLAN, entries)}
    assert expected["outage"] == timedelta(seconds=741)


seconds = st.integers(min_value=0, max_value=3 * 3600)


@st.composite
def rollouts(draw):
    """A journal whose stages follow one another with any starts and durations, and the moment of its last entry."""
    entries, cursor = [], at("07:30:00") + timedelta(seconds=draw(seconds))
    for stage in ("pause", "outage", "resume"):
        if not draw(st.booleans()):
            break
        entries.append({"at": cursor.isoformat(), "stage": stage, **OUTCOMES["started"]})
        cursor += timedelta(seconds=draw(seconds))
        if not draw(st.booleans()):
            break
        entries.append({"at": cursor.isoformat(), "stage": stage, **OUTCOMES["ok"]})
    return entries, cursor


@given(rollouts(), seconds, seconds)
def test_lateness_never_shrinks_while_nothing_happens(rollout, wait, longer):
    entries, last = rollout
    early, late = (outlook(entries, last + timedelta(seconds=s)) for s in sorted((wait, wait + longer)))
    assert early.off_track <= late.off_track


@given(rollouts(), seconds)
def test_never_abort_what_is_on_time(rollout, wait):
    entries, last = rollout
    view = outlook(entries, last + timedelta(seconds=wait))
    if view.projected_end <= view.planned_end + LIMIT:
        assert lateness.verdict(view, LIMIT) is not Verdict.ABORT


@given(rollouts(), seconds)
def test_never_abort_past_the_commit(rollout, wait):
    entries, last = rollout
    committed = any(e["stage"] == "outage" and e.get("outcome") == "ok" for e in entries)
    judged = lateness.verdict(outlook(entries, last + timedelta(seconds=wait)), LIMIT)
    assert judged is not (Verdict.ABORT if committed else Verdict.MUST_FINISH)


@pytest.mark.parametrize("text", ["48", "48 h", "-h", "1w", "", "0"])
def test_durations_that_are_none(text):
    with pytest.raises(ValueError, match="is not a duration"):
        timeline.parse_duration(text)


def test_an_instant_without_offset_is_refused():
    with pytest.raises(ValueError, match="no offset from UTC"):
        timeline.parse_instant("2026-12-09T08:00:00")


def test_a_window_across_midnight_is_nothing_special():
    plan = {**PLAN, "window": {"start": "2026-12-31T23:00:00Z", "minutes": 90}}
    layout = timeline.planned(plan)
    assert timeline.window(plan)[1] == datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    assert layout[-1].end == datetime(2026, 12, 31, 23, 15, tzinfo=UTC)
