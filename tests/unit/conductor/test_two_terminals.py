"""Two people answer the same question: who is second hears it, and a no is never lost."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import pytest

from plugins.module_utils.rollout_core.journal.events import GateAnswered
from rollout.gates import other_terminal
from rollout.gates.answer_box import AnswerBox
from rollout.gates.mailbox import MailboxMessage
from rollout.gates.model import Answer, Question
from rollout.journal import store
from rollout.journal.file import Journal
from rollout.outcomes import AnsweredError, ExitCode, Stop
from tests.unit.conductor.people import Person, what_hangs

# Another terminal: waits until it is told to, so that both begin at the same moment.
ANSWER = """
import sys
from pathlib import Path
from rollout.gates import other_terminal
from rollout.outcomes import RunbookError
print("ready", flush=True)
sys.stdin.readline()
try:
    print(other_terminal.answer(Path(sys.argv[1]), "go", None, sys.argv[2]))
except RunbookError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def at_once(directory, *words):
    """Answer `go` with each word, from a process each; returns what each said, and its exit code."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    there = [subprocess.Popen([sys.executable, "-c", ANSWER, str(directory), word], **pipes) for word in words]
    for each in there:
        assert each.stdout.readline() == "ready\n"
    for each in there:
        each.stdin.write("go\n")
        each.stdin.flush()
    return [(each.communicate()[0].strip(), each.returncode) for each in there]


def answers(site, gate="go"):
    return [
        event.answer for _, event in Journal(site.directory / "journal.jsonl").of(GateAnswered) if event.gate == gate
    ]


def message(word, by="Ann", asked=7):
    return MailboxMessage(kind="answer", by=by, text=word, gate="go", asked=asked)


class Slow(Person):
    """Looks away for a moment after each question: on a busy machine, others need that to answer at once."""

    def begin(self, question):
        super().begin(question)
        time.sleep(2)


@pytest.mark.parametrize("words", [("yes", "no"), ("no", "yes"), ("no", "yes", "yes", "no")])
def test_a_no_at_the_same_second_is_on_record_and_wins(quick, meanwhile, words):
    said = []
    meanwhile("gate_asked", lambda: said.extend(at_once(quick.directory, *words)), gate="go")
    with store.lock(quick.directory):
        assert quick.run(asker=Slow()) == ExitCode.REFUSED
        while len(said) < len(words):
            time.sleep(0.05)
    assert answers(quick)[-1] == "no"
    assert "change" not in quick.ran
    assert [code for _, code in said].count(0) <= 1, said
    for text, code in said:
        assert code == 0 or text.startswith(("E-answered-already  go was answered before you: ", "E-outvoted  go: no"))
        assert code in (0, ExitCode.REFUSED)


def test_the_second_of_two_that_agree_hears_who_was_first(quick, meanwhile):
    said = []
    meanwhile("gate_asked", lambda: said.extend(at_once(quick.directory, "yes", "yes")), gate="go")
    with store.lock(quick.directory):
        assert quick.run(asker=Person()) == ExitCode.DONE
        while len(said) < 2:
            time.sleep(0.05)
    assert answers(quick) == ["yes"]
    assert sorted(code for _, code in said) == [0, ExitCode.REFUSED]
    assert any(text.startswith("E-answered-already  go was answered before you: yes, by ") for text, _ in said)


def test_a_no_wins_over_a_yes_at_the_prompt(quick):
    def yes():
        (asked,) = [entry["seq"] for entry in quick.entries if entry["event"] == "gate_asked" and entry["gate"] == "go"]
        AnswerBox(quick.directory, asked).put(message("no"))
        return "yes"

    assert quick.run(asker=Person(go=yes)) == ExitCode.REFUSED
    assert answers(quick) == ["no"]


def test_a_no_after_the_yes_and_before_the_work_counts(quick):
    """The yes is on record and taken; then, before the stage begins, somebody says no."""

    def work(conductor):
        watchdog, stage = conductor.watchdog, conductor.rollout.stage("change")
        asked = Question("go", "Go?", [], ["losa"], timedelta(minutes=1))
        assert watchdog.ask(stage, asked).yes
        number = [entry["seq"] for entry in quick.entries if entry["event"] == "gate_asked"][-1]
        AnswerBox(quick.directory, number).refuse(message("no", "Bob"))
        with pytest.raises(Stop, match=r"E-gate-no  change: Go\? was answered no by Bob") as stopped:
            watchdog.look(stage)
        watchdog.look(stage)  # it is said once
        return stopped.value.exit_code

    assert quick.run(asker=Person(go="yes"), work=work) == ExitCode.REFUSED
    assert answers(quick) == ["yes", "no"]


def test_a_no_after_the_work_began_is_on_record_and_says_how_to_stop_it(quick, meanwhile):
    quick.playbooks(hanging=["change"])
    said = []

    def no():
        hangs = what_hangs(quick)
        with pytest.raises(AnsweredError) as told:
            other_terminal.answer(quick.directory, "go", None, "no")
        said.append(str(told.value))
        hangs.kill()

    meanwhile("stage_started", no, stage="change")
    with store.lock(quick.directory):
        quick.run(asker=Person(go="yes", failure="abort"))
    (told,) = said
    assert told.startswith("E-answered-already  go was answered before you: yes, by Tom.")
    assert "the work had begun" in told
    assert "./runbook.py abort --reason" in told
    assert answers(quick) == ["yes", "no"]


def test_who_is_first_is_decided_once(tmp_path):
    box = AnswerBox(tmp_path, 7)
    assert (box.answer(), box.refusal()) == (None, None)
    assert box.put(message("yes")) is None
    assert box.put(message("yes", "Bob")) == message("yes")
    assert box.answer() == Answer("yes", "Ann", "another terminal", {})
    assert box.put(message("no", "Bob")) == message("yes")
    assert box.put(message("no", "Eve")) == message("yes")
    assert box.answer() == Answer("no", "Bob", "another terminal", {}), "the first no, and it stays"
    assert AnswerBox(tmp_path, 8).answer() is None


@pytest.mark.parametrize(
    ("elsewhere", "given", "source", "counts"),
    [
        (None, "yes", "terminal", ("yes", "Tom")),
        ("yes", "no", "terminal", ("no", "Tom")),
        ("no", "yes", "terminal", ("no", "Ann")),
        ("yes", "yes", "terminal", ("yes", "Ann")),
        ("yes", "no", "nobody", ("yes", "Ann")),  # silence is no answer of a person's
        ("perhaps", "yes", "terminal", ("yes", "Tom")),
    ],
)
def test_which_answer_counts(tmp_path, elsewhere, given, source, counts):
    box = AnswerBox(tmp_path, 7)
    if elsewhere:
        box.put(message(elsewhere))
    question = Question("go", "Go?", [], ["losa"], timedelta(minutes=1))
    settled = box.settle(question, Answer(given, "Tom", source, {"name": "{{ typed }}"}))
    assert (settled.word, settled.by) == counts
    second = box.put(message("yes", "Eve"))
    assert second is not None, "whoever comes now is second"
    assert second.by == ("Ann" if elsewhere else "Tom")
