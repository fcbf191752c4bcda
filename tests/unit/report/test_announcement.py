"""The draft that announces the next attempt (R21), in the wording of the announcements that readers know."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rollout.views.announcement import day, render_announcement


def next_plan(plan, start, minutes=90, **policy):
    return {**plan, "window": {"start": start, "minutes": minutes}, "policy": {**plan["policy"], **policy}}


def test_the_draft(plan, entries):
    text = render_announcement(plan, entries("stopped"), next_plan(plan, "2026-12-16T08:00:00Z"))
    assert (
        text
        == """\
Subject: New date for the database update: 08.00 UTC 16th of December 2026

The database update of 9th of December 2026 was aborted at 08.40 UTC
and taken back as a whole: nothing of it was kept.
The reason: missing index on translationmessage.

We will try again. The service will be offline for around 90 minutes, and some of
its aspects, such as jobs in the background, up to 30 minutes earlier.

Starts: 08.00 UTC 16th of December 2026
Expected back by: 09.30 UTC 16th of December 2026
"""
    )


def test_the_end_may_fall_on_the_next_day(plan, entries):
    """As it was announced in February 2011."""
    text = render_announcement(plan, entries("stopped"), next_plan(plan, "2011-02-10T23:00:00Z"))
    assert text.endswith("Starts: 23.00 UTC 10th of February 2011\nExpected back by: 00.30 UTC 11th of February 2011\n")


def test_a_site_that_pauses_nothing_and_is_quick(plan, entries):
    quick = next_plan(plan, "2026-12-16T08:00:00Z", minutes=5, pause_minutes_before=0)
    assert "The service will be offline for around 5 minutes.\n" in render_announcement(plan, entries("stopped"), quick)


def test_nothing_is_promised_that_is_not_so(plan, entries):
    events = [
        {**e, "outcome": "failed"} if e["event"] == "undo_finished" and e["stage"] == "pause" else e
        for e in entries("stopped")
    ]
    text = render_announcement(plan, events, next_plan(plan, "2026-12-16T08:00:00Z"))
    assert "was aborted at 08.40 UTC.\nThe reason" in text
    assert "taken back" not in text


def test_what_never_began_did_not_take_place(plan, entries):
    before = [e for e in entries("stopped") if e.get("stage") not in {"pause", "outage"}]
    text = render_announcement(plan, before, next_plan(plan, "2026-12-16T08:00:00Z"))
    assert "The database update of 9th of December 2026 did not take place.\nThe reason" in text


@pytest.mark.parametrize("name", ["good", "aborted"])
def test_without_an_abort_or_its_reason_there_is_no_draft(plan, entries, name):
    with pytest.raises(ValueError, match="was not aborted, or nobody has told why"):
        render_announcement(plan, entries(name), next_plan(plan, "2026-12-16T08:00:00Z"))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        *((1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")),
        *((22, "22nd"), (23, "23rd"), (25, "25th"), (30, "30th"), (31, "31st")),
    ],
)
def test_days_are_ordinal(number, said):
    assert day(datetime(2026, 12, number, tzinfo=UTC)) == f"{said} of December 2026"
