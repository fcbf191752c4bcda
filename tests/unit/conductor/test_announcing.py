"""Confirmed by named people, announced in time, or no go (R3, R7, R21); a move takes back what was said of it."""

from datetime import timedelta

import pytest

from rollout.commands.plan import told
from rollout.gates import answers_file, other_terminal
from rollout.gates import terminal as terminals
from rollout.journal.clock import Clock
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from rollout.plan import move as moving
from rollout.views import announcement_lines
from tests.unit.conductor.site import Site
from tests.unit.journals import event, typed

EXPECTS = "expects: {minutes: 1, from: guess}"
STAGES = f"""
- {{stage: confirm, title: Confirm, rules: [R3], due: -21d, playbook: note, {EXPECTS},
   gates: [{{gate: losas, ask: before, question: "LOSAs?", who: [losa], waits: 7d, named: true}},
           {{gate: dba, ask: before, question: "DBA?", who: [dba], waits: 7d, named: true}}]}}
- {{stage: remind, title: Remind, rules: [R7], due: -5h, announces: {{message: reminder, by: reminder_hours_before}},
   {EXPECTS}}}
- {{stage: change, title: Change, rules: [], due: 0m, window: true, playbook: change, {EXPECTS}}}
"""


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, STAGES, {"note": {}, "change": {}})


def says(texts=None, **answers):
    return answers_file.AnswersFile(by="test", answers=answers, texts=texts or {})


def confirmed(site):
    return [(entry["gate"], entry.get("name")) for entry in site.entries if entry["event"] == "gate_answered"]


def at_the_window(site, sent):
    """Everything before the window is done, and the reminder went out so long before it."""
    plan = plans.load(site.directory / "plan.yml")
    journal = Journal(site.directory / "journal.jsonl", now=lambda: plan.window.start - sent)
    text = {"title": "", "body": "soon", "via": "status", "to": None}
    about = {"announcement": 1, "channel": "status", "attempt": 1}
    journal.write(event("stage_finished", stage="confirm", outcome="ok", facts={}, message=None))
    journal.write(
        event(
            "announcement_queued", announcement=1, message="reminder", stage="remind", by=None, texts={"status": text}
        )
    )
    journal.write(event("announcement_sending", **about, key="k"))
    journal.write(event("announcement_tried", **about, outcome="sent", said="ok", repeatable_until=None))
    journal.write(event("stage_finished", stage="remind", outcome="ok", facts={}, message=None))


def test_who_confirmed_is_on_record_and_is_asked_only_once(site):
    assert site.run("confirm", asker=says(losas=True, texts={"losas_name": "tom"})) == ExitCode.REFUSED
    assert confirmed(site) == [("losas", "tom"), ("dba", None)]
    plan = plans.load(site.directory / "plan.yml").as_vars()
    (line,) = announcement_lines.lines(
        plan, typed(site.entries), plans.load(site.directory / "plan.yml").window.start - timedelta(days=3)
    )
    assert line.startswith("   confirm: losas (tom, ")
    assert line.endswith(" · not yet: dba")
    assert site.run("confirm", asker=says(dba=True), begin=timedelta(hours=-2)) == ExitCode.DONE
    assert confirmed(site)[2:] == [("dba", "test")]
    assert "? LOSAs?  yes, tom (answers file, " in site.screen.getvalue()


def test_who_confirms_beforehand_is_not_asked(site):
    """No runbook is at work, and none has been: the first run takes what is on record."""
    said = other_terminal.answer(site.directory, "losas", None, "yes", {"name": "tom"})
    assert said.startswith("losas: yes, by tom. It is on record")
    assert site.run("confirm", asker=says(dba=True, texts={"dba_name": "stub"})) == ExitCode.DONE
    assert site.events("gate_asked", "gate") == ["dba"]
    assert "? LOSAs?  yes, tom (beforehand, " in site.screen.getvalue()


