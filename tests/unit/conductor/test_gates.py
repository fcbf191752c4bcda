"""Gates: silence, no terminal and no answer are no; a person sees the evidence and answers in words."""

import errno
import io
import os
import pty
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest

from plugins.module_utils.rollout_core.journal.questions import unanswered
from plugins.module_utils.rollout_core.time import timeline
from rollout.gates import answers_file
from rollout.gates import model as gates
from rollout.gates import terminal as terminals
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan import model as plans
from tests.unit.journals import last, typed

PLAN = plans.load(Path(__file__).parents[1] / "plan" / "plan.yml")
GO = PLAN.gates()["go"]
ASK = """
from datetime import timedelta
from rollout.gates import model as gates
from rollout.gates import terminal as terminals
evidence = ["11 patches, 70.5 s on staging"]
asked = gates.Question("pin", "Pin db-stable 10381?", evidence, ["losa"], timedelta(seconds=60))
terminal = terminals.Terminal()
terminal.begin(asked)
while (answer := terminal.poll(asked)) is None and not terminal.gone:
    pass
print("ANSWER", answer and answer.yes, answer and answer.source)
print("TOLD", terminal.tell("source", "What is the source?"))
"""


@pytest.fixture
def terminal():
    """`terminal()`: a person's terminal at which the question stands."""
    children = []

    def ask():
        script = ["-c", ASK]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = pexpect.spawn(sys.executable, script, env=environment, timeout=30, encoding="utf-8")
        children.append(child)
        child.expect_exact("? Pin db-stable 10381?  [y/N/?] ")
        return child

    yield ask
    for child in children:
        child.close(force=True)


@pytest.mark.parametrize(("said", "yes"), [("y", True), ("Yes", True), ("n", False), ("", False)])
def test_an_answer_at_the_terminal(terminal, said, yes):
    child = terminal()
    child.sendline(said)
    child.expect_exact(f"ANSWER {yes} terminal")


def test_what_is_neither_yes_nor_no_is_asked_again(terminal):
    child = terminal()
    child.sendline("maybe")
    child.expect_exact("? Pin db-stable 10381?  [y/N/?] ")
    child.sendline("y")
    child.expect_exact("ANSWER True terminal")


def test_a_question_mark_shows_the_evidence_and_what_an_answer_does(terminal):
    child = terminal()
    child.sendline("?")
    child.expect_exact("11 patches, 70.5 s on staging")
    child.expect_exact("Asked of: losa.")
    child.sendline("n")
    child.expect_exact("ANSWER False terminal")


def test_a_terminal_that_hangs_up_is_no_answer(terminal):
    child = terminal()
    child.sendeof()
    child.expect_exact("ANSWER None None")
    child.expect_exact("TOLD None")


def test_a_terminal_that_takes_nothing_has_hung_up(monkeypatch):
    class HungUp(io.StringIO):
        def write(self, _):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stdout", HungUp())
    terminal = terminals.Terminal()
    terminal.begin(CHOICE)
    assert terminal.gone
    assert terminal.poll(CHOICE) is None
    assert terminal.tell("source", "What is the source?") is None


def test_a_line_of_text_at_the_terminal(terminal):
    child = terminal()
    child.sendline("y")
    child.expect_exact("? What is the source?")
    child.sendline("missing index")
    child.expect_exact("TOLD missing index")


def test_a_name_is_asked_for_while_others_may_answer(monkeypatch, capfd):
    """A real terminal: between two lines `poll` returns, so that whoever is elsewhere is heard."""
    named = gates.Question(
        "dba", "Is the DBA there?", [], ["dba"], timedelta(days=7), needs={"yes": ["name", "reason"]}
    )
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", encoding="utf-8") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        person = terminals.Terminal()
        person.begin(named)
        told = []
        for typed in ("y", "stub", "", "y", "st\x1bub", "stub", "on call"):
            os.write(ours, f"{typed}\n".encode())
            told.append(person.poll(named))
        assert person.poll(named) is None
    os.close(ours)
    assert told[:-1] == [None] * 6
    assert (told[-1].word, told[-1].told) == ("yes", {"name": "stub", "reason": "on call"})
    said = capfd.readouterr().out
    assert said.count("? Is the DBA there?") == 2
    assert "E-bad-text  " in said


@pytest.mark.parametrize(
    ("waits", "words"),
    [("7d", "7 days"), ("90m", "1 hour 30 minutes"), ("45s", "45 seconds"), ("1d", "1 day"), ("0m", "0 seconds")],
)
def test_how_long_silence_is_waited_for(waits, words):
    asked = gates.Question("pin", "Pin?", [], ["losa"], timeline.parse_duration(waits))
    assert asked.silence_line == f"No answer within {words}: no."


