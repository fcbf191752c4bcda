"""The incident report that is begun after the commit (R24): what is known stands in it, and text stays text."""

from __future__ import annotations

import pytest

from rollout.views.incident import render_incident
from rollout.views.markdown import fenced, one_line

PROBLEM = "E-smoke-css  2 of 3 stylesheets did not load.\n  /style.css: 404\n  Look at it:  curl -I http://127.0.0.15/style.css"


@pytest.fixture
def failed(entries):
    """The good rollout, until its smoke checks failed."""
    events = entries("good")
    (at,) = [n for n, entry in enumerate(events) if entry["event"] == "stage_finished" and entry["stage"] == "smoke"]
    return [*events[:at], {**events[at], "outcome": "failed", "message": PROBLEM}]


def test_incident_says_what_is_known(plan, failed):
    text = render_incident(plan, failed, 3, PROBLEM)
    assert text.startswith("# Incident 3: 2 of 3 stylesheets did not load.\n")
    assert f"```\n{PROBLEM}\n```" in text
    assert "| Seen | Wed 9 Dec 2026 08:04:02 UTC |" in text
    assert "| Revision | db-stable 10381, devel 12735 |" in text
    assert "The commit is made: the new schema is kept, nothing was undone." in text
    assert "- **smoke** failed" in text
    assert "- Not begun: done" in text
    assert "## Resolution\n\nOpen.\n" in text
    assert all(f"- [ ] {role}: {person}" in text for role, person in plan["people"].items())


def test_timeline_is_the_journals_in_its_order(plan, failed):
    text = render_incident(plan, failed, 1, PROBLEM)
    section = text.partition("## Timeline (UTC)")[2].partition("##")[0]
    told = [line for line in section.splitlines() if line.startswith("- ")]
    assert "- Wed 9 Dec 07:59:41  outage: go answered yes by mia (terminal)" in told
    assert told[-1] == "- Wed 9 Dec 08:04:02  smoke ends, failed (41.9 s): 2 of 3 stylesheets did not load."
    assert told.index("- Wed 9 Dec 08:00:00  outage begins") < told.index(
        "- Wed 9 Dec 08:02:04  outage ends, ok (2:04 min)"
    )


def test_before_the_commit_it_says_that_nothing_is_irreversible(plan, entries):
    assert "Nothing irreversible was done." in render_incident(plan, entries("aborted"), 1, "E-x  Something.")


def test_problem_cannot_leave_its_block(plan, failed):
    text = render_incident(plan, failed, 1, "E-x  One <b>|</b>\n```\n# Resolved\n```")
    assert text.splitlines()[0] == "# Incident 1: One &lt;b>\\|&lt;/b>"
    assert "````\nE-x  One <b>|</b>\n```\n# Resolved\n```\n````" in text


def test_a_journal_without_entries_is_no_incident(plan):
    with pytest.raises(ValueError, match="nothing can have failed yet"):
        render_incident(plan, [], 1, PROBLEM)


def test_fence_is_longer_than_any_inside():
    assert fenced("a\n`````\nb\n") == "``````\na\n`````\nb\n``````"


def test_one_line():
    assert one_line("a\n  b | <c>") == "a b \\| &lt;c>"