def test_a_no_beforehand_is_on_record_and_it_is_asked_again(site):
    other_terminal.answer(site.directory, "losas", None, "yes", {"name": "tom"})
    other_terminal.answer(site.directory, "losas", None, "no", {})
    assert site.run("confirm", asker=says(losas=True, texts={"losas_name": "ann"})) == ExitCode.REFUSED
    assert confirmed(site) == [("losas", "tom"), ("losas", None), ("losas", "ann"), ("dba", None)]


@pytest.mark.parametrize(
    ("gate", "word", "told", "says"),
    [
        ("losas", "yes", {}, "E-not-told  yes to losas needs a name on record."),
        ("losas", "maybe", {"name": "tom"}, "E-no-such-answer  losas takes yes or no, not 'maybe'."),
        ("go", "yes", {"name": "tom"}, "E-nobody-asks .* can be answered: losas, dba."),
    ],
)
def test_what_cannot_be_answered_beforehand(site, gate, word, told, says):
    with pytest.raises(BadInputError, match=says):
        other_terminal.answer(site.directory, gate, None, word, told)
    assert not (site.directory / "journal.jsonl").exists()


def test_what_is_behind_us_is_not_answered(site):
    site.run("confirm", asker=says(losas=True, dba=True, texts={"losas_name": "tom", "dba_name": "stub"}))
    with pytest.raises(BadInputError, match="E-not-asked  losas: confirm is done"):
        other_terminal.answer(site.directory, "losas", None, "yes", {"name": "tom"})


@pytest.mark.parametrize("sent", [timedelta(hours=4), timedelta(hours=4, seconds=1)])
def test_announced_in_time_nobody_is_asked(site, sent):
    at_the_window(site, sent)
    assert site.run(begin=timedelta()) == ExitCode.DONE
    assert site.events("gate_asked", "gate") == []


LATE = timedelta(hours=4, seconds=-1)


def test_not_announced_in_time_is_no_go(site):
    at_the_window(site, LATE)
    assert site.run(begin=timedelta(), asker=says()) == ExitCode.REFUSED
    assert site.ran == []
    said = site.screen.getvalue()
    assert "! reminder on status was to be out by " in said
    assert "E-not-announced  It was not announced in time, and test (answers file) waives nothing." in said


def test_a_yes_without_a_reason_waives_nothing(site):
    at_the_window(site, LATE)
    assert site.run(begin=timedelta(), asker=says(not_announced=True)) == ExitCode.REFUSED
    assert site.ran == []


def test_a_named_persons_waiver_is_on_record_and_asked_for_once(site):
    at_the_window(site, LATE)
    why = {"not_announced_name": "francis", "not_announced_reason": "the list was down"}
    site.playbooks(failing=["change"])
    assert site.run(begin=timedelta(), asker=says(not_announced=True, texts=why)) == ExitCode.FAILED
    (waived,) = (entry for entry in site.entries if entry["event"] == "announcement_waived")
    assert (waived["message"], waived["by"], waived["reason"]) == ("reminder", "francis", "the list was down")
    site.playbooks()
    assert site.run(begin=timedelta(minutes=5), asker=says()) == ExitCode.DONE


def test_the_question_needs_a_reason_from_another_terminal_too(site):
    at_the_window(site, LATE)

    class Elsewhere(terminals.Nobody):
        """Nobody is here; somebody at another terminal is asked."""

        def poll(self, question):
            assert question.on_record("change").needs == {"yes": ["name", "reason"]}
            return super().poll(question)

    assert site.run(begin=timedelta(), asker=Elsewhere()) == ExitCode.REFUSED
    (asked,) = (entry for entry in site.entries if entry["event"] == "gate_asked")
    assert asked["needs"] == {"yes": ["name", "reason"]}


def test_news_that_cannot_be_sent_undoes_nothing_and_is_no_incident(tmp_path):
    """The site names no channels at all: that is found when something is announced, after the commit."""
    tell = f"- {{stage: tell, title: Tell, rules: [], due: 0m, announces: {{message: done}}, {EXPECTS}}}\n"
    change = STAGES.splitlines()[-1].replace("window: true", "window: true, undo: {playbook: unchange, minutes: 1}")
    for irreversible, name in ((True, "after"), (False, "before")):
        (tmp_path / name).mkdir()
        site = Site(tmp_path / name, f"{change}\n{tell}", {"change": {"irreversible": irreversible}})
        assert site.run(begin=timedelta()) == ExitCode.BAD_INPUT
        assert site.ran == ["change"], "nothing was undone"
        said = site.screen.getvalue()
        assert "E-no-channels  " in said
        assert "ncident" not in said
        assert site.events("rollout_closed", "outcome") == ["failed"]


