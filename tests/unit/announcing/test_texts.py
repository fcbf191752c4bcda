"""Every message in every wording: the golden texts, whatever day the window is on, and nothing left of a template."""

from __future__ import annotations

import pytest

from rollout.announcing import wording
from rollout.announcing.phrases import day
from tests.unit.journals import typed

from .conftest import HERE, MESSAGES, WINDOWS, facts_of, message_of, planned, text_of, whole

GOLDEN = [(name, how) for name in MESSAGES for how in wording.wordings(message_of(name))]
OF_THE_WINDOW = [(m, how) for m in wording.MESSAGES for how in wording.wordings(m)]
LABELLED = ("announcer_note", "first", "rescheduled", "reminder", "starting", "new_date")


@pytest.mark.parametrize(("name", "how"), GOLDEN, ids=lambda value: value)
def test_golden(name, how):
    """golden/ has them as readers see them; a change of a template is a change there, to be read."""
    text = text_of(name, how, site=HERE / "site")
    seen = {"mail": text.as_mail, "chat": lambda: text.as_chat() + "\n"}.get(how, lambda: text.body + "\n")
    assert seen() == (HERE / f"golden/{name}.{how}.txt").read_text()


def test_every_text_has_its_golden_one():
    assert {(message_of(name), how) for name, how in GOLDEN} == set(OF_THE_WINDOW)
    assert {path.name for path in (HERE / "golden").iterdir()} == {f"{name}.{how}.txt" for name, how in GOLDEN}


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row["case"])
@pytest.mark.parametrize("message", LABELLED)
def test_a_mail_says_when_in_two_labelled_lines(message, row):
    lines = text_of(message, "mail", planned(row["start"], row["minutes"])).body.splitlines()
    assert [f"Starts: {row['starts']}", f"Expected back by: {row['back']}"] == [
        line for line in lines if line.startswith(("Starts:", "Expected"))
    ]


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row["case"])
@pytest.mark.parametrize("how", ["status", "irc"])
@pytest.mark.parametrize("message", [name for name in LABELLED if name != "announcer_note"])
def test_a_short_text_says_when_in_short(message, how, row):
    assert f", {row['short']}" in whole(text_of(message, how, planned(row["start"], row["minutes"])))


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: row["case"])
@pytest.mark.parametrize(("message", "how"), OF_THE_WINDOW)
def test_the_day_is_unmistakable_in_every_text(message, how, row):
    """With its month and its year, wherever somebody reads it and whenever."""
    plan = planned(row["start"], row["minutes"])
    facts = {**facts_of(message, plan, now="2001-01-01T00:00:00Z"), "tried": facts_of("first", plan)["start"]}
    said = whole(wording.render(message, how, facts))
    days = [day(facts[name]) for name in ("start", "end")]
    assert any(each in said for each in days), said
    for word in ("today", "tomorrow", "tonight", "yesterday"):
        assert word not in said.lower()


@pytest.mark.parametrize("how", ["mail", "chat", "status", "irc"])
@pytest.mark.parametrize("message", ["first", "reminder", "starting", "rescheduled", "new_date"])
def test_what_is_paused_first_is_named(message, how):
    """R5, R7: with the policy's minutes, and what it is."""
    said = whole(text_of(message, how, site=HERE / "site"))
    assert "some services (soyuz)" in said.lower()
    assert ("up to 30 minutes earlier" in said) or message == "starting"
    without = text_of(message, how, planned("2026-12-09T08:00:00Z", pause_minutes_before=0), HERE / "site")
    assert "soyuz" not in whole(without)
    assert "\n\n\n" not in without.body


def test_a_pause_before_midnight_is_on_another_day():
    text = text_of("first", "mail", planned("2026-12-10T00:10:00Z"))
    assert "from 23.40 UTC 9th of December 2026." in whole(text)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "less than a second"),
        (1, "1 second"),
        (5.2, "6 seconds"),
        (60, "1 minute"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (12 * 60 + 31, "13 minutes"),
        (90 * 60, "90 minutes"),
    ],
)
def test_done_says_how_long_users_were_out(seconds, said):
    journal = [
        {"at": "2011-02-10T23:00:00Z", "event": "stage_started", "stage": "outage", "attempt": 1},
        {"at": "2011-02-10T23:00:00Z", "event": "stage_finished", "stage": "outage", "outcome": "ok", "message": None},
        {"at": "2011-02-10T23:00:00Z", "event": "stage_started", "stage": "resume", "attempt": 1},
        {"at": _after(seconds), "event": "stage_finished", "stage": "resume", "outcome": "ok", "message": None},
    ]
    facts = wording.about(planned(), typed(journal), facts_of("done")["end"])
    for how in wording.wordings("done"):
        assert f"It was offline for around {said}." in whole(wording.render("done", how, facts))


def _after(seconds):
    start = facts_of("first")["start"]
    return (start + type(start - start)(seconds=seconds)).isoformat()


def test_done_says_nothing_of_a_time_that_nobody_knows():
    assert "around" not in whole(text_of("done", "mail", journal="none"))


def test_another_kind_of_plan_is_no_database_update():
    plan = {**planned(), "kind": "partial_downtime"}
    for message, how in OF_THE_WINDOW:
        facts = facts_of(message, plan)
        assert "database" not in whole(wording.render(message, how, facts)).lower(), (message, how)
