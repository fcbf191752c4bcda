"""What must hold of lateness for every plan and every journal (R19)."""

import json
import re
import time
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.journal.stages import estimates
from plugins.module_utils.rollout_core.time import lateness, timeline
from plugins.module_utils.rollout_core.time.lateness import Verdict
from tests.unit.journals import typed
from tests.unit.lateness.rollouts import LIMIT, at, outlook

STAGES = ["merge", "pause", "outage", "resume", "smoke"]
seconds = st.integers(min_value=0, max_value=3 * 3600)
steps = st.lists(st.sampled_from(["patch-2208-56-0.sql", "patch-2208-57-0.sql", "pad"]), unique=True).flatmap(
    lambda names: st.tuples(*(st.builds(lambda s, n=name: {"step": n, "seconds": s}, seconds) for name in names))
)


@st.composite
def plans(draw):
    """Two to five stages; the first may come before the window, the last is in it."""
    names = STAGES[-draw(st.integers(2, 5)) :]
    dues = sorted(draw(st.lists(st.integers(-60, 30), min_size=len(names), max_size=len(names))))
    process = []
    for name, due in zip(names, dues, strict=True):
        process.append(
            {
                "stage": name,
                "due": f"{due}m",
                "window": name == names[-1] or name != names[0] or draw(st.booleans()),
                "expects": {"minutes": draw(st.integers(1, 60)), "steps": list(draw(steps))},
                "abortable": draw(st.sampled_from(["yes", "yes", "until_commit", "no"])),
                "undo": {"playbook": "undo", "minutes": draw(st.integers(1, 20))},
            }
        )
    return {"window": {"start": "2026-12-09T08:00:00Z", "minutes": draw(st.integers(5, 180))}, "process": process}


def events(stage):
    """Anything that a journal may say of a stage."""
    facts = st.sampled_from([{}, {}, {"irreversible": True}])
    outcome = st.sampled_from(["ok", "failed", "late", "refused"])
    step = st.sampled_from(["patch-2208-56-0.sql", "patch-2208-57-0.sql", "commit"])
    return st.one_of(
        st.just({"event": "stage_started", "stage": stage, "attempt": 1}),
        st.fixed_dictionaries(
            {"event": st.just("stage_finished"), "stage": st.just(stage), "outcome": outcome, "facts": facts}
        ),
        st.fixed_dictionaries({"event": st.just("step_started"), "stage": st.just(stage), "step": step}),
        st.fixed_dictionaries({"event": st.just("undo_finished"), "stage": st.just(stage), "outcome": outcome}),
        st.builds(
            lambda answer: {"event": "stop_finished", "stage": stage, "answer": answer},
            st.sampled_from(["rolled_back", "too_late"]),
        ),
        st.just({"event": "stage_carried", "stage": stage, "facts": {}}),
    )


UNRELATED = st.sampled_from(
    [
        {"event": "gate_asked", "stage": "outage", "gate": "go", "question": "GO?", "evidence": []},
        {"event": "clock_set", "offset_seconds": 5.0, "reason": "rehearsal"},
        {"event": "verdict", "stage": "outage", "verdict": "abort", "off_track_seconds": 9999.0, "reason": "x"},
        {"event": "undo_started", "stage": "pause", "playbook": "undo"},
        {"event": "weather", "stage": "outage", "outcome": "ok"},
    ]
)


@st.composite
def journals(draw, plan, gaps=seconds):
    """Whatever happens in whatever order, each entry some seconds after the one before it."""
    names = [stage["stage"] for stage in plan["process"]]
    found, cursor = [], at("07:00:00")
    for event in draw(st.lists(st.sampled_from(names).flatmap(events), max_size=8)):
        cursor += timedelta(seconds=draw(gaps))
        found.append({"at": cursor.isoformat(), **event})
    return found


@st.composite
def rollouts(draw, gaps=seconds):
    """A plan, a journal of it, and a moment after its last entry."""
    plan = draw(plans())
    entries = draw(journals(plan, gaps))
    last = timeline.parse_instant(entries[-1]["at"]) if entries else at("07:00:00")
    return plan, entries, last + timedelta(seconds=draw(seconds))


@st.composite
def orderly(draw):
    """Stages follow one another, with any starts and durations; the last may still run."""
    plan = draw(plans())
    entries, cursor = [], at("07:00:00")
    for stage in plan["process"]:
        cursor += timedelta(seconds=draw(seconds))
        entries.append({"at": cursor.isoformat(), "event": "stage_started", "stage": stage["stage"]})
        cursor += timedelta(seconds=draw(seconds))
        if not draw(st.integers(0, 3)):
            break
        entries.append({"at": cursor.isoformat(), "event": "stage_finished", "stage": stage["stage"], "outcome": "ok"})
    return plan, entries, cursor


def judge(plan, entries, now):
    return lateness.verdict(outlook(entries, now, plan), LIMIT)


@given(rollouts(), seconds)
def test_must_finish_never_becomes_abort(rollout, wait):
    """Neither by what is added to the journal nor by time."""
    plan, entries, now = rollout
    must_finish = False
    for length in range(len(entries) + 1):
        moment = timeline.parse_instant(entries[length - 1]["at"]) if length else at("07:00:00")
        later = timeline.parse_instant(entries[length]["at"]) if length < len(entries) else now
        for when in (moment, moment + (later - moment) / 2, later - timedelta(microseconds=1), now):
            judged = judge(plan, entries[:length], max(moment, when))
            assert not (must_finish and judged is Verdict.ABORT)
            must_finish = must_finish or (judged is Verdict.MUST_FINISH and when is not now)
    judged = judge(plan, entries, now + timedelta(seconds=wait))
    assert not (must_finish and judged is Verdict.ABORT)


