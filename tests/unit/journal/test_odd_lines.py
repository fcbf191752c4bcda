"""Lines that nobody of ours wrote, in a journal that can be read: nothing breaks on them."""

from __future__ import annotations

from plugins.module_utils.rollout_core.journal import outbox, text
from rollout.views.happenings import happenings
from tests.unit.journals import typed

QUEUED = {
    "announcement": 1,
    "message": "first",
    "stage": "announce",
    "by": None,
    "texts": {"status": {"title": "", "body": "soon", "via": "x", "to": None}},
}
ABOUT = {"announcement": 1, "channel": "status", "attempt": 1}


def test_half_of_a_character_has_a_hash() -> None:
    assert len(text.digest(text.line({"said": "\ud800"}, ""))) == 64


def test_an_outcome_that_nobody_wrote_is_in_doubt() -> None:
    told = [
        {"event": "announcement_queued", **QUEUED},
        {"event": "announcement_sending", **ABOUT, "key": "k"},
        {"event": "announcement_tried", **ABOUT, "outcome": "perhaps", "said": "?", "repeatable_until": None},
    ]
    entries = typed({"at": "2026-12-07T08:00:00+00:00", **row} for row in told)
    (announcement,) = outbox.announcements(entries)
    assert announcement.copies[0].state == outbox.IN_DOUBT
    assert any("MAY BE OUT" in line for _, line in happenings(entries))
