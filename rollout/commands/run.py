"""`runbook.py run`, `resume`, `abort`: check everything given, take the lock, conduct, write the report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from plugins.module_utils.rollout_core.journal import brackets as holds
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import ROOT, documents, inventory
from rollout.after_abort import conclusion
from rollout.after_abort.aborted import PACK, Aborted
from rollout.after_abort.next_attempt import ANNOUNCEMENT
from rollout.announcing import abort_notices
from rollout.announcing.incident_notices import Teller
from rollout.engine import brackets as releasing
from rollout.engine import crash, earlier_brackets, look_ahead, stage_selection, verification
from rollout.engine.conductor import Conductor
from rollout.engine.playbooks import Playbook, run_playbook
from rollout.engine.rollout import Rollout
from rollout.gates import mailbox, other_terminal
from rollout.gates import model as gates
from rollout.incidents import record as incidents
from rollout.journal import store
from rollout.journal.clock import Clock, RehearsalClock, as_left
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError, CrashedError, ExitCode, LockedError, RunbookError
from rollout.plan import creation, move
from rollout.plan import model as plans
from rollout.plan.model import Plan
from rollout.views.holding import told
from rollout.views.overview import overview
from rollout.views.report import render_report
from rollout.views.screen import Screen


@dataclass(frozen=True)
class Request:
    """What the command line asked for."""

    stages: tuple[str, ...] = ()
    inventory: Path | None = None
    plan_file: Path | None = None
    answers: Path | None = None
    at: str | None = None
    check: bool = False
    extra_vars: Mapping[str, str | int] | None = None


@dataclass(frozen=True)
class Checked:
    """A plan that can be carried out, with the clock and the journal it goes by."""

    directory: Path
    plan: Plan
    journal: Journal
    clock: Clock
    asker: gates.Asker


def check(request: Request, *, goes_on: bool = True) -> Checked:
    """Check everything given, all of it before anything is touched. Raises BadInputError.

    What is not to go on, but to be aborted, need not fit its window, nor be in time for it.
    """
    directory, plan = store.current(request.inventory, request.plan_file)
    asker = _asker(request, plan)
    known = inventory.facts(ROOT / plan.inventory)
    inventory.check_groups(ROOT / plan.inventory, known, plan.playbooks(), plan.playbook)
    journal = Journal(directory / "journal.jsonl")
    clock = _clock(request.at, plan, journal, rehearsals_allowed=known.rehearsals_allowed)
    journal.now = clock.now
    if goes_on:
        _check_plan(plan, directory / "plan.yml", journal, known, clock.now())
    return Checked(directory, plan, journal, clock, asker)


def run(request: Request, console: Console) -> ExitCode:
    """Carry out what is due. Raises RunbookError before anything is touched."""
    if left := _left_on(request):
        return _end_what_was_left_on(request, left, console)
    directory, plan = store.current(request.inventory, request.plan_file)
    brackets = [hold.until for hold in holds.still_on(plan.as_vars()["process"], store.entries(directory))]
    with store.lock(directory):
        given = check(request, goes_on=not (len(request.stages) == 1 and request.stages[0] in brackets))
        if request.check:
            return _try_out(request, given, console)
        conductor = _conductor(request, given, console)
        if early := stage_selection.on_any_day(given.plan, request.stages, given.clock.now()):
            return look_ahead.look_ahead(conductor.rollout, early)
        _refuse_after_a_crash(conductor.rollout)
        if "pqm_fixed_in" in (request.extra_vars or {}):
            stage_selection.check_fix(conductor.rollout, request.stages)
        if elsewhere_on := earlier_brackets.left_on(ROOT / plan.inventory, but=directory):
            _tell(conductor.rollout, elsewhere_on)
        return _conducted(conductor, lambda: conductor.run(request.stages))


def _left_on(request: Request) -> earlier_brackets.Left | None:
    """What a rollout that is over has left on, if the one stage that is asked for ends it."""
    if len(request.stages) != 1 or request.check:
        return None
    return earlier_brackets.to_end(request.stages[0], request.inventory, request.plan_file)


def _end_what_was_left_on(request: Request, left: earlier_brackets.Left, console: Console) -> ExitCode:
    """Carry out the stage that ends it, in the rollout that is over, and stays so."""
    with store.lock(left.directory):
        given = check(replace(request, plan_file=left.directory / "plan.yml"), goes_on=False)
        conductor = _conductor(request, given, console)
        rollout = conductor.rollout
        stage = rollout.stage(request.stages[0])
        rollout.screen.say(f"Rollout {rollout.plan.id} is over, and stays so; this ends what it left on.")
        with rollout.interrupt.noted():
            return _conducted(conductor, lambda: releasing.end_now(rollout, stage))


def resume(request: Request, console: Console) -> ExitCode:
    """After a crash: show what survives or stands open, and go on or abort, as a person says."""
    directory, _ = store.current(request.inventory, request.plan_file)
    with store.lock(directory):
        given = check(request, goes_on=False)
        conductor = _conductor(request, given, console)
        left = crash.left_by(conductor.rollout)
        if left.stage is None:
            return _conducted(conductor, conductor.run)
        stage, run_id = left.stage, left.run_id
        return _conducted(conductor, lambda: conductor.resume(stage, run_id, left.lines()))


def abort(request: Request, reason: str, console: Console) -> ExitCode:
    """Abort: through the runbook at work, or by itself when none is. Raises RunbookError."""
    directory, _ = store.current(request.inventory, request.plan_file)
    try:
        with store.lock(directory):
            given = check(request, goes_on=False)
            conductor = _conductor(request, given, console)
            left = crash.left_by(conductor.rollout)
            crashed = (left.stage, left.run_id) if left.stage else None
            return _conducted(conductor, lambda: conductor.abort(reason, crashed))
    except LockedError:
        return other_terminal.abort(directory, reason, console)


def _conductor(request: Request, given: Checked, console: Console) -> Conductor:
    plan, journal, clock = given.plan, given.journal, given.clock
    rollout = Rollout(
        directory=given.directory,
        plan=plan,
        inventory=ROOT / plan.inventory,
        journal=journal,
        clock=clock,
        screen=Screen(console, lambda: overview(rollout.plan.as_vars(), journal.entries, clock.now())),
        extra_vars=request.extra_vars or {},
    )
    return Conductor(
        rollout=rollout,
        asker=given.asker,
        open_incident=lambda failure: os.path.relpath(
            incidents.found_by_checks(given.directory, given.plan, journal, failure)
        ),
        conclude=lambda why: _conclude(rollout, given.asker, why),
    )


def _conducted(conductor: Conductor, work: Callable[[], ExitCode]) -> ExitCode:
    """Do the work, and write the report however it ends."""
    rollout = conductor.rollout
    for message in mailbox.receive(rollout.directory):  # what was meant for a runbook that is gone
        if message.kind == "incident":
            incidents.heard(rollout.directory, rollout.journal, message)
    rollout.plan = move.as_on_record(rollout.plan, rollout.journal, rollout.directory)
    if rollout.clock.jumps:
        offset = rollout.clock.offset.total_seconds()
        rollout.journal.write("clock_set", offset_seconds=offset, reason="rehearsal")
        now = f"{rollout.clock.now():%a %d %b %H:%M}"
        rollout.screen.say(f"Rehearsal: the clock stands at {now} UTC and jumps over waiting.")
    known = len(rollout.journal.entries)
    try:
        code = work()
        _tell_of_incidents(conductor, rollout.journal.entries[known:])
        return code
    finally:
        rollout.screen.quiet()
        rollout.screen.say(f"Report: {os.path.relpath(write_report(rollout.directory))}")


def _tell_of_incidents(conductor: Conductor, entries: Sequence[Mapping[str, Any]]) -> None:
    """Announce what was found in this run, if somebody says so; whatever becomes of it, the run is over (R24)."""
    rollout, opened = conductor.rollout, [e["number"] for e in entries if e["event"] == "incident_opened"]
    teller = Teller(rollout.plan, rollout.journal, rollout.clock, conductor.asker, rollout.screen.say)
    for number in opened:
        try:
            teller.tell(number)
        except (RunbookError, OSError, KeyboardInterrupt) as error:
            rollout.screen.say(str(error) or "Interrupted.")
            later = f"./runbook.py incident announce {number}"
            rollout.screen.say(f"! Incident {number} is NOT ANNOUNCED (R24).  Then:  {later}")


def _refuse_after_a_crash(rollout: Rollout) -> None:
    """Raise CrashedError when a runbook ended in the middle and what it left is not settled."""
    left = crash.left_by(rollout)
    if left.survivors or (left.stage and (left.stage.window or left.taking_back or rollout.holds)):
        lines = ["E-crashed  A runbook ended in the middle of this rollout.", *(f"  {line}" for line in left.lines())]
        raise CrashedError("\n".join([*lines, "  Go on, or abort:  ./runbook.py resume"]))


def _tell(rollout: Rollout, left: earlier_brackets.Left) -> None:
    """What another rollout left on is not this one's, but whoever goes on should know."""
    for hold in left.holds:
        rollout.screen.say(told(hold, left.plan.id).line)


