"""What a stage leaves switched on, a gate that asks about each of several, and backing out: another site's process."""

import getpass
import json
import threading
import time
from datetime import timedelta

import pytest
from rich.console import Console

from plugins.module_utils.rollout_core.journal.events import StageCarried
from plugins.module_utils.rollout_core.journal.questions import still_yes, unanswered
from plugins.module_utils.rollout_core.time import timeline
from rollout.after_abort.next_plan import carried
from rollout.engine import brackets, earlier_brackets
from rollout.gates import answers_file, other_terminal
from rollout.gates import model as gates
from rollout.gates.model import Answer
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import model as plans
from rollout.views import screen
from rollout.views.overview import as_json, overview
from tests.unit.conductor.site import Site
from tests.unit.journals import event, typed

STAGES = """
- {stage: switch_on, title: Switch the light on, rules: [], due: -5h, playbook: switch_on, carries: true,
   expects: {minutes: 1, from: guess}, bracket: {what: The light is on, ends_with: switch_off, end_early: let_go}}
- {stage: build, title: Build, rules: [], due: -5h, playbook: build, carries: true, expects: {minutes: 1, from: guess}}
- {stage: try_out, title: Try it out, rules: [], due: -4h, playbook: try_out, carries: true,
   expects: {minutes: 1, from: guess},
   gates: [{gate: good, ask: after, each: parts, question: "Is {name} good?", who: [losa], waits: 1h,
            on_no: {gate: take_back, question: "Take {many} parts back?", who: [losa], waits: 1h, playbook: take_out}}]}
- {stage: switch_off, title: Switch the light off, rules: [], due: -3h, playbook: switch_off, carries: true,
   expects: {minutes: 1, from: guess}}
- {stage: change, title: Change, rules: [R18], due: 0m, window: true, playbook: change,
   expects: {minutes: 1, from: guess}}
"""
REPORTS = {
    "let_go": {"released": False, "why": "what was built is in use", "evidence": ["the light is on"]},
    "try_out": {"parts": [{"name": "lamp", "watts": 5}, {"name": "fan", "watts": 9}], "many": 2},
    "take_out": {"released": True, "backed_out": {"revno": 7}, "evidence": ["two parts taken out"]},
}
GOOD = [("good", True)]
BEGIN = timedelta(hours=-5, minutes=-1)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, STAGES, REPORTS)


@pytest.fixture
def written(site):
    """`written(*entries)`: that is what the journal says, of the morning of the rollout."""

    def write(*entries):
        window = plans.load(site.directory / "plan.yml").window.start
        journal = Journal(site.directory / "journal.jsonl", now=lambda: window - timedelta(hours=3, minutes=30))
        journal.write(event("rollout_opened", plan="", by="Tom"))
        for name, fields in entries:
            journal.write(event(name, **fields))

    return write


def started(stage, **fields):
    return "stage_started", {"stage": stage, "attempt": 1, "run": f"2026-12/0001-{stage}-1", **fields}


def done(stage, **facts):
    return "stage_finished", {"stage": stage, "outcome": "ok", "facts": facts, "message": None}


LIGHT = [started("switch_on", until="switch_off"), done("switch_on")]
BUILT = [*LIGHT, started("build"), done("build")]


def seen(site):
    """What `status` shows."""
    journal, plan = Journal(site.directory / "journal.jsonl"), plans.load(site.directory / "plan.yml")
    view = overview(plan.as_vars(), journal.entries, plan.window.start - timedelta(hours=3))
    console = Console(width=200, record=True, file=(site.directory / "screen").open("w"))
    screen.show(console, view, None)
    return view, console.export_text()