@given(rollouts(), seconds)
def test_lateness_never_shrinks_while_nothing_happens(rollout, longer):
    plan, entries, now = rollout
    early, late = (outlook(entries, now + timedelta(seconds=wait), plan) for wait in (0, longer))
    assert early.off_track <= late.off_track


@given(rollouts(), st.integers(0, 8), seconds)
def test_more_delay_never_lowers_lateness(rollout, first, delay):
    """Whatever happens from some entry on happens later: nobody is earlier for it."""
    plan, entries, now = rollout
    by = timedelta(seconds=delay)
    delayed = [
        {**entry, "at": (timeline.parse_instant(entry["at"]) + by).isoformat()} if number >= first else entry
        for number, entry in enumerate(entries)
    ]
    assert outlook(entries, now, plan).off_track <= outlook(delayed, now + by, plan).off_track


@given(orderly(), seconds)
def test_past_the_limit_something_must_be_done_and_before_it_nothing(rollout, wait):
    plan, entries, last = rollout
    view = outlook(entries, last + timedelta(seconds=wait), plan)
    judged = lateness.verdict(view, LIMIT)
    assert (judged in (Verdict.ABORT, Verdict.MUST_FINISH)) <= (view.projected_end > view.planned_end + LIMIT)
    assert (judged is Verdict.ABORT) <= view.abortable
    assert lateness.outgrows(view, LIMIT, timedelta(minutes=10)) <= (judged in (Verdict.ON_TRACK, Verdict.LATE))


@given(orderly(), seconds)
def test_who_has_no_time_left_is_too_late(rollout, wait):
    plan, entries, last = rollout
    view = outlook(entries, last + timedelta(seconds=wait), plan)
    left = lateness.time_left(timeline.planned(plan, estimates(typed(entries))), view, LIMIT)
    assert (left is None) == (view.stage is None)
    if left is not None and left < timedelta():
        assert lateness.verdict(view, LIMIT) in (Verdict.ABORT, Verdict.MUST_FINISH)


@given(orderly(), seconds)
def test_the_last_safe_abort_leaves_time_to_undo_what_was_begun(rollout, wait):
    plan, entries, last = rollout
    view = outlook(entries, last + timedelta(seconds=wait), plan)
    begun = {entry["stage"] for entry in entries}
    undo = sum(stage["undo"]["minutes"] for stage in plan["process"] if stage["window"] and stage["stage"] in begun)
    assert view.last_safe_abort == (view.window_end - timedelta(minutes=undo) if view.abortable else None)


@given(rollouts(), st.lists(st.tuples(st.integers(0, 8), UNRELATED), max_size=5), st.randoms(use_true_random=False))
def test_a_verdict_is_a_function_of_plan_journal_and_now(rollout, unrelated, random):
    """Twice the same; whatever order a file has its keys in; whatever else is in the journal."""
    plan, entries, now = rollout

    def shuffled(value):
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if not isinstance(value, dict):
            return value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    more = list(entries)
    for position, entry in unrelated:
        more.insert(position, {"at": now.isoformat(), **entry})
    before = json.dumps([plan, entries])
    view = outlook(entries, now, plan)
    assert outlook(entries, now, plan) == view
    assert outlook(shuffled(more), now, shuffled(plan)) == view
    assert json.dumps([plan, entries]) == before, "what came in was changed"


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/St_Johns"])
def test_the_zone_of_the_machine_does_not_matter(zone, monkeypatch):
    plan = {
        "window": {"start": "2026-12-09T08:00:00Z", "minutes": 90},
        "process": [{"stage": "outage", "due": "0m", "window": True, "expects": {"minutes": 12}}],
    }
    entries = [{"at": "2026-12-09T08:00:00Z", "event": "stage_started", "stage": "outage"}]
    here = outlook(entries, at("08:50:00"), plan)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        there = outlook(entries, at("08:50:00"), plan)
        assert (there, lateness.reason(there, LIMIT)) == (here, lateness.reason(here, LIMIT))
    finally:
        monkeypatch.undo()
        time.tzset()


@given(rollouts(), st.lists(st.sampled_from([-120, -60, 60, 120, 240, 630, 825]), min_size=8, max_size=8))
def test_an_instant_may_be_written_in_any_zone(rollout, offsets):
    plan, entries, now = rollout
    elsewhere = [
        {**entry, "at": timeline.parse_instant(entry["at"]).astimezone(_zone(offset)).isoformat()}
        for entry, offset in zip(entries, offsets, strict=False)
    ]
    assert outlook(elsewhere, now, plan) == outlook(entries, now, plan)


@given(rollouts(gaps=st.integers(-300, 600)), st.integers(-300, 0))
def test_a_clock_that_was_set_back_makes_no_duration_negative(rollout, back):
    plan, entries, now = rollout
    view = outlook(entries, now + timedelta(seconds=back), plan)
    assume(view.stage)
    assert all(length is None or length >= timedelta() for length in (view.running_for, view.step_running_for))
    assert not re.search(r"(?<!\d)-\d+:\d\d", lateness.reason(view, LIMIT))


def _zone(minutes):
    return timeline.timezone(timedelta(minutes=minutes))
