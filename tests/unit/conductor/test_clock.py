"""The clock: durations are monotonic whatever happens to the system's clock; a rehearsal jumps, and says so first."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from rollout.gates import model as gates
from rollout.gates import terminal as terminals
from rollout.journal.clock import Clock, RehearsalClock, as_left
from rollout.outcomes import ExitCode
from rollout.plan import model as plans
from tests.unit.journals import typed

EIGHT = datetime(2026, 12, 9, 8, tzinfo=UTC)


class Machine:
    """A machine's two clocks: the one that people set, and the one that only counts."""

    def __init__(self):
        self.wall, self.seconds = EIGHT, 1000.0

    def runs(self, **length):
        self.wall += timedelta(**length)
        self.seconds += timedelta(**length).total_seconds()


@pytest.mark.parametrize("step", [timedelta(minutes=5), timedelta(minutes=-5), timedelta(hours=1)])
def test_a_step_of_the_systems_clock_is_no_delay(step):
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.seconds)
    machine.runs(minutes=3)
    machine.wall += step
    machine.runs(seconds=10)
    assert clock.now() == EIGHT + timedelta(minutes=3, seconds=10)
    assert clock.ahead_of_system == -step, "playbooks on this machine must be told"


def test_a_rehearsals_offset_comes_on_top():
    machine = Machine()
    clock = Clock(lambda: machine.wall, lambda: machine.seconds)
    clock.offset = timedelta(days=17)
    machine.runs(seconds=1)
    assert clock.now() == EIGHT + timedelta(days=17, seconds=1)
    assert clock.ahead_of_system == timedelta(days=17)


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
    row = {"at": "2026-12-09T08:00:00Z", "event": "clock_set"}
    entries = [{**row, "offset_seconds": 60}, {**row, "offset_seconds": 3600.5}]
    assert as_left(typed(entries)).offset == timedelta(seconds=3600.5)
    assert as_left([]).offset == timedelta()


def test_the_system_clock_returns_at_once_when_the_time_has_come():
    Clock().wait_until(datetime(2020, 1, 1, tzinfo=UTC), lambda: pytest.fail("there was nothing to wait for"))


class Patient(RehearsalClock):
    """Real time, for the conductor; it passes quickly."""

    jumps = False


def test_who_follows_stays_and_waits_for_what_falls_due(site):
    plan = plans.load(site.directory / "plan.yml")
    offset = plan.window.start - timedelta(hours=3) - Clock().now()

    def run(*, follows):
        def work(conductor):
            conductor.follows = follows
            return conductor.run()

        return site.run(clock=Patient(offset, lambda *_: None), work=work)

    assert run(follows=False) is ExitCode.DONE
    assert site.ran == []
    assert run(follows=True) is ExitCode.DONE
    assert site.ran == ["prepare", "close", "change", "open"]


def test_who_follows_without_a_terminal_waits_for_an_answer_from_elsewhere(monkeypatch, capsys):
    monkeypatch.setattr(terminals.sys, "stdin", open(os.devnull))  # noqa: SIM115, PTH123 - closed with the test
    asked = gates.Question("go", "Go?", [], ["losa"], timedelta(minutes=1))
    assert terminals.here().poll(asked).word == "no"
    asker = terminals.here(follows=True)
    asker.begin(asked)
    assert asker.poll(asked) is None
    interrupt = gates.Question(gates.INTERRUPT, "Abort?", [], ["losa"], timedelta(minutes=5), ("abort", "leave"))
    assert asker.poll(interrupt).word == "leave", "systemd stops it, and nobody is there to be asked"
    assert capsys.readouterr().out == "? Go?  [y/N/?] \n  Answer it:  ./runbook.py answer go yes|no\n"
    named = gates.Question("dba", "There?", [], ["dba"], timedelta(days=7), needs={"yes": ["name"]})
    assert gates.answer_command(named.on_record("confirm")) == "./runbook.py answer dba yes|no --name TEXT"