def test_it_is_on_until_its_end_is_done_and_each_item_is_asked_about(site):
    assert site.run(begin=BEGIN, answers=GOOD) == ExitCode.DONE
    assert site.ran == ["switch_on", "build", "try_out", "switch_off", "change"]
    assert [e["until"] for e in site.entries if "until" in e] == ["switch_off"]
    asked = [(e["event"], e["item"], e.get("question")) for e in site.entries if e.get("gate") == "good"]
    assert asked == [
        ("gate_asked", "lamp", "Is lamp good?"),
        ("gate_answered", "lamp", None),
        ("gate_asked", "fan", "Is fan good?"),
        ("gate_answered", "fan", None),
    ]
    assert next(e["evidence"] for e in site.entries if e["event"] == "gate_asked") == ["name: lamp", "watts: 5"]
    view, shown = seen(site)
    assert view.still_on == []
    assert "good: 2 yes, test 2" in shown
    assert "The light is on" not in shown


def test_what_may_end_early_does_and_begins_again(site):
    site.playbooks(failing=["build"], let_go={"released": True})
    assert site.run(begin=BEGIN) == ExitCode.FAILED
    assert site.ran == ["switch_on", "build", "let_go"]
    assert "over: The light is on (playbooks/let_go.yml)" in site.screen.getvalue()
    view, shown = seen(site)
    assert (view.still_on, view.next_stage.stage) == ([], "switch_on")
    assert "The light is on" not in shown
    site.playbooks()
    assert site.run("build", begin=BEGIN + timedelta(minutes=1)) == ExitCode.DONE
    assert site.ran[3:] == ["switch_on", "build"], "what belongs into the bracket is not done outside of it"


def test_what_may_not_end_early_stays_on_loudly_until_somebody_ends_it(site):
    site.playbooks(failing=["build"])
    assert site.run(begin=BEGIN) == ExitCode.FAILED
    loud = "The light is on since "
    assert f"STILL ON: {loud}" in site.screen.getvalue()
    assert "To end it:  ./runbook.py run switch_off" in site.events("rollout_closed", "message")[-1]
    view, shown = seen(site)
    assert [(each.stage, each.why) for each in view.still_on] == [("switch_on", "what was built is in use")]
    assert f"! {loud}" in shown
    assert ": what was built is in use.   To end it:  ./runbook.py run switch_off" in shown
    assert json.loads(json.dumps(as_json(view), default=str))["holds"][0]["command"] == "./runbook.py run switch_off"

    assert site.run(work=lambda conductor: conductor.abort("no power", None)) == ExitCode.ABORTED
    assert site.ran == ["switch_on", "build", "let_go", "let_go"]
    assert f"STILL ON: {loud}" in site.events("rollout_closed", "message")[-1]

    over = len(site.entries)
    stage = plans.load(site.directory / "plan.yml").process[3]
    assert site.run(work=lambda conductor: brackets.end_now(conductor.rollout, stage)) == ExitCode.DONE
    assert [e["event"] for e in site.entries[over:]] == ["stage_started", "stage_finished"], "it is not opened again"
    assert store.outcome(site.directory) == "aborted"
    assert seen(site)[0].still_on == []


def test_what_is_on_is_ended_before_its_time_when_that_is_asked_for(site, written):
    written(*BUILT)
    assert site.run("switch_off", begin=timedelta(hours=-3, minutes=-29), answers=[]) == ExitCode.DONE
    assert site.ran == ["switch_off"]
    begun = timeline.parse_instant(next(e["at"] for e in site.entries if e.get("stage") == "switch_off"))
    window = plans.load(site.directory / "plan.yml").window
    assert begun < window.start - timedelta(hours=3), "it was not waited for"
    assert seen(site)[0].still_on == []


def test_what_may_still_be_at_work_is_no_reason_to_end_it(site, written):
    written(*LIGHT)
    said = site.run(work=lambda conductor: brackets.end_early(conductor.rollout, proven=False))
    assert site.ran == []
    assert site.events("release_finished", "outcome") == ["not_tried"]
    assert "what still runs is not known" in said[0]