def test_an_instant_in_a_question_is_as_people_write_it():
    confirm = GO.model_copy(update={"question": "Do you confirm {window[start]}, with {patches} patches of {day}?"})
    facts = {"window": {"start": "2026-12-09T08:00:00Z"}, "patches": 5, "day": "Tuesday"}
    assert gates.question(confirm, facts, []).text == "Do you confirm Wed 09 Dec 08:00 UTC, with 5 patches of Tuesday?"


def test_nobody_says_no():
    answer = terminals.Nobody().poll(gates.question(GO, {}, []))
    assert (answer.yes, answer.source) == (False, "nobody")
    assert terminals.Nobody().tell("source", "What is the source?") is None


CHOICE = gates.Question("failure", "What now?", [], ["losa"], timedelta(minutes=1), ("retry", "go-on", "abort"))


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("r", "retry"),
        ("GO", "go-on"),
        ("abort", "abort"),
        ("", "abort"),
        ("x", None),
        ("yes", None),
        ("retry it", None),
    ],
)
def test_a_choice_is_typed_by_its_beginning(typed, word):
    assert CHOICE.prompt == "? What now?  [retry/go-on/ABORT/?] "
    assert CHOICE.answered_by(typed) == word


def test_an_answers_file_chooses_nothing():
    file = answers_file.AnswersFile(by="Tom", answers={"failure": True})
    assert file.poll(CHOICE).word == "abort"


def test_texts_of_an_answers_file(tmp_path):
    path = tmp_path / "answers.yml"
    path.write_text("by: Tom\nanswers: {}\ntexts: {source: a slow index, mended_at: 2026-12-10T16:00Z, new_pin: no}\n")
    file = answers_file.load(path, PLAN)
    assert file.tell("source", "?") == "a slow index"
    assert file.tell("new_pin", "?") == "no"
    assert timeline.parse_instant(file.tell("mended_at", "?")) == datetime(2026, 12, 10, 16, tzinfo=UTC)
    assert file.tell("waived_by", "?") is None


def entry(seq, event, gate="go"):
    return {"seq": seq, "at": "2026-12-09T08:00:00Z", "event": event, "stage": "outage", "gate": gate, "answer": "yes"}


def test_the_questions_that_are_open():
    asked, answered = entry(1, "gate_asked"), entry(2, "gate_answered")
    other = entry(3, "gate_asked", "outgrow")

    def numbers(*rows):
        return [entry.seq for entry, _ in unanswered(typed(rows))]

    assert numbers(asked) == [1]
    assert numbers(asked, answered) == []
    assert numbers(asked, other) == [1, 3]
    assert numbers(asked, entry(2, "rollout_opened")) == [], "a runbook that is gone waits for nothing"


def test_ctrl_c_leaves_no_question_open(tmp_path):
    class Interrupted(terminals.Nobody):
        def poll(self, question):  # noqa: ARG002 - whatever it is
            raise KeyboardInterrupt

    journal = Journal(tmp_path / "journal.jsonl")
    asked = gates.Question("new_date", "Announce it?", [], ["losa"], timedelta(minutes=1))
    with pytest.raises(KeyboardInterrupt):
        gates.ask(Interrupted(), journal, asked)
    assert unanswered(journal.entries) == []
    assert last(journal, "gate_answered")["answer"] == "no"


def test_the_question_is_filled_in():
    gate = GO.model_copy(update={"question": "Pin {revision} of {id}?"})
    assert gates.question(gate, {"revision": 10381, "id": "2026-12"}, []).text == "Pin 10381 of 2026-12?"


def test_a_question_about_a_fact_that_is_not_there_is_an_error():
    with pytest.raises(KeyError):
        gates.question(GO.model_copy(update={"question": "{revision}?"}), {}, [])


@pytest.mark.parametrize(("written", "yes"), [("yes", True), ("'yes'", True), ("true", True), ("no", False)])
def test_an_answers_file(tmp_path, written, yes):
    path = tmp_path / "answers.yml"
    path.write_text(f"by: Tom\nanswers: {{go: {written}}}\n")
    answer = answers_file.load(path, PLAN).poll(gates.question(GO, {}, []))
    assert (answer.yes, answer.by, answer.source) == (yes, "Tom", "answers file")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("by: Tom\nanswers:\n  og: yes\n", r"answers\.yml:3: answers\.og: no such gate; the process has go"),
        ("by: Tom\nanswers: {go: perhaps}\n", r"answers\.yml:2: answers\.go: expected yes or no, or one of them"),
        ("answers: {}\n", r"answers\.yml:1: by: is missing"),
    ],
)
def test_a_bad_answers_file(tmp_path, text, says):
    path = tmp_path / "answers.yml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=says):
        answers_file.load(path, PLAN)