def moved(site, by):
    plan = plans.load(site.directory / "plan.yml")
    window = plan.window.model_copy(update={"start": plan.window.start + by})
    return plan.model_copy(update={"window": window})


def test_a_window_that_was_moved_by_hand_withdraws_what_was_said_of_it(site):
    assert site.run("confirm", asker=says(losas=True, dba=True)) == ExitCode.DONE
    plans.save(moved(site, timedelta(hours=24)), site.directory / "plan.yml")
    journal = Journal(site.directory / "journal.jsonl")
    plan = moving.as_on_record(plans.load(site.directory / "plan.yml"), journal, site.directory)
    (entry,) = (entry for entry in site.entries if entry["event"] == "window_moved")
    assert (entry["reason"], entry["redo"]) == (moving.BY_HAND, ["confirm"])
    assert moving.as_on_record(plan, journal, site.directory) == plan
    assert site.events("window_moved", "to") == [plan.window.start.isoformat()]
    assert site.run("confirm", asker=says(losas=True)) == ExitCode.REFUSED
    assert confirmed(site)[2:] == [("losas", "test"), ("dba", None)], "both are asked again"


def test_a_crash_between_the_journal_and_the_plan_is_mended(site):
    assert site.run("confirm", asker=says(losas=True, dba=True)) == ExitCode.DONE
    journal = Journal(site.directory / "journal.jsonl")
    before, after = plans.load(site.directory / "plan.yml"), moved(site, timedelta(hours=24))
    moving.put_on_record(before, after, journal, "the DBA is away")
    assert moving.as_on_record(before, journal, site.directory).window == after.window
    assert plans.load(site.directory / "plan.yml").window == after.window


@pytest.fixture
def by_command(site, monkeypatch):
    monkeypatch.setenv("ROLLOUT_RECORDS", str(site.directory / "records"))  # no other plans
    plan = plans.load(site.directory / "plan.yml").model_copy(update={"inventory": "inventories/lab"})
    plans.save(plan, site.directory / "plan.yml")

    def move(by, reason="the DBA is away"):
        start = plans.load(site.directory / "plan.yml").window.start + by
        return told(moving.move(None, site.directory / "plan.yml", moving.Move(start, reason)))

    return move


def test_the_command_moves_it_and_says_what_is_withdrawn(site, by_command):
    assert site.run("confirm", asker=says(losas=True, dba=True)) == ExitCode.DONE
    before = plans.load(site.directory / "plan.yml")
    lines = by_command(timedelta(days=7))
    after = plans.load(site.directory / "plan.yml")
    assert after.window.start == before.window.start + timedelta(days=7)
    assert after.backup_window.start > after.window.end + timedelta(hours=24)
    assert lines[1:] == ["Withdrawn, to be done again: confirm", "Then:  ./runbook.py run"]
    (entry,) = (entry for entry in site.entries if entry["event"] == "window_moved")
    assert entry["reason"] == "the DBA is away"


@pytest.mark.parametrize(("later", "stays"), [(timedelta(), True), (timedelta(seconds=1), False)])
def test_the_backup_stays_while_it_is_far_enough_from_the_new_window(site, by_command, later, stays):
    before = plans.load(site.directory / "plan.yml")
    apart = timedelta(hours=before.policy.next_attempt_hours_notice, minutes=before.policy.window_minutes)
    by_command(before.backup_window.start - before.window.start - apart + later)
    assert (plans.load(site.directory / "plan.yml").backup_window == before.backup_window) is stays