def test_an_early_end_that_fails_leaves_it_on(site, written):
    written(*LIGHT)
    site.playbooks(failing=["let_go"], let_go={})
    said = site.run(work=lambda conductor: brackets.end_early(conductor.rollout))
    assert site.events("release_finished", "released") == [False]
    assert "UTC: let_go failed: let_go was told to fail" in said[0]
    assert "E-told-to  let_go was told to fail." in "\n".join(said)


def test_one_no_backs_everything_out_if_a_person_says_so(site, written):
    written(*BUILT)
    fan = {"good": {"lamp": True, "fan": False}}
    assert site.run(begin=timedelta(hours=-3), answers=fan) == ExitCode.REFUSED
    assert site.ran == ["try_out", "let_go"]
    message = site.events("rollout_closed", "message")[-1]
    assert "E-gate-no  try_out: gate good was not answered yes for each.\n  fan  no, test (answers file)" in message
    assert "Take 2 parts back? was answered no by test (answers file): nothing was taken back." in message
    shown = seen(site)[1]
    assert "good: lamp  yes, test (answers file" in shown
    assert "good: fan  no, test (answers file" in shown

    assert site.run(answers={**fan, "take_back": True}) == ExitCode.REFUSED
    assert site.ran[2:] == ["try_out", "take_out"], "the back-out has ended the hold, too"
    assert site.events("rollout_closed", "outcome") == ["refused", "backed_out"]
    assert store.is_closed(site.directory)
    view, shown = seen(site)
    assert view.still_on == []
    assert {row.stage: row.state for row in view.rows}["build"] == "undone"
    assert "closed: backed out" in shown
    assert "Next: ./runbook.py plan new" in shown
    assert "./runbook.py plan new" in site.screen.getvalue()
    plan = plans.load(site.directory / "plan.yml")
    assert carried(plan, typed(site.entries)) == [], "no next attempt takes over what was backed out"

    assert site.run(answers=GOOD) == ExitCode.REFUSED
    assert site.ran[4:] == [], "nothing goes on from it"


def test_a_back_out_that_fails_says_what_to_type(site, written):
    written(*BUILT)
    site.playbooks(failing=["take_out"], take_out={})
    assert site.run(begin=timedelta(hours=-3), answers=[("take_back", True)]) == ExitCode.FAILED
    message = site.events("rollout_closed", "message")[-1]
    assert "NOT BACKED OUT TO ITS END" in message
    assert "playbooks/take_out.yml -e @" in message
    assert not store.is_closed(site.directory)
    assert carried(plans.load(site.directory / "plan.yml"), typed(site.entries)) == [], "half of it may be gone"
    site.playbooks()
    assert site.run(answers=[]) == ExitCode.REFUSED
    assert site.ran[-2:] == ["let_go", "take_out"], "nothing goes on before all of it is taken back"
    assert store.is_closed(site.directory)


def crashed(conductor):
    """What `resume` does."""
    from rollout.engine import crash

    left = crash.left_by(conductor.rollout)
    return conductor.resume(left.stage, left.run_id, left.lines())


class Ann:
    """Says yes to everything, and knows what she was asked."""

    def __init__(self):
        self.asked = []

    def begin(self, question):
        self.asked.append(question.item or question.gate)

    def poll(self, _):
        return Answer("yes", "Ann", "terminal")

    def withdraw(self):
        """Nothing stands on a screen."""

    def tell(self, *_):
        return None


def test_after_a_crash_what_was_answered_yes_is_not_asked_again(site, written):
    lamp = {"stage": "try_out", "gate": "good", "item": "lamp"}
    asked = {**lamp, "question": "Is lamp good?", "evidence": [], "options": ["yes", "no"]}
    answered = {**lamp, "answer": "yes", "by": "Bob", "source": "another terminal"}
    written(*BUILT, started("try_out"), ("gate_asked", asked), ("gate_answered", answered))
    ann = Ann()
    assert site.run(begin=timedelta(hours=-3), asker=ann, work=crashed) == ExitCode.DONE
    assert ann.asked == ["resume", "fan"]
    assert site.ran == ["let_go", "try_out", "switch_off", "change"], "first it is seen whether it may be released"
    assert "Is lamp good?  yes, Bob (another terminal, " in site.screen.getvalue()
    assert {(one.item, one.by) for one in seen(site)[0].answers if one.item} == {("lamp", "Bob"), ("fan", "Ann")}


