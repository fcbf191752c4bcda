"""Carries out the stages of a plan, one after the other, and undoes the window's stages when it must stop."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.events import (
    BackOutFinished,
    RolloutClosed,
    StageFinished,
)
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import documents
from rollout.engine import announcements, brackets, merge_back_out, stage_gates, stage_selection, undo
from rollout.engine import stop as stopping
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import ServiceClaim
from rollout.engine.stage_run import FAILURE_WAITS, StageRun
from rollout.engine.watchdog import LOSA, Watchdog
from rollout.gates import model as gates
from rollout.outcomes import ExitCode, LeftAsIs, Stop
from rollout.plan import findings
from rollout.plan.process import Stage


@dataclass
class Conductor:
    """One run of one rollout.

    `open_incident` begins a report of a problem after the commit and returns its path; `conclude` does what follows an
    abort (verification, R20, R21) and returns lines for the screen and whether all is as before. `claim` is the
    rollout's on its service. One that `follows` stays until everything is done, and waits for what is not due yet.
    """

    rollout: Rollout
    claim: ServiceClaim
    asker: gates.Asker
    open_incident: Callable[[str], str]
    conclude: Callable[[str], tuple[list[str], bool]]
    follows: bool = False

    def __post_init__(self) -> None:
        """Set up the watchdog and the stage runner."""
        self.interrupt = self.rollout.interrupt
        self.watchdog = Watchdog(self.rollout, self.asker, self.interrupt)
        self.stage_run = StageRun(self.watchdog)
        self.journal, self.screen, self.clock = self.rollout.journal, self.rollout.screen, self.rollout.clock

    def run(self, names: Sequence[str] = ()) -> ExitCode:
        """Carry out what is due, or the named stages; say how it ended and return the exit code."""
        return self._until_it_stops(lambda: self._go_on(names))

    def resume(self, stage: Stage, run_id: str, evidence: Sequence[str]) -> ExitCode:
        """Go on after a runbook that ended in the middle of `stage`, or abort; a person says which."""
        return self._until_it_stops(lambda: self._resume(stage, run_id, evidence), takes_back=True)

    def abort(self, reason: str, crashed: tuple[Stage, str] | None) -> ExitCode:
        """Abort now; `crashed` is the stage that a crashed runbook left unfinished, and the id of its run."""

        def give_up() -> bool:
            self._refuse_what_was_backed_out()
            self._abort(crashed, reason)
            raise Stop("refused", ExitCode.REFUSED, "E-too-late-to-abort  " + self._reason(), "  ./runbook.py run")

        return self._until_it_stops(give_up, takes_back=True)

    def _until_it_stops(self, work: Callable[[], bool], *, takes_back: bool = False) -> ExitCode:
        """Do the work on record, on a service that is ours; however it stops, take back what must be, and close.

        What takes something back goes on when nobody can be asked whose the service is. Raises ClaimRefusedError.
        """
        with self.interrupt.noted():
            opened = self.rollout.opened()
            begun = self.claim.on_record
            if begun:
                self.claim.take(may_be_unknown=takes_back)  # before a word is written: is the journal what it was?
            self.journal.write(opened)
            if takes_back and not begun:
                self.claim.take(may_be_unknown=True)
            self.rollout.pin()
            try:
                finished = work()
            except Stop as stop:
                return self._close(self._stopped(stop))
        if finished:
            return self._close(Stop("done", ExitCode.DONE, "Every stage is done."))
        self.claim.settle("open")
        return ExitCode.DONE

    def _go_on(self, names: Sequence[str] = ()) -> bool:
        """Carry out what is left to do; return True if nothing is left then. Raises Stop."""
        self._refuse_what_was_backed_out()
        at_once = list(names) in [[each.ends_with] for each in self.rollout.still_on]
        if not at_once:
            self._finish_the_back_out()
        to_do = stage_selection.to_do(self.rollout, names)
        while to_do:
            stage, *to_do = to_do
            if not self._carry_out(stage, at_once=at_once):
                return False
            if self.rollout.left:
                self.watchdog.leave_if_asked()
            finished = self.journal.last(StageFinished, stage=stage.stage)
            if finished and finished[1].redo:
                to_do = stage_selection.anew(self.rollout, names, to_do)
        return not self.rollout.left

    def _refuse_what_was_backed_out(self) -> None:
        """Raise Stop if the merge was backed out, but a runbook ended before it closed the rollout."""
        if finished := self.journal.last(BackOutFinished, outcome="ok"):
            raise merge_back_out.backed_out(finished[1])

    def _finish_the_back_out(self) -> None:
        """Finish a merge back-out that has begun and not ended well. Raises Stop."""
        if found := merge_back_out.unfinished(self.rollout):
            stage, on_no = found
            end = merge_back_out.back_out(
                self.rollout, stage, on_no, "E-unfinished  The back-out had not come to its end."
            )
            if self.rollout.records[stage.stage].running:
                self.stage_run.finish(stage, end.stage, {}, end.message)
            raise end

    # -- one stage ------------------------------------------------------------------------------------------------

    def _carry_out(self, stage: Stage, *, at_once: bool = False) -> bool:
        """Carry out a stage: gate, wait, playbook, gate. Return False if it is not due yet."""
        due = stage.due_at(self.rollout.plan.window.start)
        if at_once:
            due = min(due, self.clock.now())
        if not self._worth_waiting(stage, due):
            self.screen.say("\n".join([*self._not_yet(stage, due), *brackets.still_on(self.rollout)]))
            return False
        self.claim.begin()
        stage_gates.begin_late(self.watchdog, stage)
        announcements.in_time(self.watchdog, stage)
        before = [timeline.parse_duration(gate.waits) for gate in stage.gates if gate.ask == "before"]
        record = self.rollout.records.get(stage.stage)
        if before and not (record and record.running):  # a stage that a crash interrupted had its yes
            # A yes must be fresh: it is asked for no earlier than it would have to be answered.
            self.stage_run.wait_until(due - max(before), stage, f"the gate of {stage.stage} is asked")
            evidence = stage_gates.outlook(self.rollout, stage)
            self.screen.evidence(evidence)
            stage_gates.gates_of(self.watchdog, stage, "before", {}, evidence)
        self.stage_run.wait_until(due, stage, f"{stage.stage} begins")
        if stage.announces:  # a playbook's first task looks for itself
            self.claim.still_ours()
        facts = self.stage_run.carry_out(stage)
        try:
            stage_gates.gates_of(self.watchdog, stage, "after", facts, facts.get("evidence", []))
        except Stop as stop:
            self.stage_run.finish(stage, stop.stage, facts, stop.message)
            raise
        self.stage_run.finish(stage, "ok", facts)
        self.rollout.pin()
        self._refuse_what_does_not_fit()
        return True

    def _not_yet(self, stage: Stage, due: datetime) -> list[str]:
        """Return what a person is told who comes before a stage is due: when it is, and what can be done now."""
        away = timeline.duration_words(due - self.clock.now())
        lines = [f"Next: {stage.stage}, due {due:%a %d %b %H:%M} UTC, in {away}.  Then:  ./runbook.py run"]
        first = self.rollout.left[0]
        if first.stage != stage.stage:
            lines.append(f"  Before it comes {first.stage}:  ./runbook.py run")
        if stage.playbook:
            lines.append(f"  Try it now, nothing is changed:  ./runbook.py run --check {stage.stage}")
        return lines

    def _refuse_what_does_not_fit(self) -> None:
        """Raise Stop if, before the window, the measured times do not fit it (R2, R9)."""
        found = findings.findings(self.rollout.plan, self.clock.now(), self.journal.entries)
        if found:
            message = str(documents.refused(self.rollout.plan_file, found))
            raise Stop("refused", ExitCode.BAD_INPUT, message, "  Mend it, then:  ./runbook.py run")

    # -- when ----------------------------------------------------------------------------------

    def _reason(self) -> str:
        return lateness.reason(self.rollout.outlook(), self.rollout.limit)

    def _worth_waiting(self, stage: Stage, due: datetime) -> bool:
        """Return True if a run waits for `due`: inside the window, in a rehearsal, or if it follows the rollout.

        Else the person comes back.
        """
        waits = self.follows or self.clock.jumps or (stage.window and self.rollout.in_window)
        return waits or self.clock.now() >= due

    # -- stopping -------------------------------------------------------------------------------------------------

    def _resume(self, stage: Stage, run_id: str, evidence: Sequence[str]) -> bool:
        """Ask whether to go on, make sure that nothing of the crashed run is at work, and go on. Raises Stop."""
        no = "leave it as it is: the point of no return is behind us" if self.rollout.irreversible else "abort"
        means = [*evidence, *brackets.still_on(self.rollout)]
        means += [f"yes: what still runs there is waited for, then the stage begins again; no: {no}"]
        self.screen.evidence(means)
        asked = gates.Question(gates.RESUME, "Go on?", means, LOSA, FAILURE_WAITS)
        if not self.watchdog.ask(stage, asked).yes:
            if not self.rollout.irreversible:
                self._abort((stage, run_id), "not gone on with after a crash")
            raise LeftAsIs(f"E-left  {stage.stage} must still be finished.", "  Go on:  ./runbook.py resume")
        stopping.end_here(self.rollout)
        while (left := stopping.look_on_hosts(self.rollout, stage, run_id)).survivors:
            self.screen.say(f"… {stage.stage} still works: {left.survivors[0]}")
            try:
                self.watchdog.look(stage)
            except Stop as stop:
                self.stage_run.stop(stage, run_id, stop, None)
        if left.unproven:
            message = f"E-not-known  What of {stage.stage} still runs is not known."
            raise LeftAsIs("\n".join([message, *left.lines()]), "  Then:  ./runbook.py resume")
        self._finish_the_back_out()
        self.screen.say("\n".join(brackets.end_early(self.rollout)))
        return self._go_on()

    def _abort(self, crashed: tuple[Stage, str] | None, reason: str) -> None:
        """Stop what a crashed runbook has left at work, then abort, unless it is too late. Raises Stop."""
        proven = True
        if crashed:
            stage, run_id = crashed
            stopped = stopping.stop_stage(self.rollout, stage, run_id, reason)
            proven = stopped.proven
            if stopped.answer == "too_late":
                self.screen.say(f"! It was too late to stop {stage.stage}: it must finish.")
        try:
            self.watchdog.abort_asked(getpass.getuser(), reason, "terminal")
        except Stop as stop:
            stop.proven = proven
            raise

    def _stopped(self, stop: Stop) -> Stop:
        """Undo the window's stages, unless the point of no return is behind us; return how the run ends.

        A bracket that an earlier stage has begun is ended, if its own playbook finds that it may.
        """
        if isinstance(stop, LeftAsIs):
            return LeftAsIs("\n".join([stop.message, *brackets.still_on(self.rollout)]), stop.then, stop.exit_code)
        if self.rollout.irreversible:
            return self._stopped_after_the_commit(stop)
        undone = undo.Undone()
        if stop.aborts or stop.outcome == "refused":
            undone = undo.undo_window(self.rollout)
        lines = [stop.message, *undone.lines, *brackets.end_early(self.rollout, proven=stop.proven)]
        locked_out = stop.aborts and stop.exit_code is ExitCode.LOCKED_OUT
        code = ExitCode.FAILED if locked_out else stop.exit_code  # unless the undo cannot open access either
        if not stop.aborts:
            return Stop(stop.outcome, ExitCode(max(code, undone.exit_code)), "\n".join(lines), stop.then)
        said, as_before = self.conclude(stop.message)
        code = ExitCode(max(code, undone.exit_code, ExitCode.DONE if as_before else ExitCode.NOT_UNDONE))
        *more, then = said
        return Stop("aborted", code, "\n".join([*lines, *more]), then)

    def _stopped_after_the_commit(self, stop: Stop) -> Stop:
        """Record a failure after the commit as an incident (R24): the new schema is kept. Return how the run ends."""
        ended = brackets.end_early(self.rollout, proven=stop.proven)
        if stop.outcome == "refused":
            return Stop(stop.outcome, stop.exit_code, "\n".join([stop.message, *ended]), stop.then)
        lines = [
            stop.message,
            "  The commit is made: the new schema is kept, nothing is undone.",
            *ended,
            f"  Incident report begun: {self.open_incident(stop.message)}",
        ]
        return Stop("failed", stop.exit_code, "\n".join(lines), stop.then)

    def _close(self, stop: Stop) -> ExitCode:
        self.journal.write(RolloutClosed(stop.outcome, int(stop.exit_code), stop.message))
        self.claim.settle(stop.outcome)
        self.screen.say("\n".join(filter(None, [stop.message, stop.then])))
        return stop.exit_code
