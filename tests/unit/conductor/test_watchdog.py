"""The watchdog, on a process that is not ours: what happens inside a stage, and at a question, when it gets late."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from plugins.module_utils.rollout_core.journal.incidents import ProblemSeen
from rollout.engine.playbooks import CONTROL_MARK
from rollout.gates import mailbox, other_terminal
from rollout.gates.mailbox import MailboxMessage
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.outcomes import ExitCode
from tests.unit.conductor.people import HANG, Person, what_hangs
from tests.unit.journals import event

JUST_BEFORE_THE_LIMIT = timedelta(minutes=29, seconds=50)


def the_words(site, event):
    return [entry for entry in site.entries if entry["event"] == event]


@pytest.mark.real_playbooks
def test_a_task_that_hangs_is_stopped_at_the_limit_and_the_window_is_undone(quick):
    quick.playbooks(hanging=["close"])
    assert quick.run(begin=JUST_BEFORE_THE_LIMIT) == ExitCode.ABORTED
    assert quick.ran == ["prepare", "close", "open"]
    assert quick.events("verdict", "verdict")[-1] == "abort"
    assert quick.events("verdict", "reason")[-1].startswith("close has run 0:")
    (stopped,) = the_words(quick, "stop_finished")
    assert (stopped["answer"], stopped["survivors"], stopped["unproven"]) == ("stopped", [], [])
    assert quick.survivors() == []
    assert quick.events("rollout_closed", "outcome") == ["aborted"]
    assert "concluded: E-late-abort  close has run 0:" in quick.screen.getvalue()
    assert "stands, as before the window: prepare" in quick.screen.getvalue()


def test_waiting_at_a_gate_counts_like_running(quick):
    assert quick.run(begin=JUST_BEFORE_THE_LIMIT, asker=Person()) == ExitCode.ABORTED
    assert quick.ran == ["prepare", "close", "open"]
    assert quick.events("gate_answered", "gate") == ["ready"], "nobody has answered go"


def test_past_the_point_of_no_return_it_must_finish(quick, meanwhile):
    quick.playbooks(hanging=["open"])

    def mend():
        quick.playbooks()
        return "retry"

    person = Person(go="yes", failure=mend)
    meanwhile("verdict", lambda: what_hangs(quick).kill(), verdict="must_finish")
    assert quick.run(begin=JUST_BEFORE_THE_LIMIT, asker=person) == ExitCode.DONE
    assert "must_finish" in quick.events("verdict", "verdict")
    assert "abort" not in quick.events("verdict", "verdict")
    assert the_words(quick, "undo_started") == []
    assert "MUST FINISH" in quick.screen.getvalue()


def test_an_abort_from_another_terminal(quick, meanwhile):
    quick.playbooks(hanging=["close"])
    message = MailboxMessage(kind="abort", by="Ann", text="the stakeholder called")

    def abort():
        what_hangs(quick)
        mailbox.send(quick.directory, message)

    meanwhile("stage_started", abort, stage="close")
    assert quick.run() == ExitCode.ABORTED
    assert quick.ran == ["prepare", "close", "open"]
    (asked,) = the_words(quick, "abort_requested")
    assert (asked["by"], asked["reason"], asked["possible"]) == ("Ann", "the stakeholder called", True)


def test_an_abort_that_comes_too_late_is_told_so(quick, meanwhile):
    quick.playbooks(hanging=["open"])

    def abort():
        mailbox.send(quick.directory, MailboxMessage(kind="abort", by="Ann", text="no"))
        while not the_words(quick, "abort_requested"):
            time.sleep(0.05)
        what_hangs(quick).kill()

    meanwhile("stage_started", abort, stage="open")
    assert quick.run() == ExitCode.FAILED
    assert [entry["possible"] for entry in the_words(quick, "abort_requested")] == [False]
    assert the_words(quick, "undo_started") == []


def test_a_problem_that_somebody_sees_is_put_on_record_and_the_rollout_goes_on(quick, meanwhile):
    def tell():
        asked = the_words(quick, "gate_asked")[-1]["seq"]
        seen = ProblemSeen("bug pages time out", Clock().now(), "Ann", "since nine\nOOPS-1802A17")
        assert other_terminal.incident(quick.directory, seen).number == 1
        mailbox.send(quick.directory, MailboxMessage(kind="answer", by="Ann", text="yes", gate="go", asked=asked))

    meanwhile("gate_asked", tell, gate="go")
    assert quick.run(asker=Person()) == ExitCode.DONE
    (opened,) = the_words(quick, "incident_opened")
    assert (opened["by"], opened["details"]) == ("Ann", "since nine\nOOPS-1802A17")
    assert "! Incident 1, seen by Ann: bug pages time out" in quick.screen.getvalue()


def test_an_answer_from_another_terminal(quick, meanwhile):
    def answer():
        number = the_words(quick, "gate_asked")[-1]["seq"]
        mailbox.send(quick.directory, MailboxMessage(kind="answer", by="Ann", text="yes", gate="go", asked=1))
        mailbox.send(quick.directory, MailboxMessage(kind="answer", by="Bob", text="perhaps", gate="go", asked=number))
        mailbox.send(quick.directory, MailboxMessage(kind="answer", by="Ann", text="yes", gate="go", asked=number))

    meanwhile("gate_asked", answer, gate="go")
    assert quick.run(asker=Person()) == ExitCode.DONE
    answered = the_words(quick, "gate_answered")[-1]
    assert (answered["by"], answered["source"], answered["answer"]) == ("Ann", "another terminal", "yes")


def test_silence_is_no(quick):
    gate = {"gate": "go", "ask": "before", "question": "Go?", "who": ["losa"], "waits": "0s"}
    quick.plan(change={"gates": [gate]})
    assert quick.run(asker=Person()) == ExitCode.REFUSED
    assert "No answer within 0 seconds: no." in quick.screen.getvalue()
    assert quick.ran == ["prepare", "close", "open"]


def test_a_failed_stage_of_the_window_is_tried_again_when_a_person_says_so(quick):
    quick.playbooks(failing=["change"], change={})

    def mend():
        quick.playbooks()
        return "retry"

    assert quick.run(asker=Person(go="yes", failure=mend)) == ExitCode.DONE
    assert quick.ran == ["prepare", "close", "change", "change", "open"]


def test_a_failed_stage_that_was_done_by_hand(quick):
    quick.playbooks(failing=["close"])
    assert quick.run(asker=Person(go="yes", failure="go-on")) == ExitCode.DONE
    assert quick.ran == ["prepare", "close", "change", "open"]
    done = [entry for entry in the_words(quick, "stage_finished") if entry["stage"] == "close"][-1]
    assert (done["outcome"], done["facts"]["by_hand"]) == ("ok", True)


def test_a_failed_stage_aborts_when_a_person_says_so(quick):
    quick.playbooks(failing=["close"])
    assert quick.run(asker=Person(failure="abort")) == ExitCode.FAILED
    assert quick.ran == ["prepare", "close", "open"]
    assert quick.events("rollout_closed", "outcome") == ["aborted"]


def test_a_missed_deadline_before_the_window_is_a_gate(site):
    site.plan(prepare={"begins_by": "-110m"})
    assert site.run(begin=timedelta(minutes=-100)) == ExitCode.REFUSED
    assert site.ran == []
    assert "prepare should have begun by" in site.screen.getvalue()
    yes = (("ready", True), ("go", True), ("begin_late", True))
    assert site.run(begin=timedelta(minutes=-100), answers=yes) == ExitCode.DONE


@pytest.mark.parametrize(("said", "code"), [(True, ExitCode.DONE), (False, ExitCode.ABORTED)])
def test_a_rollout_that_outgrows_the_window_is_asked_about(quick, said, code):
    """Planned 80 minutes, begun 20 minutes late: less than the limit, but past the end of the window."""
    quick.plan(policy={"ask_minutes_before_last_safe_abort": 80}, change={"expects": {"minutes": 80, "from": "guess"}})
    answers = [("go", True), ("outgrow", said)]
    assert quick.run(begin=timedelta(minutes=20), answers=answers) == code
    assert quick.events("gate_asked", "gate").count("outgrow") == 1
    assert ("change" in quick.ran) == said


@pytest.mark.parametrize(
    ("said", "code"),
    [("abort", ExitCode.ABORTED), pytest.param("leave", ExitCode.FAILED, marks=pytest.mark.real_playbooks)],
)
def test_ctrl_c_asks_once(quick, meanwhile, said, code):
    quick.playbooks(hanging=["close"] if said == "abort" else [])

    def type_ctrl_c():
        if said == "abort":
            what_hangs(quick)
        os.kill(os.getpid(), signal.SIGINT)

    meanwhile("stage_started", type_ctrl_c, stage="close")
    person = Person(go="yes", interrupt=said)
    assert quick.run(asker=person) == code
    assert [question.gate for question in person.asked].count("interrupt") == 1
    assert quick.ran == ["prepare", "close", *(["open"] if said == "abort" else [])]
    if said == "leave":
        assert "E-interrupted" in quick.screen.getvalue()
        assert quick.run() == ExitCode.DONE, "it goes on where it was left"


@pytest.mark.real_playbooks
def test_a_hang_up_stops_nothing(quick, meanwhile):
    meanwhile("stage_started", lambda: os.kill(os.getpid(), signal.SIGHUP), stage="close")
    assert quick.run() == ExitCode.DONE


@pytest.fixture
def crashed(quick):
    """A runbook was killed while `close` ran, and a process of its playbook still does."""
    run = f"{'2026-12'}/0099-close-1"
    journal = Journal(quick.directory / "journal.jsonl")
    journal.write(event("clock_set", offset_seconds=259_200, reason="test"))
    journal.write(event("rollout_opened", plan="", by="Tom"))
    journal.now = lambda: journal_time(quick)
    journal.write(event("stage_started", stage="close", attempt=1, run=run))
    environment = {**os.environ, CONTROL_MARK: f"{quick.directory}/ansible/0099-close-1"}
    argv = [sys.executable, "-c", HANG]
    orphan = subprocess.Popen(argv, env=environment, start_new_session=True)
    yield run
    orphan.kill()
    orphan.wait()


def journal_time(site):
    from rollout.plan import model as plans

    return plans.load(site.directory / "plan.yml").window.start + timedelta(minutes=-10)


@pytest.mark.parametrize(("word", "code"), [("yes", ExitCode.DONE), ("no", ExitCode.ABORTED)])
def test_after_a_crash_a_person_says_whether_to_go_on(quick, crashed, word, code):
    person = Person(resume=word, go="yes")

    def resume(conductor):
        return conductor.resume(conductor.rollout.stage("close"), crashed, ["it was in the middle of close"])

    assert quick.run(begin=timedelta(minutes=-9), asker=person, work=resume) == code
    assert quick.survivors() == []
    assert "too late to stop" not in quick.screen.getvalue(), "it was stopped, or is gone"
    assert quick.ran == (["prepare", "close", "change", "open"] if word == "yes" else ["prepare", "open"])


def test_an_abort_without_a_runbook_at_work(quick):
    assert quick.run(work=lambda conductor: conductor.abort("no DBA", None)) == ExitCode.ABORTED
    assert quick.events("abort_requested", "reason") == ["no DBA"]
    assert quick.events("rollout_closed", "outcome") == ["aborted"]
    assert quick.ran == ["prepare"], "nothing of the window was done, nothing is undone"


def test_an_abort_past_the_point_of_no_return_is_refused(quick):
    quick.playbooks(failing=["open"])
    assert quick.run() == ExitCode.FAILED
    late = timedelta(hours=1)
    assert quick.run(begin=late, work=lambda conductor: conductor.abort("no", None)) == ExitCode.REFUSED
    assert "E-too-late-to-abort" in quick.screen.getvalue()
    assert the_words(quick, "undo_started") == []
