"""Problems found after a rollout, as they are typed: on record, in a page, announced, closed (R24)."""

from __future__ import annotations

import json
import threading
import time

import pexpect
import pytest

from plugins.module_utils.rollout_core.journal import incidents as views
from plugins.module_utils.rollout_core.journal.incidents import ProblemSeen
from rollout import whole_file
from rollout.gates import mailbox, other_terminal
from rollout.incidents import open_incidents
from rollout.incidents import record as incidents
from rollout.journal import store
from rollout.outcomes import RunbookError
from rollout.plan import store as plan_store

NEW = ("incident", "new")
RESOLVED = ("--resolution", "an index was made by hand")


def test_the_whole_story(site):
    said = site.type(
        *NEW, "Bug pages  time out", "--seen", "2026-12-09T08:50Z", "--details", "OOPS-1802A17", "--announce"
    )
    assert said.splitlines()[0].startswith("Incident 1, in rollout 2026-12: ")
    assert site.channels.posts == ["Incident 1: Bug pages time out"]
    assert len(site.channels.mails) == 1
    (opened,) = site.events("incident_opened")
    assert (opened["problem"], opened["details"], opened["seen"]) == (
        "Bug pages time out",
        "OOPS-1802A17",
        "2026-12-09T08:50:00+00:00",
    )
    assert "| Seen | Wed 9 Dec 2026 08:50:00 UTC |" in site.page()
    assert "OOPS-1802A17" in site.page()

    site.type(
        "incident",
        "close",
        "1",
        *RESOLVED,
        "--mended-by",
        "Stuart",
        "--affected-from",
        "2026-12-09T08:50Z",
        "--announce",
    )
    assert site.channels.posts[-1:] + site.channels.posts[:1] in (
        ["Incident 1: Bug pages time out", "Incident 1 is over: an index was made by hand"],
        ["Incident 1 is over: an index was made by hand", "Incident 1: Bug pages time out"],
    )
    (closed,) = site.events("incident_closed")
    assert (closed["mended_by"], closed["affected_from"], closed["affected_until"], closed["source"]) == (
        "Stuart",
        "2026-12-09T08:50:00+00:00",
        None,
        None,
    )
    assert "- Users were affected: from Wed 9 Dec 2026 08:50 UTC" in site.page()
    assert "| State | closed Wed 9 Dec 2026 09:0" in site.page()
    assert [entry["incident"] for entry in site.events("announcement_queued")] == [1, 1]
    report = (site.directory / "report.html").read_text(encoding="utf-8")
    assert "an index was made by hand" in report
    assert "E-closed-already" in site.type("incident", "close", "1", *RESOLVED, expect=2)


def test_without_a_word_it_is_not_announced_and_status_says_so(site):
    said = site.type(*NEW, "Mail is late")
    assert "! Incident 1: its `problem` is NOT ANNOUNCED (R24).  Then:  ./runbook.py incident announce 1" in said
    assert site.channels.posts == []
    status = site.type("status")
    assert "! incident 1 of 2026-12, open, seen Wed 9 Dec 09:0" in status
    assert "its `problem` is not announced (R24):  ./runbook.py incident announce 1" in status
    found = json.loads(site.type("status", "--json", "--plan", str(site.directory / "plan.yml")))["incidents"]
    assert [(each["rollout"], each["number"], each["state"], each["due"]) for each in found] == [
        ("2026-12", 1, "open", "problem")
    ]
    site.type("incident", "announce", "1")
    assert site.channels.posts == ["Incident 1: Mail is late"]
    assert "not announced" not in site.type("status")
    assert "Nothing is due of incident 1: problem on " in site.type("incident", "announce", "1")
    assert len(site.channels.posts) == 1


def test_an_incident_of_a_plan_that_is_older_than_todays_policy_is_open_all_the_same(site):
    site.type(*NEW, "Mail is late")
    plan = site.directory / "plan.yml"
    lines = plan.read_text(encoding="utf-8").splitlines(keepends=True)
    plan.write_text("".join(line for line in lines if "first_announcement_hours_before" not in line))
    (found,) = open_incidents.standing_in(site.channels.inventory)
    assert (found.rollout, found.number, found.due) == ("2026-12", 1, "problem")