def _conclude(rollout: Rollout, asker: gates.Asker, why: str) -> tuple[list[str], bool]:
    """What follows an abort: is everything as before, what was the source, when is the next attempt (R20, R21)?"""
    rollout.screen.say("▸ verify that everything is as before")
    verified = verification.verify(rollout.directory, rollout.inventory, "as_before")
    rollout.screen.say(f"  {verified.summary}")
    aborted, say = Aborted(rollout.directory, rollout.plan, rollout.journal, rollout.clock), rollout.screen.say
    told = abort_notices.tell(aborted, asker, say)
    *lines, then = conclusion.conclude(
        rollout.directory, rollout.plan, rollout.journal, rollout.clock, asker, verified, why
    )
    draft, chosen = rollout.directory / ANNOUNCEMENT, lines[1:]  # but for where the abort pack is
    offered = abort_notices.offer(aborted, aborted.earlier_plan, draft, asker, say, chosen)
    lines = [*told, *lines, *offered, then]
    return lines, verified.ok


def offer_new_date(directory: Path, asker: gates.Asker, say: Callable[[str], None]) -> None:
    """Ask whether the next attempt that was just worked out is announced now (R21)."""
    with store.lock(directory):
        journal = Journal(directory / "journal.jsonl")
        clock = as_left(journal.entries)
        journal.now = clock.now
        aborted = Aborted(directory, plans.load(directory / "plan.yml"), journal, clock)
        for line in abort_notices.offer(aborted, aborted.earlier_plan, directory / ANNOUNCEMENT, asker, say):
            say(line)