def test_the_command_says_which_deadlines_the_new_time_has_missed(site, by_command):
    until_then = plans.load(site.directory / "plan.yml").window.start - Clock().now()
    lines = by_command(timedelta(hours=3) - until_then)
    assert [line.split(" was to be out by ")[0] for line in lines[1:]] == ["! reminder", "Then:  ./runbook.py run"]
    assert lines[1].endswith("and is not: before the window a person must waive it")


@pytest.mark.parametrize(
    ("by", "reason", "says_"),
    [
        (timedelta(days=-30), "earlier", "the window is past"),
        (timedelta(days=7), "  ", "E-no-reason"),
    ],
)
def test_what_cannot_be_moved_is_left_as_it_is(site, by_command, by, reason, says_):
    before = (site.directory / "plan.yml").read_text()
    with pytest.raises(BadInputError, match=says_):
        by_command(by, reason)
    assert (site.directory / "plan.yml").read_text() == before
    assert not (site.directory / "journal.jsonl").exists()


def test_a_window_that_has_begun_is_not_moved(site, by_command):
    at_the_window(site, timedelta(hours=5))
    Journal(site.directory / "journal.jsonl").write(event("stage_started", stage="change", attempt=1, run="r"))
    with pytest.raises(BadInputError, match="E-window-begun"):
        by_command(timedelta(days=7))


def in_doubt(journal, message, stage):
    """It may be out on the one channel that it goes to."""
    texts = {"status": {"title": "", "body": "soon", "via": "status", "to": None}}
    journal.write(event("announcement_queued", announcement=1, message=message, stage=stage, by=None, texts=texts))
    journal.write(event("announcement_sending", announcement=1, channel="status", attempt=1, key="k"))


class Leaves(terminals.Nobody):
    """Types Ctrl-C, and `leave`, while the question is open."""

    asked, conductor = 0, None

    def begin(self, question):
        self.asked += 1
        assert self.asked == 1, f"{question.gate} is asked again and again"
        self.conductor.interrupt.leave = True

    def poll(self, question):  # noqa: ARG002 - whatever is asked
        return None


def test_ctrl_c_while_a_doubt_is_asked_about_leaves_it(site):
    at = plans.load(site.directory / "plan.yml").window.start - timedelta(hours=5)
    journal = Journal(site.directory / "journal.jsonl", now=lambda: at)
    journal.write(event("stage_finished", stage="confirm", outcome="ok", facts={}, message=None))
    in_doubt(journal, "reminder", "remind")
    asker = Leaves()

    def work(conductor):
        asker.conductor = conductor
        return conductor.run(["remind"])

    assert site.run(asker=asker, work=work, begin=timedelta(hours=-5)) == ExitCode.FAILED
    assert "E-interrupted" in site.screen.getvalue()
    assert site.events("gate_answered", "answer") == ["withdrawn"]


def test_ctrl_c_while_a_waiver_is_asked_for_leaves_it(site):
    at_the_window(site, LATE)
    asker = Leaves()

    def work(conductor):
        asker.conductor = conductor
        return conductor.run()

    assert site.run(asker=asker, work=work, begin=timedelta()) == ExitCode.FAILED
    assert "E-interrupted" in site.screen.getvalue()
    assert site.events("gate_answered", "answer") == ["withdrawn"]
    assert site.ran == []


TELLS = f"""
- {{stage: change, title: Change, rules: [], due: 0m, window: true, playbook: change, abortable: until_commit,
   {EXPECTS}}}
- {{stage: tell, title: Tell, rules: [R23], due: 0m, announces: {{message: done}}, {EXPECTS}}}
"""


def test_a_channel_that_is_down_after_the_commit_is_no_incident(tmp_path):
    site = Site(tmp_path, TELLS, {"change": {"irreversible": True}})
    in_doubt(Journal(site.directory / "journal.jsonl", now=Clock().now), "done", "tell")
    assert site.run(begin=timedelta(), asker=says()) == ExitCode.FAILED
    said = site.screen.getvalue()
    assert "E-not-announced  tell: done is not out on status (in doubt)." in said
    assert "Incident report begun" not in said
    assert "./runbook.py run" in said.splitlines()[-1]
