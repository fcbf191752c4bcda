"""The page of an incident (R24): what is known stands in it, text stays text, and nothing that people write is lost."""

from __future__ import annotations

import pytest

from rollout.views.incident import render_incident
from rollout.views.markdown import fenced, one_line
from tests.unit.journals import typed

PROBLEM = "E-smoke-css  2 of 3 stylesheets did not load.\n  /style.css: 404\n  Look at it:  curl -I http://127.0.0.15/style.css"


@pytest.fixture
def failed(entries):
    """The good rollout, until its smoke checks failed."""
    events = entries("good")
    (at,) = [n for n, entry in enumerate(events) if entry["event"] == "stage_finished" and entry["stage"] == "smoke"]
    return [*events[:at], {**events[at], "outcome": "failed", "message": PROBLEM}]


def opened(number=1, **fields):
    """As the journal has it when the checks found something, or a person did."""
    at = "2026-12-09T08:04:02.200000+00:00"
    entry = {"at": at, "event": "incident_opened", "number": number, "file": f"incident-{number}.md"}
    found = {"problem": "2 of 3 stylesheets did not load.", "details": PROBLEM, "by": None}
    return {**entry, **found, "seen": "2026-12-09T08:04:02+00:00", **fields}


def test_incident_says_what_is_known(plan, failed):
    text = render_incident(plan, typed([*failed, opened(3)]), 3)
    assert text.startswith("# Incident 3: 2 of 3 stylesheets did not load.\n")
    assert f"```\n{PROBLEM}\n```" in text
    assert "| Seen | Wed 9 Dec 2026 08:04:02 UTC |\n| Seen by | the checks of the rollout |" in text
    assert "| Revision | db-stable 10381, devel 12735 |" in text
    assert "The commit is made: the new schema is kept, nothing was undone." in text
    assert "- **smoke** failed" in text
    assert "- Not begun: done" in text
    assert "## Resolution\n\nOpen.\n" in text
    assert all(f"- [ ] {role}: {person}" in text for role, person in plan["people"].items())


def test_timeline_is_the_journals_in_its_order(plan, failed):
    text = render_incident(plan, typed([*failed, opened()]), 1)
    section = text.partition("## Timeline (UTC)")[2].partition("##")[0]
    told = [line for line in section.splitlines() if line.startswith("- ")]
    assert "- Wed 9 Dec 07:59:41  outage: go answered yes by mia (terminal)" in told
    assert told[-2:] == [
        "- Wed 9 Dec 08:04:02  smoke ends, failed (41.9 s): 2 of 3 stylesheets did not load.",
        "- Wed 9 Dec 08:04:02  incident 1, found by the checks: 2 of 3 stylesheets did not load.",
    ]
    assert told.index("- Wed 9 Dec 08:00:00  outage begins") < told.index(
        "- Wed 9 Dec 08:02:04  outage ends, ok (2:04 min)"
    )


def test_before_the_commit_it_says_that_nothing_is_irreversible(plan, entries):
    assert "Nothing irreversible was done." in render_incident(plan, typed(entries("aborted", opened())), 1)


def test_problem_cannot_leave_its_block(plan, failed):
    hostile = opened(problem="One <b>|</b>", details="E-x  One <b>|</b>\n```\n# Resolved\n```", by="<i>|")
    text = render_incident(plan, typed([*failed, hostile]), 1)
    assert "| Seen by | &lt;i>\\| |" in text
    assert text.splitlines()[0] == "# Incident 1: One &lt;b>\\|&lt;/b>"
    assert "````\nE-x  One <b>|</b>\n```\n# Resolved\n```\n````" in text


def test_what_was_not_opened_has_no_page(plan, failed):
    with pytest.raises(KeyError, match="incident 2 was not opened"):
        render_incident(plan, typed([*failed, opened()]), 2)


def test_what_comes_later_does_not_change_it(plan, entries):
    events = entries("announced")
    until = next(n for n, entry in enumerate(events, start=1) if entry["event"] == "incident_opened")
    assert render_incident(plan, typed(events), 1) == render_incident(plan, typed(events[:until]), 1)


def test_what_a_person_saw_stands_at_the_time_at_which_they_saw_it(plan, entries):
    text = render_incident(plan, typed(entries("announced")), 1)
    assert "| Seen | Wed 9 Dec 2026 08:50:00 UTC |\n| Seen by | tom |" in text
    assert "- Wed 9 Dec 08:50:00  incident 1, seen by tom: Bug pages time out\n" in text
    assert "Since about ten to nine, every bug page of the big projects.\n  OOPS-1802A17" in text


def test_fence_is_longer_than_any_inside():
    assert fenced("a\n`````\nb\n") == "``````\na\n`````\nb\n``````"


def test_one_line():
    assert one_line("a\n  b | <c>") == "a b \\| &lt;c>"