@pytest.mark.parametrize(
    ("word", "reason", "posts", "due"),
    [("y", None, 1, None), ("n", "only we see it", 0, None), ("l", None, 0, "problem")],
)
def test_at_a_terminal_it_asks_with_the_text_as_evidence(site, word, reason, posts, due):
    typed = site.at_a_terminal(*NEW, "Mail is late")
    typed.expect_exact("| Incident 1: Mail is late")
    typed.expect_exact("? Announce it now?")
    typed.sendline(word)
    if reason:
        typed.expect_exact("Why?")
        typed.sendline(reason)
    typed.expect_exact([pexpect.EOF])
    typed.close()
    assert typed.exitstatus == 0, typed.before
    assert len(site.channels.posts) == posts
    (incident,) = views.incidents(site.journal.entries)
    assert incident.due == due
    assert [(e["incident"], e["reason"]) for e in site.events("announcement_waived")] == (
        [(1, reason)] if reason else []
    )


def test_a_channel_that_is_down_leaves_it_on_record_and_the_next_try_posts_once(site):
    site.channels.to_status.close()
    typed = site.at_a_terminal(*NEW, "Mail is late", "--announce")
    typed.expect_exact("is tried again")
    typed.kill(9)
    typed.close()
    site.channels.to_status.open()
    site.type("incident", "announce", "1")
    assert site.channels.posts == ["Incident 1: Mail is late"]
    assert len(site.channels.mails) == 1
    assert len(site.events("announcement_queued")) == 1


def test_readers_may_be_told_in_other_words_than_ours(site):
    """What the checks say is no sentence for users."""
    site.type(*NEW, "1 of 19 checks found a problem", "--no-announce")
    site.type("incident", "announce", "1", "--saying", "The blog cannot be reached.")
    site.type("incident", "close", "1", "--resolution", "unlinked inode put back", "--no-announce")
    site.type("incident", "announce", "1", "--saying", "The blog is back.")
    assert sorted(site.channels.posts) == [
        "Incident 1 is over: The blog is back.",
        "Incident 1: The blog cannot be reached.",
    ]