def test_after_a_crash_in_the_back_out_it_is_carried_through(site, written):
    begun = {"stage": "try_out", "playbook": "take_out", "run": "2026-12/0009-back-out-try_out"}
    written(*BUILT, started("try_out"), ("back_out_started", begun))
    assert site.run(begin=timedelta(hours=-3), asker=Ann(), work=crashed) == ExitCode.REFUSED
    assert site.ran == ["take_out"]
    assert "everything was being backed out after try_out" in site.screen.getvalue()
    assert site.events("rollout_closed", "outcome") == ["backed_out"]


class Silent(Ann):
    """Is at the terminal and says nothing."""

    def poll(self, _):
        time.sleep(0.05)


def test_each_item_is_answered_from_another_terminal_by_its_name(site, written):
    written(*BUILT)
    told, refused = [], []

    def elsewhere_say(*words):
        while not unanswered(store.entries(site.directory)):
            time.sleep(0.05)
        try:
            told.append(other_terminal.answer(site.directory, *words))
        except BadInputError as error:
            refused.append(str(error))

    def answer():
        for words in ((None, "yes"), ("fan", "yes"), ("lamp", "yes")):
            elsewhere_say("good", *words)
        while not any(entry.fields.get("item") == "fan" for entry in store.entries(site.directory)):
            time.sleep(0.05)
        elsewhere_say("good", "fan", "yes")

    other = threading.Thread(target=answer)
    other.start()
    with store.lock(site.directory):
        assert site.run(begin=timedelta(hours=-3), asker=Silent()) == ExitCode.DONE
    other.join()
    user = getpass.getuser()
    assert told == [f"good {item}: yes, by {user} (another terminal)." for item in ("lamp", "fan")]
    assert [line.partition("\n")[0] for line in refused] == [
        "E-which-item  good: an answer must name what it is about.",
        "E-which-item  good: fan is not asked about now.",
    ]
    assert "Is lamp good?  ./runbook.py answer good lamp yes|no" in refused[0]


# -- rollouts that are over -------------------------------------------------------------------------------------------


@pytest.fixture
def kept(site, tmp_path, monkeypatch):
    """`kept(name, *entries)`: a rollout of that name is on record, newer than those before; returns its directory."""
    directory = tmp_path / "records"
    monkeypatch.setenv("ROLLOUT_RECORDS", str(directory))

    def keep(name, *entries):
        (directory / name).mkdir(parents=True)
        plan = plans.load(site.directory / "plan.yml").model_copy(update={"id": name})
        plans.save(plan, directory / name / "plan.yml")
        journal = Journal(directory / name / "journal.jsonl")
        for kind, fields in entries:
            journal.write(event(kind, **fields))
        return directory / name

    return keep


OPENED = ("rollout_opened", {"plan": "", "by": "Tom"})
ABORTED = ("rollout_closed", {"outcome": "aborted", "exit_code": 4, "message": "E-abort-asked"})
STAYS = ("release_finished", {"stage": "switch_on", "released": False, "why": "in use"})


def left(**given):
    found = earlier_brackets.left_on(None, **given)
    return found and (found.directory.name, [each.stage for each in found.still_on])


def test_an_aborted_rollout_has_left_it_on_until_a_later_one_has_to_do_with_it(kept):
    assert left() is None
    first = kept("2026-12", OPENED, *BUILT, STAYS, ABORTED)
    assert left() == ("2026-12", ["switch_on"])
    assert left(but=first) is None, "who looks at that rollout sees it there"
    kept("2027-01", OPENED, started("build"))
    assert left() == ("2026-12", ["switch_on"]), "the new one has nothing to do with it"
    assert earlier_brackets.to_end("switch_off", None, None).directory == first
    assert earlier_brackets.to_end("build", None, None) is None
    kept("2027-02", ("stage_carried", {"stage": "switch_on", "rollout": "2026-12", "facts": {}, "hold": {"why": None}}))
    assert left() is None, "it is the new rollout's now, and that is open"


