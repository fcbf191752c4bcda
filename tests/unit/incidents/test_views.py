"""What an incident is, from the journal alone, and what becomes of its page: tables."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from plugins.module_utils.rollout_core.journal.incidents import IncidentEnd, incidents
from rollout.views.incidents import announced, standing
from rollout.views.resolution import closed, instants, said
from tests.unit.journals import typed

HERE = Path(__file__).parent
DUE = yaml.safe_load((HERE / "due.yml").read_text(encoding="utf-8"))
PAGES = yaml.safe_load((HERE / "pages.yml").read_text(encoding="utf-8"))
CLOSING = IncidentEnd(
    at=datetime(2026, 12, 9, 10, 40, tzinfo=UTC),
    by="mia",
    resolution="an index was made",
    source="a patch dropped it",
    mended_by="Stuart",
    affected="until half past ten",
)


def journal(words):
    """`other q problem` and the like, as entries."""
    at, queued = {"at": "2026-12-09T09:00:00+00:00"}, 0
    for word in words:
        incident = 2 if word.startswith("other ") else 1
        deed, _, message = word.removeprefix("other ").partition(" ")
        about = {"message": message, "incident": incident}
        if deed == "opened":
            yield {**at, "event": "incident_opened", "number": incident, "file": "f.md", "problem": "It is slow"}
        elif deed == "closed":
            yield {**at, "event": "incident_closed", "number": incident, "by": "mia", "resolution": "mended"}
        elif deed == "waived":
            yield {**at, "event": "announcement_waived", **about, "by": "mia", "reason": "nobody sees it"}
        else:
            queued += 1
            texts = {"status": {"title": "", "body": "slow", "via": "status", "to": None}}
            where = {"announcement": queued, "channel": "status", "attempt": 1}
            about = about if message != "done" else {"message": message}
            yield {**at, "event": "announcement_queued", "announcement": queued, "stage": None, "texts": texts, **about}
            if deed == "q":
                yield {**at, "event": "announcement_sending", **where, "key": "k"}
                yield {**at, "event": "announcement_tried", **where, "outcome": "sent", "said": "posted"}


@pytest.mark.parametrize("row", DUE, ids=lambda row: row["case"])
def test_what_is_due(row):
    found = incidents(typed(list(journal(row["events"]))))[0]
    assert (found.due, announced(found)) == (row["due"], row["announced"])
    shown = [each.number for each in standing([found], "2026-12")]
    assert shown == ([1] if found.due or "closed" not in row["events"] else [])


def test_a_line_of_status_says_what_to_type():
    (shown,) = standing(incidents(typed(list(journal(["opened"])))), "2026-12", " --plan var/rollouts/2026-12/plan.yml")
    command = "./runbook.py incident announce 1 --plan var/rollouts/2026-12/plan.yml"
    assert shown.line.splitlines() == [
        "! incident 1 of 2026-12, open, seen Wed 9 Dec 09:00 UTC: It is slow   f.md",
        f"!   its `problem` is not announced (R24):  {command}",
    ]
    (told,) = standing(incidents(typed(list(journal(["opened", "q problem"])))), "2026-12")
    assert told.line == "incident 1 of 2026-12, open, seen Wed 9 Dec 09:00 UTC: It is slow   f.md"


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row["case"])
def test_what_people_wrote_stays(row):
    ended = closed(row["page"], CLOSING)
    assert ended == row["closed"]
    assert closed(ended, CLOSING) == ended, "it is filled in once"
    edited = ended.replace("an index was made", "We made the index by hand, at last.")
    assert closed(edited, CLOSING) == edited, "and may be written over then"


def test_text_cannot_leave_its_line():
    hostile = IncidentEnd(CLOSING.at, "<i>|", "done | <b>\n| State | open |")
    page = closed("| State | open |\n## Resolution\nOpen.\n", hostile)
    assert page.splitlines()[0].endswith("by &lt;i>\\| |")
    assert page.splitlines()[2:] == ["done \\| &lt;b> \\| State \\| open \\|"]
    assert closed(page, hostile) == page


def test_what_people_said_is_found_with_its_line():
    above, below = "| State | open |\n- Mended by: somebody", "Open.\n- Source of the problem: a patch\n- Mended by:\n"
    page = f"{above}\n## Resolution\n{below}"
    assert {field: (line.number, line.text) for field, line in said(page).items()} == {"source": (5, "a patch")}


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("from 2026-12-09T08:04Z until 2026-12-09T08:31:10Z", "08:04:00", "08:31:10"),
        ("2026-12-09T09:04+01:00 to whenever", "08:04:00", None),
        ("half an hour, from 08:04 on", None, None),
        ("2026-13-09T08:04Z", None, None),
    ],
)
def test_instants_are_taken_where_they_are_exact(words, since, until):
    assert tuple(found and f"{found:%H:%M:%S}" for found in instants(words)) == (since, until)
