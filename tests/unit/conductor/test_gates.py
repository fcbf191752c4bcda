"""Gates: silence, no terminal and no answer are no; a person sees the evidence and answers in words."""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import pytest

from rollout import gates
from rollout import plan as plans
from rollout.clock import Clock, RehearsalClock, as_left
from rollout.outcomes import BadInputError

PLAN = plans.load(Path(__file__).parents[1] / "plan" / "plan.yml")
GO = PLAN.gates()["go"]
ASK = """
from datetime import timedelta
from rollout import gates
evidence = ["11 patches, 70.5 s on staging"]
asked = gates.Question("pin", "Pin db-stable 10381?", evidence, ["losa"], timedelta(seconds={waits}))
answer = gates.Terminal().ask(asked)
print("ANSWER", answer.yes, answer.source)
"""


@pytest.fixture
def terminal():
    """`terminal(waits=…)`: a person's terminal at which the question stands."""
    children = []

    def ask(waits=60):
        script = ["-c", ASK.format(waits=waits)]
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


def test_silence_is_no(terminal):
    child = terminal(waits=0)
    child.expect_exact("No answer within 0:00:00: no.")
    child.expect_exact("ANSWER False terminal")


def test_nobody_says_no():
    answer = gates.Nobody().ask(gates.question(GO, {}, []))
    assert (answer.yes, answer.source) == (False, "nobody")


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
    answer = gates.answers_file(path, PLAN).ask(gates.question(GO, {}, []))
    assert (answer.yes, answer.by, answer.source) == (yes, "Tom", "answers file")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("by: Tom\nanswers:\n  og: yes\n", r"answers\.yml:3: answers\.og: no such gate; the process has go"),
        ("by: Tom\nanswers: {go: perhaps}\n", r"answers\.yml:2: answers\.go: input should be a valid boolean"),
        ("answers: {}\n", r"answers\.yml:1: by: is missing"),
    ],
)
def test_a_bad_answers_file(tmp_path, text, says):
    path = tmp_path / "answers.yml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=says):
        gates.answers_file(path, PLAN)


def test_a_rehearsal_jumps_over_waiting_and_says_so_first():
    told, ticks = [], []
    clock = RehearsalClock(timedelta(days=-1), lambda to, why: told.append((to, clock.offset, why)))
    target = clock.now() + timedelta(hours=5)
    clock.wait_until(target, lambda: ticks.append(1))
    (to, offset_when_told, why) = told[0]
    assert offset_when_told == timedelta(days=-1)
    assert to == clock.offset > timedelta(days=-1, hours=4)
    assert clock.now() >= target
    assert "nothing to do until" in why
    clock.wait_until(target, lambda: ticks.append(1))
    assert len(told) == 1, "it never jumps back"


def test_the_clock_is_found_again_in_the_journal():
    entries = [{"event": "clock_set", "offset_seconds": 60}, {"event": "clock_set", "offset_seconds": 3600.5}]
    assert as_left(entries).offset == timedelta(seconds=3600.5)
    assert as_left([]).offset == timedelta()


def test_the_system_clock_returns_at_once_when_the_time_has_come():
    Clock().wait_until(datetime(2020, 1, 1, tzinfo=UTC), lambda: pytest.fail("there was nothing to wait for"))