def test_a_missing_text_is_an_error_but_the_incident_is_on_record(site):
    (site.channels.inventory / "announcements" / "problem.status.j2").write_text("{{ nobody_knows }}\n")
    said = site.type(*NEW, "Mail is late", "--announce", expect=2)
    assert "problem.status.j2" in said
    assert [entry["problem"] for entry in site.events("incident_opened")] == ["Mail is late"]
    assert "# Incident 1: Mail is late" in site.page()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((*NEW, " "), "E-bad-summary"),
        ((*NEW, "x" * 201), "E-bad-summary"),
        ((*NEW, "{{ lookup('pipe', 'id') }}"), "E-bad-summary"),
        ((*NEW, "Late", "--seen", "2026-12-09T09:30Z"), "E-not-yet"),
        ((*NEW, "Late", "--seen", "at nine"), "E-bad-instant"),
        ((*NEW, "Late", "--details", "x" * 50_001), "E-long-details"),
        (("incident", "close", "1", *RESOLVED), "E-no-incident"),
        (("incident", "show", "7"), "E-no-incident"),
        (("incident", "announce", "1"), "E-no-incident"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(site, words, code):
    before = (site.directory / "journal.jsonl").read_bytes()
    said = site.type(*words, expect=2)
    assert said.startswith(code), said
    assert "./runbook.py" in said or "--plan" in said or code in ("E-not-yet", "E-bad-instant", "E-long-details")
    assert (site.directory / "journal.jsonl").read_bytes() == before
    assert not (site.directory / "incident-1.md").exists()


def test_the_list_has_open_ones_first(site):
    assert "Rollout 2026-12 has no incident." in site.type("incident", "list")
    site.type(*NEW, "Bug pages time out", "--no-announce")
    site.type(*NEW, "Mail is late", "--no-announce")
    site.type("incident", "close", "1", *RESOLVED)
    lines = site.type("incident", "list").splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["2", "1"]
    assert "problem not announced yet" in lines[1]
    assert "never announced" in lines[2]
    assert lines[3:] == ["! 2: its `problem` is not announced (R24):  ./runbook.py incident announce 2"]


def test_show_is_the_page_as_people_have_written_it(site):
    site.type(*NEW, "Mail is late", "--no-announce")
    page = site.directory / "incident-1.md"
    page.write_text(page.read_text().replace("## Resolution", "Asked the postmaster.\n\n## Resolution"))
    said = site.type("incident", "show", "1")
    assert "Asked the postmaster." in said
    assert said.splitlines()[-1].endswith("incident-1.md · open · problem not announced yet")


def test_what_the_page_says_already_counts_and_is_not_written_over(site):
    site.type(*NEW, "Mail is late", "--no-announce")
    page = site.directory / "incident-1.md"
    page.write_text(
        page.read_text()
        .replace("- Source of the problem:", "- Source of the problem: a full queue")
        .replace("- Users were affected:", "- Users were affected: 2026-12-09T08:31Z to 2026-12-09T08:59Z, in Europe")
    )
    edited = page.read_text()
    refused = site.type("incident", "close", "1", *RESOLVED, "--source", "the network", expect=2)
    number = edited.splitlines().index("- Source of the problem: a full queue") + 1
    assert f"incident-1.md:{number} says already  Source of the problem: a full queue" in refused
    assert page.read_text() == edited
    assert site.events("incident_closed") == []

    site.type("incident", "close", "1", *RESOLVED)
    (closed,) = site.events("incident_closed")
    assert (closed["source"], closed["mended_by"]) == ("a full queue", None)
    assert (closed["affected_from"], closed["affected_until"]) == (
        "2026-12-09T08:31:00+00:00",
        "2026-12-09T08:59:00+00:00",
    )
    kept = [line for line in edited.splitlines() if line not in ("Open.", "| State | open |")]
    assert [line for line in site.page().splitlines() if line in kept] == kept


def test_details_may_be_a_file(site, tmp_path):
    (tmp_path / "oops.txt").write_text("Traceback\n  TimeoutError\n")
    site.type(*NEW, "Bug pages time out", "--details", str(tmp_path / "oops.txt"), "--no-announce")
    assert "```\nTraceback\n  TimeoutError\n```" in site.page()


def test_what_is_on_record_is_said_when_the_channels_cannot_be_used(site):
    (site.channels.inventory / "group_vars/all/announcements.yml").write_text("announcements_messages: {}\n")
    for command in ((*NEW, "Mail is late", "--announce"), ("incident", "announce", "1")):
        said = site.type(*command, expect=2).splitlines()
        assert any(line.startswith("E-") for line in said)
        assert said[-1].startswith("! Incident 1 is on record, and what is due of it is NOT ANNOUNCED (R24).")
        assert said[-1].endswith("./runbook.py incident announce 1")
    assert len(site.events("incident_opened")) == 1


def test_details_may_be_a_line_longer_than_any_files_name(site):
    line = "Traceback: " + "x" * 400
    site.type(*NEW, "Bug pages time out", "--details", line, "--no-announce")
    assert line in site.page()


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_killed_between_journal_and_page_the_next_command_writes_the_page(site):
    site.killed_after("incident_opened", *NEW, "Mail is late", "--no-announce")
    assert not (site.directory / "incident-1.md").exists()
    assert "Mail is late" in site.type("incident", "list")
    assert site.page().startswith("# Incident 1: Mail is late\n")
    site.type("report")
    assert len(site.events("incident_opened")) == 1


def test_killed_between_journal_and_page_the_next_command_fills_in_the_end(site):
    site.type(*NEW, "Mail is late", "--no-announce")
    page = site.directory / "incident-1.md"
    page.write_text(page.read_text() + "\nWhat I saw: nothing.\n")
    site.killed_after("incident_closed", "incident", "close", "1", *RESOLVED)
    assert "| State | open |" in site.page()
    site.type("report")
    assert "| State | closed " in site.page()
    assert site.page().endswith("\nWhat I saw: nothing.\n")
    once = site.page()
    site.type("incident", "list")
    assert site.page() == once


def test_a_page_that_somebody_made_is_left_alone(site):
    mine = site.directory / "incident-1.md"
    mine.write_text("mine\n")
    site.type(*NEW, "Mail is late", "--no-announce")
    assert mine.read_text() == "mine\n"
    assert site.events("incident_opened")[0]["file"] == "incident-2.md"


def test_what_is_saved_while_the_end_is_filled_in_is_not_lost(site, monkeypatch):
    """Somebody saves the page between our look at it and our writing of it."""
    site.type(*NEW, "Mail is late", "--no-announce")
    page = site.directory / "incident-1.md"
    once = iter([True])
    draft = whole_file.draft

    def save_meanwhile(path, text, mode):
        if next(once, False):
            page.write_text(page.read_text() + "\nSaved meanwhile.\n")
        return draft(path, text, mode)

    monkeypatch.setattr(whole_file, "draft", save_meanwhile)
    journal = site.journal
    plan = plan_store.latest()[1]
    incidents.close(site.directory, plan, journal, 1, incidents.TypedEnd("mended"))
    assert "| State | closed " in site.page()
    assert "\nSaved meanwhile.\n" in site.page()


# -- from the checks, and while a runbook is at work ------------------------------------------------------------------


def test_the_checks_finding_the_same_again_is_one_incident(site):
    plan, journal = plan_store.latest()[1], site.journal
    failure = "E-smoke-css  2 of 3 stylesheets did not load.\n  /style.css: 404"
    first = incidents.found_by_checks(site.directory, plan, journal, failure)
    assert incidents.found_by_checks(site.directory, plan, journal, failure) == first
    other = incidents.found_by_checks(site.directory, plan, journal, "E-smoke-link  1 of 41 links is gone.")
    assert (first.name, other.name) == ("incident-1.md", "incident-2.md")
    assert [entry["problem"] for entry in site.events("incident_opened")] == [
        "2 of 3 stylesheets did not load.",
        "1 of 41 links is gone.",
    ]
    incidents.close(site.directory, plan, journal, 1, incidents.TypedEnd("mended"))
    assert incidents.found_by_checks(site.directory, plan, journal, failure).name == "incident-3.md"


def test_while_a_runbook_is_at_work_that_one_puts_it_on_record(site):
    """The lock is held, and somebody takes the messages as the watchdog does."""
    journal, over = site.journal, threading.Event()

    def at_work():
        while not over.is_set():
            for message in mailbox.receive(site.directory):
                incidents.heard(site.directory, journal, message)
            time.sleep(0.05)

    with store.lock(site.directory):
        worker = threading.Thread(target=at_work)
        worker.start()
        try:
            said = site.type(*NEW, "Mail is late", "--seen", "2026-12-09T08:50Z", "--details", "since nine")
        finally:
            over.set()
            worker.join()
    (opened,) = site.events("incident_opened")
    assert (opened["problem"], opened["details"], opened["seen"]) == (
        "Mail is late",
        "since nine",
        "2026-12-09T08:50:00+00:00",
    )
    assert "since nine" in site.page()
    assert "! That runbook asks when it ends.  Or then:  ./runbook.py incident announce 1" in said
    assert site.channels.posts == []


def test_nobody_takes_it_so_it_is_taken_back(site, monkeypatch):
    monkeypatch.setattr(other_terminal, "REACTION_SECONDS", 0.2)
    what = ProblemSeen("Mail is late", site.journal.now(), "mia")
    with store.lock(site.directory), pytest.raises(RunbookError, match="E-no-reaction"):
        other_terminal.incident(site.directory, what)
    assert mailbox.receive(site.directory) == []
    assert site.events("incident_opened") == []


def test_nothing_is_closed_while_a_runbook_is_at_work(site):
    site.type(*NEW, "Mail is late", "--no-announce")
    with store.lock(site.directory):
        said = site.type("incident", "close", "1", *RESOLVED, expect=5)
    assert said.startswith("E-locked  2026-12 is being rolled out already")
    assert "Once it is through, the same again.  Look:  ./runbook.py status" in said
    assert site.events("incident_closed") == []
