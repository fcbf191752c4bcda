"""The conductor on a process that is not ours: another site's stages."""

from datetime import timedelta

import pytest

from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from tests.unit.journals import event


@pytest.mark.real_playbooks
def test_every_stage_in_order_and_what_they_settle_is_kept(site):
    assert site.run() == ExitCode.DONE
    assert site.ran == ["prepare", "close", "change", "open"]
    assert plans.load(site.directory / "plan.yml").pinned.revision == 7
    assert site.events("gate_asked", "question") == ["Ready with 3 parts?", "Go?"]
    assert site.events("rollout_closed", "outcome") == ["done"]
    order = [(e["event"], e.get("stage")) for e in site.entries if e["event"].startswith(("stage", "gate"))]
    change = [event for event, stage in order if stage == "change"]
    assert change == ["gate_asked", "gate_answered", "stage_started", "stage_finished"], "on record before it is done"


def test_without_a_virtual_clock_it_does_what_is_due_and_says_when_to_come_back(site):
    assert site.run(clock=Clock()) == ExitCode.DONE
    assert site.ran == []
    assert "Next: prepare, due" in site.screen.getvalue()


def test_a_gate_answered_no_before_the_window_undoes_nothing_and_is_asked_again(site):
    assert site.run(answers=[("ready", False)]) == ExitCode.REFUSED
    assert site.ran == ["prepare"]
    assert site.run(at=timedelta(days=3)) == ExitCode.DONE
    assert site.ran == ["prepare", "prepare", "close", "change", "open"]


def test_a_gate_that_the_answers_file_does_not_know_is_no(site):
    assert site.run(answers=[("ready", True)]) == ExitCode.REFUSED
    assert site.ran == ["prepare", "close", "open"], "what the window did must be undone"
    assert site.events("undo_started", "stage") == ["close"]


def test_a_window_stage_that_fails_is_undone_with_what_came_before_it_in_the_window(site):
    site.playbooks(failing=["change"], change={})
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change", "unchange", "open"]
    assert "E-told-to  change was told to fail." in site.screen.getvalue()


def test_a_failure_after_the_commit_undoes_nothing_and_opens_an_incident(site):
    site.playbooks(failing=["open"])
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change", "open"]
    assert "incident about E-told-to  open was told to fail." in site.screen.getvalue()
    site.playbooks()
    assert site.run(at=timedelta(days=3, hours=1)) == ExitCode.DONE
    assert site.ran[4:] == ["open"], "only what was not done is done again"


def test_a_failure_that_comes_with_the_commit_undoes_nothing(site):
    site.playbooks(failing=["change"])
    assert site.run() == ExitCode.FAILED
    assert site.ran == ["prepare", "close", "change"]


def test_an_undo_that_fails_is_told_and_the_others_still_run(site):
    site.playbooks(failing=["change", "unchange"], change={})
    assert site.run() == ExitCode.NOT_UNDONE
    assert site.ran == ["prepare", "close", "change", "unchange", "open"]
    assert "NOT UNDONE: change" in site.screen.getvalue()


def test_a_window_stage_cannot_be_run_out_of_its_turn(site):
    with pytest.raises(BadInputError, match="change comes after prepare, close"):
        site.run("change")


def test_a_stage_that_the_process_does_not_have(site):
    with pytest.raises(BadInputError, match="E-no-such-stage  nonsense"):
        site.run("nonsense")


def test_a_crash_in_a_stage_is_followed_by_the_same_stage(site):
    journal = Journal(site.directory / "journal.jsonl")
    journal.write(event("stage_started", stage="prepare", attempt=1))
    assert site.run() == ExitCode.DONE
    assert [(e["stage"], e["attempt"]) for e in site.entries if e["event"] == "stage_started"][:2] == [
        ("prepare", 1),
        ("prepare", 2),
    ]


def test_a_revision_pinned_by_hand_afterwards_is_not_overwritten_by_the_old_one(site):
    site.run("prepare")
    site.plan(pinned={"revision": 5})
    site.playbooks(failing=["prepare"])
    assert site.run("prepare") == ExitCode.FAILED
    assert plans.load(site.directory / "plan.yml").pinned.revision == 5


def test_what_is_measured_too_much_for_the_window_stops_it_at_once(site):
    site.playbooks(prepare={**site.reports["prepare"], "estimates": {"change": [{"step": "all", "seconds": 6000}]}})
    assert site.run() == ExitCode.BAD_INPUT
    assert site.ran == ["prepare"]
    assert "(R2)" in site.screen.getvalue()
