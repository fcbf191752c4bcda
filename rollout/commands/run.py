"""`./runbook.py run`, `resume`, `abort`: check the arguments, take the lock, conduct, write the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from plugins.module_utils.rollout_core.journal import brackets as core
from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import ClockSet, IncidentOpened
from rollout import ROOT
from rollout.after_abort import conclusion
from rollout.after_abort.aborted import Aborted
from rollout.after_abort.next_attempt import ANNOUNCEMENT
from rollout.announcing import abort_notices
from rollout.announcing.incident_notices import IncidentTeller
from rollout.commands.given import RunRequest, check
from rollout.commands.report import write_report
from rollout.engine import brackets, crash, earlier_brackets, look_ahead, stage_selection, try_out, verification
from rollout.engine.conductor import Conductor
from rollout.engine.earlier_brackets import LeftOn
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import ServiceClaim
from rollout.gates import mailbox, other_terminal
from rollout.gates import model as gates
from rollout.incidents import record as incidents
from rollout.journal import service_lock
from rollout.journal import store as journals
from rollout.outcomes import CrashedError, ExitCode, LockedError, NoPlanError, RunbookError, ServiceLockedError
from rollout.plan import move, store
from rollout.plan.store import KeptRollout
from rollout.system_errors import system_error
from rollout.views.brackets import still_on
from rollout.views.overview import overview
from rollout.views.screen import Screen


def run(request: RunRequest, console: Console) -> ExitCode:
    """Carry out what is due; return the exit code. Raises RunbookError before anything is touched."""
    if left := _left_on(request):
        return _end_what_was_left_on(request, left, console)
    if aborted := _aborted_to_look_at(request):
        return _look_again(request, aborted, console)
    directory, plan = store.current(request.inventory, request.plan_file)
    ends = [each.ends_with for each in core.still_on(plan.as_vars()["process"], journals.entries(directory))]
    with journals.lock(directory):
        kept, asker = check(request, goes_on=not (len(request.stages) == 1 and request.stages[0] in ends))
        if request.check:
            return try_out.try_out(at_work(kept, console, request.extra_vars), request.stages)
        conductor = _conductor(request, kept, asker, console)
        if early := stage_selection.on_any_day(kept.plan, request.stages, kept.clock.now()):
            return look_ahead.look_ahead(conductor.rollout, early)
        _refuse_after_a_crash(conductor.rollout)
        if "pqm_fixed_in" in (request.extra_vars or {}):
            stage_selection.check_fix(conductor.rollout, request.stages)
        if elsewhere := earlier_brackets.left_on(ROOT / plan.inventory, but=directory):
            for each in elsewhere.still_on:  # not this rollout's, but whoever goes on should know
                conductor.rollout.screen.say(still_on(each, elsewhere.rollout).line)
        return _conducted(conductor, lambda: conductor.run(request.stages))


def _left_on(request: RunRequest) -> LeftOn | None:
    """Return what a closed rollout has left switched on, if the one stage that was named ends it; else None."""
    if len(request.stages) != 1 or request.check:
        return None
    return earlier_brackets.to_end(request.stages[0], request.inventory, request.plan_file)


def _end_what_was_left_on(request: RunRequest, left: LeftOn, console: Console) -> ExitCode:
    """Carry out the stage that ends what is left on, in the closed rollout, which stays closed."""
    with journals.lock(left.directory):
        kept, asker = check(replace(request, plan_file=left.directory / "plan.yml"), goes_on=False)
        conductor = _conductor(request, kept, asker, console)
        rollout = conductor.rollout
        stage = rollout.stage(request.stages[0])
        rollout.screen.say(f"Rollout {rollout.plan.id} is over, and stays so; this ends what it left on.")
        with rollout.interrupt.noted():
            return _conducted(conductor, lambda: brackets.end_now(rollout, stage))


def _aborted_to_look_at(request: RunRequest) -> Path | None:
    """Return the aborted rollout that the named stages look at once more; None if they are another one's.

    It is the given plan's; without one, the latest of the inventory, as long as no plan is open.
    """
    if not request.stages or request.check:
        return None
    try:
        directory, plan = store.current(request.inventory, request.plan_file)
    except NoPlanError:
        directory, plan = store.latest_of(request.inventory)
    if journals.outcome(directory) != "aborted" or not stage_selection.only_looking(plan, request.stages):
        return None
    return directory


def _look_again(request: RunRequest, aborted: Path, console: Console) -> ExitCode:
    """Carry out the stages that only look, against what the aborted rollout has pinned; it stays as it is."""
    with journals.lock(aborted):
        kept, asker = check(replace(request, plan_file=aborted / "plan.yml"), goes_on=False)
        rollout = _conductor(request, kept, asker, console).rollout
        return look_ahead.look_again(rollout, stage_selection.only_looking(kept.plan, request.stages))


def resume(request: RunRequest, console: Console) -> ExitCode:
    """After a crash: show what survives or is unfinished, and go on or abort, as a person says."""
    directory, _ = store.current(request.inventory, request.plan_file)
    with journals.lock(directory):
        conductor = _conductor(request, *check(request, goes_on=False), console)
        left = crash.left_by(conductor.rollout)
        if left.stage is None:
            return _conducted(conductor, conductor.run)
        stage, run_id = left.stage, left.run_id
        return _conducted(conductor, lambda: conductor.resume(stage, run_id, left.lines()))


def abort(request: RunRequest, reason: str, console: Console) -> ExitCode:
    """Abort through the runbook at work, or here if none is at work. Raises RunbookError."""
    directory, _ = store.current(request.inventory, request.plan_file)
    try:
        with journals.lock(directory):
            conductor = _conductor(request, *check(request, goes_on=False), console)
            left = crash.left_by(conductor.rollout)
            crashed = (left.stage, left.run_id) if left.stage else None
            return _conducted(conductor, lambda: conductor.abort(reason, crashed))
    except ServiceLockedError:
        raise
    except LockedError:
        return other_terminal.abort(directory, reason, console)


def at_work(kept: KeptRollout, console: Console, extra_vars: Mapping[str, str | int] | None = None) -> Rollout:
    """Return the rollout as it works, seen on the console."""
    plan, journal, clock = kept.plan, kept.journal, kept.clock
    rollout = Rollout(
        directory=kept.directory,
        plan=plan,
        inventory=ROOT / plan.inventory,
        journal=journal,
        clock=clock,
        screen=Screen(console, lambda: overview(rollout.plan.as_vars(), journal.entries, clock.now())),
        extra_vars=extra_vars or {},
    )
    return rollout


def _conductor(request: RunRequest, kept: KeptRollout, asker: gates.Asker, console: Console) -> Conductor:
    rollout = at_work(kept, console, request.extra_vars)
    return Conductor(
        rollout=rollout,
        claim=ServiceClaim(rollout),
        asker=asker,
        open_incident=lambda failure: os.path.relpath(
            incidents.found_by_checks(kept.directory, kept.plan, kept.journal, failure)
        ),
        conclude=lambda why: _conclude(rollout, asker, why),
        follows=request.follow,
    )


def _conducted(conductor: Conductor, work: Callable[[], ExitCode]) -> ExitCode:
    """Do the work while no other rollout of the service is at work here. Raises LockedError."""
    with service_lock.held(conductor.rollout.plan.service_name, conductor.rollout.directory):
        return _reported(conductor, work)


def _reported(conductor: Conductor, work: Callable[[], ExitCode]) -> ExitCode:
    """Do the work, and write the report however it ends."""
    rollout = conductor.rollout
    for message in mailbox.receive(rollout.directory):  # what was meant for a runbook that is gone
        if message.kind == "incident":
            incidents.heard(rollout.directory, rollout.journal, message)
    rollout.plan = move.as_on_record(rollout.plan, rollout.journal, rollout.directory)
    if rollout.clock.jumps:
        rollout.journal.write(ClockSet(rollout.clock.offset.total_seconds(), "rehearsal"))
        now = f"{rollout.clock.now():%a %d %b %H:%M}"
        rollout.screen.say(f"Rehearsal: the clock stands at {now} UTC and jumps over waiting.")
    known = len(rollout.journal.entries)
    try:
        code = work()
        _tell_of_incidents(conductor, rollout.journal.entries[known:])
        return code
    finally:
        rollout.screen.quiet()
        rollout.screen.say(_report(rollout.directory))


def _report(directory: Path) -> str:
    """Write the report and return where it is; that it cannot be written changes nothing about how the run ended."""
    try:
        return f"Report: {os.path.relpath(write_report(directory))}"
    except (OSError, RunbookError) as error:
        said = str(error) if isinstance(error, RunbookError) else system_error(error)
        return f"! There is no report of this run.  {said}\n  Then:  ./runbook.py report"


def _tell_of_incidents(conductor: Conductor, entries: Sequence[Entry]) -> None:
    """Offer to announce the incidents found in this run; its outcome stands whatever comes of that (R24)."""
    screen = conductor.rollout.screen
    teller = IncidentTeller(_kept(conductor.rollout), conductor.asker, screen.say)
    for _, opened in of(entries, IncidentOpened):
        try:
            teller.tell(opened.number)
        except (RunbookError, OSError, KeyboardInterrupt) as error:
            screen.say(str(error) or "Interrupted.")
            later = f"./runbook.py incident announce {opened.number}"
            screen.say(f"! Incident {opened.number} is NOT ANNOUNCED (R24).  Then:  {later}")


def _kept(rollout: Rollout) -> KeptRollout:
    return KeptRollout(rollout.directory, rollout.plan, rollout.journal, rollout.clock)


def _refuse_after_a_crash(rollout: Rollout) -> None:
    """Raise CrashedError if a runbook ended in the middle and what it left is not settled."""
    left = crash.left_by(rollout)
    if left.survivors or (left.stage and (left.stage.window or left.taking_back or rollout.still_on)):
        lines = ["E-crashed  A runbook ended in the middle of this rollout.", *(f"  {line}" for line in left.lines())]
        raise CrashedError("\n".join([*lines, "  Go on, or abort:  ./runbook.py resume"]))


def _conclude(rollout: Rollout, asker: gates.Asker, why: str) -> tuple[list[str], bool]:
    """Do what follows an abort: verify the hosts, ask for the source, work out the next attempt (R20, R21)."""
    say = rollout.screen.say
    say("▸ verify that everything is as before")
    found = verification.verify(rollout.directory, rollout.inventory, "as_before")
    say(f"  {found.summary}")
    aborted = Aborted.of(_kept(rollout))
    told = abort_notices.tell(aborted, asker, say)
    on_record = found.on_record("as_before")
    *lines, then = conclusion.conclude(aborted, asker, on_record, why, abort_notices.write_draft)
    draft, chosen = rollout.directory / ANNOUNCEMENT, lines[1:]  # the first line says where the abort pack is
    offered = abort_notices.offer(aborted, aborted.earlier_plan, draft, asker, say, chosen)
    return [*told, *lines, *offered, then], found.ok


def offer_new_date(directory: Path, asker: gates.Asker, say: Callable[[str], None]) -> None:
    """Ask whether the next attempt that was just worked out is announced now (R21)."""
    with store.locked(directory) as kept:
        earlier_plan, draft = Aborted.of(kept).earlier_plan, directory / ANNOUNCEMENT
        for line in abort_notices.offer(kept, earlier_plan, draft, asker, say):
            say(line)
