"""One stage at work: its attempts, what hosts report, its stop, and what a person decides when it has failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.journal.events import StageFinished, StageStarted, StepStarted
from rollout import documents
from rollout.engine import announcements
from rollout.engine import stop as stopping
from rollout.engine.playbooks import PlaybookAtWork, PlaybookRun
from rollout.engine.watchdog import LOSA, WITHDRAWN, Watchdog
from rollout.gates import model as gates
from rollout.outcomes import Abort, BadInputError, ExitCode, LeftAsIs, Stop
from rollout.plan.process import Stage

FAILURE_WAITS = timedelta(minutes=15)
NOT_MENDED_HERE = (ExitCode.BAD_INPUT, ExitCode.ABORTED, ExitCode.LOCKED_OUT)


@dataclass
class StageRun:
    """Runs the stages of one run of the runbook, one after the other."""

    watchdog: Watchdog

    def __post_init__(self) -> None:
        """Keep at hand what is used often."""
        self.rollout = self.watchdog.rollout
        self.journal, self.screen, self.clock = self.rollout.journal, self.rollout.screen, self.rollout.clock

    def carry_out(self, stage: Stage) -> dict[str, Any]:
        """Run the stage until it is done, by its playbook or by a person; return its facts. Raises Stop."""
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
            self.finish(stage, stop.stage, facts, stop.message)
            if not stage.window or isinstance(stop, LeftAsIs) or stop.exit_code in NOT_MENDED_HERE:
                raise stop
            answer = self._retry_or_go_on(stage, stop)
            if answer.word == "go-on":
                self._began(stage)
                return {"evidence": [f"done by hand, says {answer.by}"], "by_hand": True}

    def _announce(self, stage: Stage) -> dict[str, Any]:
        """Send what the stage announces; return its facts. Raises Stop if it is not out everywhere."""
        self._began(stage)
        self.screen.stage_begins(stage)
        try:
            facts = announcements.carry_out(self.watchdog, stage, self.wait_until)
        except BadInputError as error:
            left = LeftAsIs(str(error), "  Mend it, then:  ./runbook.py run", ExitCode.BAD_INPUT)
            self.finish(stage, left.stage, {}, left.message)
            raise left from error
        except Stop as stop:
            self.finish(stage, stop.stage, {}, stop.message)
            raise
        self.screen.evidence(facts["evidence"])
        return facts

    def _attempt(self, stage: Stage) -> PlaybookRun:
        """Run the stage's playbook once, while lateness is judged. Raises Stop if it was stopped."""
        run_id = self._began(stage)
        self.screen.stage_begins(stage)
        work = self.rollout.begin(stage.playbook, run_id, reports=stage.reports)

        def look() -> None:
            try:
                self.watchdog.look(stage)
            except Stop as stop:
                self.stop(stage, run_id, stop, work)

        self.watchdog.heard = lambda: self._take_progress(stage, work)
        try:
            return work.wait(look)
        finally:
            self.watchdog.heard()
            self.watchdog.heard = lambda: None

    def _began(self, stage: Stage) -> str:
        """Put the beginning of the stage on record; return the id of the run."""
        record = self.rollout.records.get(stage.stage)
        attempt = record.attempt + 1 if record else 1
        run_id = self.rollout.run_id(f"{stage.stage}-{attempt}")
        ends_with = stage.bracket.ends_with if stage.bracket else None
        self.journal.write(StageStarted(stage.stage, attempt, run_id, until=ends_with))
        return run_id

    def _take_progress(self, stage: Stage, work: PlaybookAtWork) -> None:
        """Put on record which steps a host has begun."""
        while not work.progress.empty():
            progress = work.progress.get()
            last = self.journal.last(StepStarted, stage=stage.stage)
            started = self.journal.last(StageStarted, stage=stage.stage)
            known = last and started and last[0].seq > started[0].seq and last[1].step == progress["step"]
            if not known and progress["step"]:
                since = self.clock.now() - timedelta(seconds=progress["running_seconds"])
                self.journal.write(StepStarted(stage.stage, progress["step"], since))

    def stop(self, stage: Stage, run_id: str, stop: Stop, work: PlaybookAtWork | None) -> None:
        """Stop the run of a stage, then raise `stop`; return instead if it is too late to stop."""
        self.screen.quiet()
        self.screen.say(stop.message)
        stopped = stopping.stop_stage(self.rollout, stage, run_id, stop.message.splitlines()[0], work)
        if stopped.answer == "too_late":
            self.screen.say(f"! It was too late to stop {stage.stage}: it must finish.")
            return
        facts = {"evidence": stopped.evidence}
        self.finish(stage, stop.stage, facts, stop.message)
        if not stopped.proven:
            stop.proven, stop.exit_code = False, ExitCode.NOT_UNDONE
            stop.message = "\n".join([stop.message, *stopped.lines()])
        raise stop

    def _failed(self, stage: Stage, run: PlaybookRun, facts: Mapping[str, Any]) -> Stop:
        """Return how the run ends because of a failed stage, unless somebody mends it."""
        message = run.message
        if field := run.failed_with("bad_input"):
            where = ("rollout", *field.split("."))
            return Stop(
                "failed", ExitCode.BAD_INPUT, str(documents.refused(self.rollout.plan_file, [(where, message)]))
            )
        mend = "  Mend it, then:  ./runbook.py run"
        if run.failed_with("claim_lost"):  # nothing is undone: it is another rollout's by now
            return LeftAsIs(message, "", ExitCode.LOCKED)
        if run.failed_with("journal_lost"):
            return LeftAsIs(message, mend)
        if run.failed_with("locked_out"):
            return Stop("failed", ExitCode.LOCKED_OUT, message, mend, aborts=not facts.get("irreversible"))
        if run.failed_with("verdict") == "abort":
            return Abort(message)
        return Stop("failed", ExitCode.FAILED, message, mend, aborts=stage.window)

    def _retry_or_go_on(self, stage: Stage, stop: Stop) -> gates.Answer:
        """Ask what to do about a failed stage of the window; return the answer, or raise `stop` if nobody mends it."""
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
        answer = self.watchdog.ask(stage, asked, moot=lambda: self.watchdog.interrupt.leave)
        if answer.word in (gives_up, WITHDRAWN):
            raise stop
        return answer

    def finish(self, stage: Stage, outcome: str, facts: dict[str, Any], message: str | None = None) -> None:
        """Put the end of the stage on record, and show it."""
        redo = self.rollout.to_redo(stage, facts) if outcome == "ok" else []
        self.journal.write(StageFinished(stage.stage, outcome, facts, message, redo))
        self.screen.stage_ends(stage, outcome)
        if redo:
            self.screen.say(f"! {stage.stage} settled something else than before. To be done again: {', '.join(redo)}")

    def wait_until(self, instant: datetime, stage: Stage, what: str) -> None:
        """Wait until the instant at which `what` comes, while lateness is judged. Raises Stop."""

        def tick() -> None:
            self.screen.waiting(what, instant)
            self.watchdog.look(stage)
            self.watchdog.leave_if_asked()

        self.clock.wait_until(instant, tick)