def test_a_rollout_that_was_done_has_left_nothing_on(kept):
    kept("2026-12", OPENED, *BUILT, started("switch_off"), done("switch_off"), ABORTED)
    assert left() is None


def test_what_is_still_on_is_carried_with_its_reason(kept):
    directory = kept("2026-12", OPENED, *BUILT, STAYS, ABORTED)
    entries = store.entries(directory)
    since = entries[1].at.isoformat()
    assert carried(plans.load(directory / "plan.yml"), entries) == [
        StageCarried("switch_on", "2026-12", {}, {"since": since, "why": "in use"}),
        StageCarried("build", "2026-12", {}),
    ]


# -- the questions ----------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(site):
    return plans.load(site.directory / "plan.yml").process[2].gates[0]


def test_the_prompt_says_which_of_how_many(gate):
    (lamp, fan) = gates.questions(gate, REPORTS["try_out"], [])
    assert (lamp.prompt, fan.prompt) == ("? 1/2 Is lamp good?  [y/N/?] ", "? 2/2 Is fan good?  [y/N/?] ")


@pytest.mark.parametrize(
    "parts",
    [None, "lamp", {"name": "lamp"}, ["lamp"], [{}], [{"name": "lamp"}, {"name": "lamp"}]],
    ids=["none", "text", "mapping", "words", "empty", "twice"],
)
def test_what_is_no_list_of_different_items_cannot_be_asked_about(gate, parts):
    with pytest.raises(ValueError, match="parts is no list of different items"):
        gates.questions(gate, {"parts": parts}, [])


def test_a_yes_counts_again_only_where_nothing_has_changed(gate):
    asked = gates.questions(gate, REPORTS["try_out"], [])[0]
    at = {"at": "2026-12-07T12:00:00Z", "stage": "try_out"}
    question = {**at, "event": "gate_asked", "gate": "good", "item": "lamp", "question": "Is lamp good?"}
    answer = {**at, "event": "gate_answered", "gate": "good", "item": "lamp", "answer": "yes"}
    again = {**at, "event": "stage_started"}

    def counts(*entries, minutes=60):
        now = timeline.parse_instant("2026-12-07T12:00:00Z") + timedelta(minutes=minutes)
        return still_yes(typed(entries), asked.on_record("try_out"), now, asked.waits) is not None

    assert counts(question, answer, again)
    assert not counts(again), "never asked"
    assert not counts(question, answer, again, minutes=61), "too long ago"
    assert not counts(question, {**answer, "answer": "no"}, again)
    assert not counts({**question, "question": "Is the lamp good?"}, answer, again)
    assert not counts(question, answer, {**again, "event": "stage_finished", "outcome": "ok"}, again), "it had its end"
    assert not counts(question, answer, {**again, "stage": "build"}, again), "built anew"
    assert not counts({**question, "item": "fan"}, {**answer, "item": "fan"}, again), "that was another"
    assert not counts(question, answer, {**question, "at": "2026-12-07T12:01:00Z"}, again), "asked again, not answered"


def test_an_answers_file_with_items(tmp_path, site, gate):
    path = tmp_path / "answers.yml"
    path.write_text("by: Tom\nanswers:\n  good: {lamp: yes, fan: 'no'}\n")
    plan = plans.load(site.directory / "plan.yml")
    said = answers_file.load(path, plan)
    assert [said.poll(asked).word for asked in gates.questions(gate, REPORTS["try_out"], [])] == ["yes", "no"]
    path.write_text("by: Tom\nanswers:\n  good: yes\n  take_back: {lamp: yes}\n")
    with pytest.raises(BadInputError, match=r"answers\.yml:4: answers\.take_back: it asks one question"):
        answers_file.load(path, plan)
