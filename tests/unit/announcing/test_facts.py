"""What texts are about, as it stands in plan and journal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rollout.announcing import wording
from tests.unit.journals import typed

from .conftest import JOURNALS, PLAN, planned

NOW = datetime(2011, 2, 8, tzinfo=UTC)
HEARD = [
    {"at": "2011-01-27T23:00:00Z", "event": "announcement_queued", "announcement": 1, "message": "first", "texts": {}},
    {
        "at": "2011-01-27T23:00:02Z",
        "event": "announcement_tried",
        "announcement": 1,
        "channel": "irc",
        "outcome": "sent",
    },
]
ALSO_HEARD = [
    {
        "at": "2011-02-02T00:00:00Z",
        "event": "announcement_queued",
        "announcement": 2,
        "message": "rescheduled",
        "texts": {},
    },
    {"at": "2011-02-02T00:00:00Z", "event": "announcement_settled", "announcement": 2, "channel": "irc", "as": "sent"},
]
REMINDED = [
    {
        "at": "2011-02-02T00:00:00Z",
        "event": "announcement_queued",
        "announcement": 2,
        "message": "reminder",
        "texts": {},
    },
    {
        "at": "2011-02-02T00:00:00Z",
        "event": "announcement_tried",
        "announcement": 2,
        "channel": "irc",
        "outcome": "sent",
    },
]
FAILED = [ALSO_HEARD[0], {**HEARD[1], "announcement": 2, "outcome": "not_sent"}]


def move(day):
    start = f"2011-02-1{day}T09:00:00Z"
    return {"at": f"2011-02-0{day}T00:00:00Z", "event": "window_moved", "from": start, "to": start, "redo": []}


@pytest.mark.parametrize(
    ("entries", "day"),
    [
        ([*HEARD, move(1)], 11),
        ([*HEARD, move(1), move(2)], 11),
        ([*HEARD, move(1), *ALSO_HEARD, move(3)], 13),
        ([*HEARD, move(1), *ALSO_HEARD], 11),
        ([*HEARD, move(1), *REMINDED, move(3)], 11),
        ([*HEARD, move(1), *FAILED, move(3)], 11),
    ],
    ids=[
        "once",
        "twice, and nobody heard",
        "again, after all heard",
        "all heard",
        "a reminder says no date",
        "not sent",
    ],
)
def test_the_window_that_people_had_heard_of(entries, day):
    facts = wording.about(PLAN, typed(entries), NOW)
    assert facts["moved_from"] == f"09.00-10.30 UTC {day}th of February 2011"


def test_what_was_not_moved_has_no_earlier_date():
    assert "moved_from" not in wording.about(PLAN, typed(HEARD), NOW)


def test_a_wrong_post_is_recognised_by_its_subject_else_by_its_beginning():
    queued = JOURNALS["announced"][0]
    assert (
        wording.about(PLAN, typed(JOURNALS["announced"]), NOW, corrects=1)["wrong"]
        == queued["texts"]["lp_announce"]["title"]
    )
    posts = {**queued, "texts": {"status": {"title": "", "body": "The first line\nThe second"}}}
    facts = wording.about(PLAN, typed([posts]), NOW, corrects=1)
    assert (facts["wrong"], facts["wrong_at"]) == ("The first line", datetime(2011, 1, 27, 23, tzinfo=UTC))
    assert wording.about(PLAN, typed([posts]), NOW, corrects=1, wrong="the year")["wrong"] == "the year"


def test_the_incident_that_is_meant_or_else_the_last():
    opened = JOURNALS["incident"][0]
    entries = [*JOURNALS["closed"], {**opened, "number": 8, "problem": "another"}]
    assert wording.about(PLAN, typed(entries), NOW)["problem"] == "another"
    assert "resolution" not in wording.about(PLAN, typed(entries), NOW)
    assert wording.about(PLAN, typed(entries), NOW, number=7)["resolution"] == "Apache on soybean was restarted"


def test_mended_is_over_to_the_second():
    after = (PLAN, typed(JOURNALS["stopped"]))
    mended_at = wording.about(PLAN, [], NOW, after=after)["mended_at"]
    assert wording.about(PLAN, [], mended_at, after=after)["mended"] is True
    assert wording.about(PLAN, [], mended_at.replace(hour=15, minute=59, second=59), after=after)["mended"] is False


def test_what_goes_out_first_names_the_window():
    """The announcer is shown the text that will go out: after an abort that is the new date (R6, R21)."""
    following = {**planned(PLAN["backup_window"]["start"]), "follows": ["2011-02"]}
    assert wording.about(PLAN, [], NOW)["announcement"] == "first"
    assert wording.about(following, [], NOW)["announcement"] == "first", "nobody has told of the abort"
    facts = wording.about(following, [], NOW, after=(PLAN, typed(JOURNALS["stopped"])))
    assert facts["announcement"] == "new_date"
    note = wording.render("announcer_note", "mail", facts)
    assert "\n  new_date: at once\n    at the latest 09.00 UTC 11th of February 2011\n" in note.body
    assert "\n  reminder: 04.00 UTC 12th of February 2011\n" in note.body
    assert "  Subject: New date for the database update: 09.00 UTC 12th of February 2011\n" in note.body
