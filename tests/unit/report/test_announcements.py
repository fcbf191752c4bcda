"""What was said to people, and who let the ordinary way be left, is in every record (R3, R7, R21, R24, R26)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rollout.views.announcements import announced, waivers
from rollout.views.exceptions import exceptions
from rollout.views.happenings import happenings
from rollout.views.report import render_report
from tests.unit.journals import typed

from .test_report import text_of

HERE = Path(__file__).parent
HAPPENINGS = yaml.safe_load((HERE / "happenings.yml").read_text(encoding="utf-8"))
EXCEPTIONS = yaml.safe_load((HERE / "exceptions.yml").read_text(encoding="utf-8"))
AT = {"at": "2026-12-09T09:00:00+00:00"}


def section(plan, events, name):
    text = text_of(render_report(plan, typed(events)))
    titles = ("Incidents", "Announcements", "Exceptions and who approved them", "The record")
    begin = text.rindex(name)
    return text[begin : min(at for title in titles if (at := text.find(title, begin + 1)) > 0)]


@pytest.mark.parametrize("row", HAPPENINGS, ids=lambda row: row["told"] or row["entry"]["event"])
def test_a_timeline_tells(row):
    entry = row["entry"]
    seen = datetime.fromisoformat(entry.get("seen", AT["at"]))
    assert list(happenings(typed([{**AT, **entry}]))) == ([(seen, row["told"])] if row["told"] else [])


@pytest.mark.parametrize("row", EXCEPTIONS, ids=lambda row: row["case"])
def test_an_exception_has_a_name(row):
    found = exceptions(typed([{**AT, **row["entry"]}]))
    assert [[each.what, each.by, each.why] for each in found] == row["found"]
    assert {each.at for each in found} <= {datetime(2026, 12, 9, 9, tzinfo=UTC)}


def test_each_copy_says_how_it_stands_and_whether_it_was_in_time(entries):
    first, done, problem = announced(typed(entries("announced")))
    assert [(copy.channel, copy.state, copy.timely) for copy in first.copies] == [
        ("status", "sent", "in time"),
        ("lp_announce", "sent", "12:30 min late"),
        ("developers", "sent", "in time"),  # it was out when it was tried, says jml
    ]
    assert first.copies[1].said == "accepted, 250; 2 attempts"
    assert first.copies[2].said == "jml says it is out"
    assert (done.state, [copy.state for copy in done.copies]) == ("in doubt", ["in doubt", "given up"])
    assert done.copies[1].said == "mia says given up; the network is split"
    assert (problem.incident, problem.state, [copy.timely for copy in problem.copies]) == (1, "sent", [""])


def test_a_waiver_names_who_answers_for_it(entries):
    assert [(each.message, each.incident, each.by) for each in waivers(typed(entries("announced")))] == [
        ("first", None, "Francis"),
        ("solved", 1, "mia"),
    ]


def test_the_report_has_every_announcement_with_its_text(plan, entries):
    text = section(plan, entries("announced"), "Announcements")
    assert "first sent 1 · announce · queued Mon 7 Dec 07:20:00, to be out by Mon 7 Dec 08:00:00" in text
    assert "lp_announce sent Mon 7 Dec 08:12:30 12:30 min late accepted, 250; 2 attempts" in text
    assert "Starts: 08.00 UTC 9th of December 2026 Expected back by: 09.30 UTC 9th of December 2026" in text
    assert "first was not out in time, and Francis answers for it" in text
    assert "solved of incident 1 was not announced, and mia answers for it" in text


def test_the_report_lists_incidents_with_state_and_resolution(plan, entries):
    text = section(plan, entries("announced"), "Incidents")
    assert "Incident 1 closed seen Wed 9 Dec 08:50:00 by tom · incident-1.md Bug pages time out" in text
    assert "Resolved Wed 9 Dec 10:40:00 by mia: an index was made by hand" in text
    assert "Users were affected: from Wed 9 Dec 2026 08:50 UTC until Wed 9 Dec 2026 10:31 UTC" in text
    assert "Incident 2 open seen Thu 10 Dec 03:05:00 by tom" in text


def test_what_is_open_stands_under_what_is_next_with_its_command(plan, entries):
    text = text_of(render_report(plan, typed(entries("announced"))))
    before = text[: text.index("Planned against actual")]
    assert "Incident 2, open: Mail is late (incident-2.md) Not announced. ./runbook.py incident announce 2" in before
    assert "Incident 1" not in before


def test_the_report_lists_exceptions_with_who_approved_them(plan, entries):
    text = section(plan, entries("announced"), "Exceptions and who approved them")
    assert "Fri 4 Dec 09:12:00 the window is moved to Wed 9 Dec 2026 08:00 UTC (R3) mia" in text
    assert "Wed 9 Dec 07:31:00 first was not announced in time (R7, R21) Francis" in text


def test_an_ordinary_rollout_has_none_of_it(plan, entries):
    text = text_of(render_report(plan, typed(entries("good"))))
    assert not [title for title in ("Announcements", "Exceptions", "Incidents") if title in text]
