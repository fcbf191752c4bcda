"""`./runbook.py announce --preview`: every message as it will go out, what is not known marked, nothing sent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from rollout import ROOT
from rollout.announcing import preview, wording
from rollout.commands.announce import announce
from rollout.journal.file import Journal
from rollout.plan import model as plans
from rollout.plan.messages import MESSAGES
from rollout.plan.model import Plan
from tests.unit.journals import event, typed

from .conftest import JOURNALS, PLAN, whole

NOW = datetime(2011, 1, 20, tzinfo=UTC)
WHERE = {"first": [("status", "status"), ("lp_announce", "mail")], "done": [("developers", "irc")]}


def previews(entries=(), channels=None, plan=PLAN, after=None):
    found = preview.previews(plan, typed(entries), NOW, ROOT / "inventories/lab", channels, after)
    return {each.message: each for each in found}


def test_the_process_comes_first_in_its_order_then_whatever_may_happen():
    found = list(previews())
    assert found[:4] == ["announcer_note", "first", "reminder", "done"]
    assert sorted(found) == sorted(MESSAGES)


def test_when_each_is_due_and_at_the_latest():
    found = previews()
    assert (found["first"].due, found["first"].by) == (
        datetime(2011, 1, 27, 23, tzinfo=UTC),
        datetime(2011, 2, 3, 23, tzinfo=UTC),
    )
    assert (found["done"].due, found["done"].by) == (datetime(2011, 2, 10, 23, 17, tzinfo=UTC), None)
    assert (found["problem"].due, found["problem"].when) == (None, preview.OCCASIONS["problem"])


def test_each_is_shown_on_the_channels_that_get_it_and_without_them_in_each_wording():
    found = previews(channels=WHERE)
    assert [(shown.channel, shown.wording) for shown in found["first"].texts] == WHERE["first"]
    assert list(found["reminder"].texts) == []
    assert [shown.channel for shown in previews()["chase"].texts] == ["mail"]


@pytest.mark.parametrize(("journal", "said"), [("none", "«how long»"), ("done", "13 minutes")])
def test_what_is_known_is_shown_and_the_rest_is_marked(journal, said):
    texts = previews(JOURNALS[journal])["done"].texts
    assert [f"was offline for around {said}." in whole(shown.text) for shown in texts] == [True] * 4


@pytest.mark.parametrize("message", MESSAGES)
def test_a_placeholder_stands_for_every_name_that_a_text_needs(message):
    texts = previews()[message].texts
    assert {shown.wording for shown in texts} == set(wording.wordings(message))
    needs = {
        "problem": "«the problem»",
        "aborted": "«the source of the problem»",
        "correction": "«what is right»",
        "chase": "«owner»",
    }
    for shown in texts:
        assert needs.get(message, "") in whole(shown.text)
        assert (shown.size, shown.most) == (
            wording.WORDINGS[shown.wording].size(shown.text),
            wording.WORDINGS[shown.wording].most,
        )


def test_what_would_follow_an_abort_is_the_backup_window():
    said = whole(previews()["new_date"].texts[0].text)
    assert "Starts: 09.00 UTC 12th of February 2011" in said
    assert "The database update of 10th of February 2011 was aborted" in said


def test_the_next_attempt_shows_what_it_follows():
    following = Plan.model_validate({**PLAN, "window": PLAN["backup_window"], "follows": ["2011-02"]}).as_vars()
    found = previews(plan=following, after=(PLAN, typed(JOURNALS["stopped"])))
    assert list(found)[1] == "new_date"
    assert "The reason: missing index on translationmessage." in whole(found["new_date"].texts[0].text)
    assert found["first"].due is None


def test_each_owner_of_a_cowboy_gets_a_text_of_their_own():
    owners = [
        {
            "owner": who,
            "address": f"{who}@x.org",
            "revno": 1,
            "deployed": {},
            "next_merge": "",
            "next_window": "",
            "cowboys": [
                {"id": f"lp-{who}", "why": "w", "bug": None, "files": ["a"], "hosts": None, "state": "to_apply"}
            ],
        }
        for who in ("jml", "mia")
    ]
    entries = [
        {
            "at": "2011-02-09T04:00:00Z",
            "event": "stage_finished",
            "stage": "confirm",
            "outcome": "ok",
            "message": None,
            "facts": {"chase": owners},
        }
    ]
    found = [shown.text.title for shown in previews(entries)["chase"].texts]
    assert found == ["lp-jml: a permanent fix, please", "lp-mia: a permanent fix, please"]
    assert not list(previews([{**entries[0], "facts": {"chase": []}}])["chase"].texts), "nobody is chased"


def test_what_is_out_already_says_so():
    lines = list(preview.lines(previews(JOURNALS["announced"])["first"], typed(JOURNALS["announced"])))
    assert lines[0] == (
        "first · due Thu 27 Jan 2011 23:00 UTC · at the latest Thu 3 Feb 2011 23:00 UTC"
        " · 1: queued on status, sent on lp_announce"
    )
    texts = [
        line for line in lines if line.startswith("    | Launchpad will be offline for around 90 minutes, 23.00 UTC")
    ]
    heads = [line for line in lines if line.endswith((" of 400 bytes", " as Mastodon counts them"))]
    assert (len(texts), len(heads)) == (2, 2)
    assert lines[-1] == ""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A plan, with a journal that has begun."""
    plans.save(Plan.model_validate(PLAN), tmp_path / "plan.yml")
    Journal(tmp_path / "journal.jsonl", now=lambda: NOW).write(event("rollout_opened", plan="0" * 64, by="mia"))
    return tmp_path


def run(kept: Path, *arguments: str):
    return CliRunner().invoke(announce, [*arguments[:1], "--plan", str(kept / "plan.yml"), *arguments[1:]])


def test_the_command_shows_and_sends_nothing(kept, monkeypatch):
    """The lab's channels need a running lab: without one each wording is shown, and why is said."""
    monkeypatch.setenv("ROLLOUT_LAB", str(kept / "no-lab"))
    before = {path: path.read_bytes() for path in kept.iterdir()}
    shown = run(kept, "--preview")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("2011-02 · window Thu 10 Feb 2011 23:00 UTC\n\nannouncer_note · due ")
    for message in MESSAGES:
        assert f"\n{message} · " in shown.stdout
    assert "    | Starts: 23.00 UTC 10th of February 2011\n" in shown.stdout
    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_the_command_shows_some(kept, monkeypatch):
    monkeypatch.setenv("ROLLOUT_LAB", str(kept / "no-lab"))
    shown = run(kept, "--preview", "done", "reminder")
    heads = [line.split(" · ")[0] for line in shown.stdout.splitlines()[1:] if line and not line.startswith(" ")]
    assert heads == ["reminder", "done"]
    assert run(kept, "preview", "reminder").exit_code == 0
    wrong = run(kept, "--preview", "nonsense")
    assert (wrong.exit_code, "'nonsense' is not one of 'announcer_note'" in wrong.output) == (2, True)
