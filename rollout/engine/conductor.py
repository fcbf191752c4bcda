"""Carries out the stages of a plan, one after the other, and takes the window's stages back when it must stop."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout import documents
from rollout.engine import announcements, merge_back_out, stage_gates, stage_selection, undo
from rollout.engine import brackets as releasing
from rollout.engine import stop as stopping
from rollout.engine.playbooks import PlaybookRun, Work
from rollout.engine.rollout import Rollout
from rollout.engine.watchdog import LOSA, WITHDRAWN, Watchdog
from rollout.gates import model as gates
from rollout.outcomes import Abort, BadInputError, ExitCode, Left, Stop
from rollout.plan import model as plans
from rollout.plan.model import Stage

FAILURE_WAITS = timedelta(minutes=15)


@dataclass
class Conductor:
    """One run of one rollout.

    `open_incident` begins a report of a problem after the commit and returns its path; `conclude` does what follows an
    abort (verification, R20, R21) and returns lines for the screen and whether all is as before.
    """

    rollout: Rollout
    asker: gates.Asker
    open_incident: Callable[[str], str]
    conclude: Callable[[str], tuple[list[str], bool]]

    def __post_init__(self) -> None:
        """Set the watchdog on it."""
        self.interrupt = self.rollout.interrupt
        self.watchdog = Watchdog(self.rollout, self.asker, self.interrupt)
        self.journal, self.screen, self.clock = self.rollout.journal, self.rollout.screen, self.rollout.clock

    def run(self, names: Sequence[str] = ()) -> ExitCode:
        """Carry out what is due, or the named stages; returns the exit code and has said why."""
        return self._until_it_stops(lambda: self._go_on(names))

    def resume(self, stage: Stage, run_id: str, evidence: Sequence[str]) -> ExitCode:
        """Go on after a runbook that ended in the middle of `stage`, or abort; a person says which."""
        return self._until_it_stops(lambda: self._resume(stage, run_id, evidence))

    def abort(self, reason: str, crashed: tuple[Stage, str] | None) -> ExitCode:
        """Abort now; `crashed` is the stage, and its run, that a runbook which is gone left unfinished."""

        def give_up() -> bool:
            self._refuse_what_was_backed_out()
            self._abort(crashed, reason)
            raise Stop("refused", ExitCode.REFUSED, "E-too-late-to-abort  " + self._reason(), "  ./runbook.py run")

        return self._until_it_stops(give_up)

    def _until_it_stops(self, work: Callable[[], bool]) -> ExitCode:
        """Do the work on record; however it stops, take back what must be, and close."""
        sha256 = hashlib.sha256(self.rollout.plan_file.read_bytes()).hexdigest()
        window = self.rollout.plan.window.start.isoformat()
        self.journal.write("rollout_opened", plan=sha256, by=getpass.getuser(), window=window)
        self.rollout.pin()
        with self.interrupt.noted():
            try:
                finished = work()
            except Stop as stop:
                return self._close(self._stopped(stop))
        return self._close(Stop("done", ExitCode.DONE, "Every stage is done.")) if finished else ExitCode.DONE

    def _go_on(self, names: Sequence[str] = ()) -> bool:
        """Carry out what is to do; whether nothing is left. Raises Stop."""
        self._refuse_what_was_backed_out()
        at_once = list(names) in [[hold.until] for hold in self.rollout.holds]
        if not at_once:
            self._finish_the_back_out()
        to_do = stage_selection.to_do(self.rollout, names)
        while to_do:
            stage, *to_do = to_do
            if not self._carry_out(stage, at_once=at_once):
                return False
            if self.rollout.left:
                self.watchdog.leave_if_asked()
            if (self.journal.last("stage_finished", stage=stage.stage) or {}).get("redo"):
                to_do = stage_selection.anew(self.rollout, names, to_do)
        return not self.rollout.left

    def _refuse_what_was_backed_out(self) -> None:
        """A runbook may have ended between the back-out and the rollout's end. Raises Stop."""
        if finished := self.journal.last("back_out_finished", outcome="ok"):
            raise merge_back_out.backed_out(finished)

    def _finish_the_back_out(self) -> None:
        """Go on with a back-out that has begun and not come to a good end. Raises Stop."""
        if found := merge_back_out.unfinished(self.rollout):
            stage, on_no = found
            end = merge_back_out.back_out(
                self.rollout, stage, on_no, "E-unfinished  The back-out had not come to its end."
            )
            if self.rollout.records[stage.stage].running:
                self._finish(stage, end.stage, {}, end.message)
            raise end

    # -- one stage ------------------------------------------------------------------------------------------------

    def _carry_out(self, stage: Stage, *, at_once: bool = False) -> bool:
        """Gate, wait, playbook, gate. False when the stage is not due yet and nothing holds us here. Raises Stop."""
        due = timeline.parse_duration(stage.due) + self.rollout.plan.window.start
        if at_once:
            due = min(due, self.clock.now())
        if not self._worth_waiting(stage, due):
            said = f"Next: {stage.stage}, due {due:%a %d %b %H:%M} UTC.  ./runbook.py run"
            self.screen.say("\n".join([said, *releasing.still_on(self.rollout)]))
            return False
        stage_gates.begin_late(self.watchdog, stage)
        announcements.in_time(self.watchdog, stage)
        before = [timeline.parse_duration(gate.waits) for gate in stage.gates if gate.ask == "before"]
        record = self.rollout.records.get(stage.stage)
        if before and not (record and record.running):  # what a crash interrupted has had its yes
            # A yes must be fresh: it is asked for no earlier than it would have to be answered.
            self._wait_until(due - max(before), stage, f"the gate of {stage.stage} is asked")
            evidence = stage_gates.outlook(self.rollout, stage)
            self.screen.evidence(evidence)
            stage_gates.gates_of(self.watchdog, stage, "before", {}, evidence)
        self._wait_until(due, stage, f"{stage.stage} begins")
        facts = self._run_stage(stage)
        try:
            stage_gates.gates_of(self.watchdog, stage, "after", facts, facts.get("evidence", []))
        except Stop as stop:
            self._finish(stage, stop.stage, facts, stop.message)
            raise
        self._finish(stage, "ok", facts)
        self.rollout.pin()
        self._refuse_what_does_not_fit()
        return True

    def _refuse_what_does_not_fit(self) -> None:
        """Before the window: what was measured may be too much for it (R2, R9). Raises Stop."""
        found = plans.findings(self.rollout.plan, self.clock.now(), self.journal.entries)
        if found:
            message = str(documents.refused(self.rollout.plan_file, found))
            raise Stop("refused", ExitCode.BAD_INPUT, message, "  Mend it, then:  ./runbook.py run")

    def _run_stage(self, stage: Stage) -> dict[str, Any]:
        """Run the stage's playbook until it is done, or a person has done it, and return its facts. Raises Stop."""
        while True:
            self.watchdog.look(stage)
            if stage.announces is not None:
                return self._announce(stage)
            run = self._attempt(stage)
            facts = {**run.stats, **(run.failed_with("facts") or {})}
            if run.failed_with("irreversible"):
                facts["irreversible"] = True
            self.screen.evidence(facts.get("evidence", []))
            if run.ok:
                return facts
            stop = self._failed(stage, run, facts)
            self._finish(stage, stop.stage, facts, stop.message)
            if not stage.window or stop.exit_code in (ExitCode.BAD_INPUT, ExitCode.ABORTED, ExitCode.LOCKED_OUT):
                raise stop
            answer = self._retry_or_go_on(stage, stop)
            if answer.word == "go-on":
                self._began(stage)
                return {"evidence": [f"done by hand, says {answer.by}"], "by_hand": True}

    def _announce(self, stage: Stage) -> dict[str, Any]:
        """Send what the stage announces; returns its facts. Raises Stop when it is not out everywhere."""
        self._began(stage)
        self.screen.stage_begins(stage)
        try:
            facts = announcements.carry_out(self.watchdog, stage, self._wait_until)
        except BadInputError as error:
            left = Left(str(error), "  Mend it, then:  ./runbook.py run", ExitCode.BAD_INPUT)
            self._finish(stage, left.stage, {}, left.message)
            raise left from error
        except Stop as stop:
            self._finish(stage, stop.stage, {}, stop.message)
            raise
        self.screen.evidence(facts["evidence"])
        return facts

    def _attempt(self, stage: Stage) -> PlaybookRun:
        """Run the stage's playbook once, judged all the time. Raises Stop once it is stopped."""
        run_id = self._began(stage)
        self.screen.stage_begins(stage)
        work = self.rollout.begin(stage.playbook, run_id)
        self.watchdog.heard = lambda: self._take_progress(stage, work)
        try:
            while not work.ended(0.2):
                try:
                    self.watchdog.look(stage)
                except Stop as stop:
                    self._stop(stage, run_id, stop, work)
        finally:
            self.watchdog.heard()
            self.watchdog.heard = lambda: None
        return work.outcome()

    def _began(self, stage: Stage) -> str:
        """Put the beginning of the stage on record; returns the id of the run."""
        record = self.rollout.records.get(stage.stage)
        attempt = record.attempt + 1 if record else 1
        run_id = self.rollout.run_id(f"{stage.stage}-{attempt}")
        ends = {"until": stage.holds.until} if stage.holds else {}
        self.journal.write("stage_started", stage=stage.stage, attempt=attempt, run=run_id, **ends)
        return run_id

    def _take_progress(self, stage: Stage, work: Work) -> None:
        """Put the steps on record that a host has begun."""
        while not work.progress.empty():
            progress = work.progress.get()
            last = self.journal.last("step_started", stage=stage.stage)
            started = self.journal.last("stage_started", stage=stage.stage)
            known = last and started and last["seq"] > started["seq"] and last["step"] == progress["step"]
            if not known and progress["step"]:
                since = self.clock.now() - timedelta(seconds=progress["running_seconds"])
                self.journal.write("step_started", stage=stage.stage, step=progress["step"], since=since.isoformat())

    def _stop(self, stage: Stage, run_id: str, stop: Stop, work: Work | None) -> None:
        """Stop what runs of the stage, then raise `stop`; returns when it is too late to stop."""
        self.screen.quiet()
        self.screen.say(stop.message)
        stopped = stopping.stop_stage(self.rollout, stage, run_id, stop.message.splitlines()[0], work)
        if stopped.answer == "too_late":
            self.screen.say(f"! It was too late to stop {stage.stage}: it must finish.")
            return
        facts = {"evidence": stopped.evidence}
        self._finish(stage, stop.stage, facts, stop.message)
        if not stopped.proven:
            stop.proven, stop.exit_code = False, ExitCode.NOT_UNDONE
            stop.message = "\n".join([stop.message, *stopped.lines()])
        raise stop

    def _failed(self, stage: Stage, run: PlaybookRun, facts: Mapping[str, Any]) -> Stop:
        """How the run ends because of a failed stage, if nobody mends it."""
        message = run.message
        if field := run.failed_with("bad_input"):
            where = ("rollout", *field.split("."))
            return Stop(
                "failed", ExitCode.BAD_INPUT, str(documents.refused(self.rollout.plan_file, [(where, message)]))
            )
        mend = "  Mend it, then:  ./runbook.py run"
        if run.failed_with("locked_out"):
            return Stop("failed", ExitCode.LOCKED_OUT, message, mend, aborts=not facts.get("irreversible"))
        if run.failed_with("verdict") == "abort":
            return Abort(message)
        return Stop("failed", ExitCode.FAILED, message, mend, aborts=stage.window)

    def _retry_or_go_on(self, stage: Stage, stop: Stop) -> gates.Answer:
        """Ask what to do about a failed stage of the window; raises `stop` when nobody mends it."""
        gives_up = "stop" if self.rollout.irreversible else "abort"
        means = [
            *stop.message.splitlines(),
            "retry: the stage again · go-on: you have done by hand what it should have done",
            "stop: the rest waits for  ./runbook.py run"
            if gives_up == "stop"
            else "abort: the window's stages are undone",
        ]
        self.screen.evidence(means)
        options = ("retry", "go-on", gives_up)
        asked = gates.Question(gates.FAILURE, f"{stage.stage} failed. What now?", means, LOSA, FAILURE_WAITS, options)
        answer = self.watchdog.ask(stage, asked, moot=lambda: self.interrupt.leave)
        if answer.word in (gives_up, WITHDRAWN):
            raise stop
        return answer

    def _finish(self, stage: Stage, outcome: str, facts: dict[str, Any], message: str | None = None) -> None:
        redo = self.rollout.to_redo(stage, facts) if outcome == "ok" else []
        more = {"redo": redo} if redo else {}
        self.journal.write("stage_finished", stage=stage.stage, outcome=outcome, facts=facts, message=message, **more)
        self.screen.stage_ends(stage, outcome)
        if redo:
            self.screen.say(f"! {stage.stage} settled something else than before. To be done again: {', '.join(redo)}")

    # -- when ----------------------------------------------------------------------------------

    def _reason(self) -> str:
        return lateness.reason(self.rollout.outlook(), self.rollout.limit)

    def _worth_waiting(self, stage: Stage, due: datetime) -> bool:
        """A run waits inside the window; before it, the person comes back. A rehearsal jumps instead of waiting."""
        return self.clock.now() >= due or self.clock.jumps or (stage.window and self.rollout.in_window)

    def _wait_until(self, instant: datetime, stage: Stage, what: str) -> None:
        def tick() -> None:
            self.screen.waiting(what, instant)
            self.watchdog.look(stage)
            self.watchdog.leave_if_asked()

        self.clock.wait_until(instant, tick)

    # -- stopping -------------------------------------------------------------------------------------------------

    def _resume(self, stage: Stage, run_id: str, evidence: Sequence[str]) -> bool:
        """Ask whether to go on, see to it that nothing of the crashed run is at work, and go on. Raises Stop."""
        no = "leave it as it is: the point of no return is behind us" if self.rollout.irreversible else "abort"
        means = [*evidence, *releasing.still_on(self.rollout)]
        means += [f"yes: what still runs there is waited for, then the stage begins again; no: {no}"]
        self.screen.evidence(means)
        asked = gates.Question(gates.RESUME, "Go on?", means, LOSA, FAILURE_WAITS)
        if not self.watchdog.ask(stage, asked).yes:
            if not self.rollout.irreversible:
                self._abort((stage, run_id), "not gone on with after a crash")
            raise Left(f"E-left  {stage.stage} must still be finished.", "  Go on:  ./runbook.py resume")
        stopping.end_here(self.rollout)
        while (left := stopping.look_on_hosts(self.rollout, stage, run_id)).survivors:
            self.screen.say(f"… {stage.stage} still works: {left.survivors[0]}")
            try:
                self.watchdog.look(stage)
            except Stop as stop:
                self._stop(stage, run_id, stop, None)
        if left.unproven:
            message = f"E-not-known  What of {stage.stage} still runs is not known."
            raise Left("\n".join([message, *left.lines()]), "  Then:  ./runbook.py resume")
        self._finish_the_back_out()
        self.screen.say("\n".join(releasing.release_all(self.rollout)))
        return self._go_on()

    def _abort(self, crashed: tuple[Stage, str] | None, reason: str) -> None:
        """Stop what a runbook that is gone has left, then abort, unless it is too late. Raises Stop."""
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
        """What becomes of it: what the window did is taken back, unless the point of no return is behind us.

        What an earlier stage has left on is ended, if its release playbook finds that it may.
        """
        if isinstance(stop, Left):
            return Left("\n".join([stop.message, *releasing.still_on(self.rollout)]), stop.then, stop.exit_code)
        if self.rollout.irreversible:
            return self._stopped_after_the_commit(stop)
        undone = undo.Undone()
        if stop.aborts or stop.outcome == "refused":
            undone = undo.undo_window(self.rollout, self._while_undoing)
        lines = [stop.message, *undone.lines, *releasing.release_all(self.rollout, proven=stop.proven)]
        locked_out = stop.aborts and stop.exit_code is ExitCode.LOCKED_OUT
        code = ExitCode.FAILED if locked_out else stop.exit_code  # unless the undo cannot open access either
        if not stop.aborts:
            return Stop(stop.outcome, ExitCode(max(code, undone.exit_code)), "\n".join(lines), stop.then)
        said, as_before = self.conclude(stop.message)
        code = ExitCode(max(code, undone.exit_code, ExitCode.DONE if as_before else ExitCode.NOT_UNDONE))
        *more, then = said
        return Stop("aborted", code, "\n".join([*lines, *more]), then)

    def _stopped_after_the_commit(self, stop: Stop) -> Stop:
        """The new schema is kept; a failure is an incident (R24)."""
        held = releasing.release_all(self.rollout, proven=stop.proven)
        if stop.outcome == "refused":
            return Stop(stop.outcome, stop.exit_code, "\n".join([stop.message, *held]), stop.then)
        lines = [
            stop.message,
            "  The commit is made: the new schema is kept, nothing is undone.",
            *held,
            f"  Incident report begun: {self.open_incident(stop.message)}",
        ]
        return Stop("failed", stop.exit_code, "\n".join(lines), stop.then)

    def _while_undoing(self) -> None:
        self.rollout.uninterrupted("what was begun to be undone is undone to its end.")

    def _close(self, stop: Stop) -> ExitCode:
        self.journal.write("rollout_closed", outcome=stop.outcome, exit_code=int(stop.exit_code), message=stop.message)
        self.screen.say("\n".join(filter(None, [stop.message, stop.then])))
        return stop.exit_code