def write_report(directory: Path) -> Path:
    """Render the report from plan and journal, and the abort pack if there is one; returns the report's path."""
    plan = plans.load(directory / "plan.yml")
    journal = Journal(directory / "journal.jsonl")
    with suppress(OSError, BadInputError):  # a page that cannot be written is no reason to have no report
        incidents.write_pages(directory, plan.as_vars(), journal.entries)
    path = directory / "report.html"
    path.write_text(render_report(plan.as_vars(), journal.entries), encoding="utf-8")
    if (directory / PACK).exists():  # now it is known how it ended
        Aborted(directory, plan, journal, as_left(journal.entries)).write_pack()
    return path


def _asker(request: Request, plan: Plan) -> gates.Asker:
    if request.answers is not None:
        return gates.answers_file(request.answers, plan)
    return gates.Terminal() if sys.stdin.isatty() else gates.Nobody()


def _clock(at: str | None, plan: Plan, journal: Journal, *, rehearsals_allowed: bool) -> Clock:
    """The system clock, or the rehearsal's: from --at, else as an earlier run left it. Raises BadInputError."""
    left = as_left(journal.entries)
    if at is None and not left.offset:
        return left
    if not rehearsals_allowed:
        raise BadInputError(f"E-no-rehearsal  {plan.inventory} does not allow rehearsals: --at is for the lab only.")
    offset = left.offset
    if at is not None:
        offset = _instant(at, plan) - Clock().now()
        last = timeline.parse_instant(journal.entries[-1]["at"]) if journal.entries else None
        if last is not None and Clock().now() + offset < last:
            raise BadInputError(f"E-clock-back  --at {at} is before the journal's last entry ({last:%F %H:%M:%S} UTC).")
    return RehearsalClock(
        offset, lambda to, why: journal.write("clock_set", offset_seconds=to.total_seconds(), reason=why)
    )


def _instant(at: str, plan: Plan) -> datetime:
    """An ISO instant, or a duration from the start of the window such as -48h."""
    try:
        return plan.window.start + timeline.parse_duration(at)
    except ValueError:
        pass
    try:
        return timeline.parse_instant(at)
    except ValueError as error:
        raise BadInputError(
            f"E-bad-instant  --at {at}: expected 2026-12-09T08:00:00Z, or -48h from the window."
        ) from error


def _check_plan(plan: Plan, path: Path, journal: Journal, known: inventory.InventoryFacts, now: datetime) -> None:
    """Refuse a plan that cannot be carried out, or whose window could only be begun to be aborted (R19)."""
    found = creation.cowboy_findings(plan.cowboys, ("rollout", "cowboys"), known)
    found += plans.findings(plan, now, journal.entries)
    if found:
        raise documents.refused(path, found)
    layout, records_ = timeline.planned(plan.as_vars(), journal.entries), timeline.actual(journal.entries)
    view = lateness.outlook(layout, records_, plan.window.end, now)
    limit = timedelta(minutes=plan.policy.abort_after_minutes)
    if lateness.too_late_to_begin(view, limit):
        raise BadInputError(
            f"E-too-late-to-begin  {lateness.reason(view, limit)}.\n  Nothing was touched. "
            "Work out the next attempt:  ./runbook.py abort --reason …"
        )


def _try_out(request: Request, given: Checked, console: Console) -> ExitCode:
    """--check: the named stages, or the next one, with Ansible's check mode. Nothing changes, nothing is journaled."""
    plan, done = given.plan, timeline.actual(given.journal.entries)
    left = [stage for stage in plan.process if not (stage.stage in done and done[stage.stage].done)]
    for stage in [s for s in plan.process if s.stage in request.stages] or left[:1]:
        console.print(f"▸ {stage.stage} · check mode: nothing is changed")
        if stage.announces:
            console.print(f"  What goes out:  ./runbook.py announce --preview {stage.announces.message}")
            continue
        tried = run_playbook(
            Playbook(
                stage.playbook,
                inventory=ROOT / plan.inventory,
                plan_file=given.directory / "plan.yml",
                extra_vars={"rollout_journal": str(given.journal.path), "go": plan.id, **(request.extra_vars or {})},
                artifacts=given.directory / "ansible" / f"check-{stage.stage}",
                check=True,
            )
        )
        console.print(Text(tried.output.read_text(encoding="utf-8")), soft_wrap=True)
        if not tried.ok:
            console.print(Text(tried.message), soft_wrap=True)
            return ExitCode.FAILED
    return ExitCode.DONE
