"""Carries out the stages of a plan, one after the other, and takes the window's stages back when it must stop."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rollout_core import lateness, timeline

from rollout import ROOT, documents, gates
from rollout import plan as plans
from rollout.clock import Clock
from rollout.interrupts import Interrupt
from rollout.journal import Journal
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import Plan, Stage
from rollout.runner import PlaybookRun, run_playbook
from rollout.views.screen import Screen


class Stop(Exception):  # noqa: N818 - the end of a run, not always an error
    """The run ends here: `outcome` and `message` go into the journal, `exit_code` to the shell."""

    def __init__(self, outcome: str, exit_code: ExitCode, message: str, then: str = "") -> None:
        """Say how it ended."""
        super().__init__(message)
        self.outcome, self.exit_code, self.message, self.then = outcome, exit_code, message, then


@dataclass
class Conductor:
    """One run of one plan. `directory` holds plan.yml, journal.jsonl, Ansible's artifacts and the report."""

    directory: Path
    plan: Plan
    inventory: Path
    journal: Journal
    clock: Clock
    asker: gates.Asker
    screen: Screen
    extra_vars: Mapping[str, Any]
    open_incident: Callable[[str], str]
    project: Path = ROOT
    interrupt: Interrupt = field(default_factory=Interrupt)

    @property
    def plan_file(self) -> Path:
        """The plan this run follows."""
        return self.directory / "plan.yml"

    def run(self, names: Sequence[str] = ()) -> ExitCode:
        """Carry out what is due, or the named stages; returns the exit code and has said why."""
        sha256 = hashlib.sha256(self.plan_file.read_bytes()).hexdigest()
        self.journal.write("rollout_opened", plan=sha256, by=getpass.getuser())
        self._pin()
        try:
            for stage in self._to_do(names):
                if not self._carry_out(stage):
                    return ExitCode.DONE
                self.interrupt.raise_if_it_came()
        except Stop as stop:
            return self._close(self._take_back(stop))
        except KeyboardInterrupt:
            return self._close(Stop("failed", ExitCode.FAILED, self._interrupted()))
        if self._left():
            return ExitCode.DONE
        return self._close(Stop("done", ExitCode.DONE, "Every stage is done."))

    # -- one stage ------------------------------------------------------------------------------------------------

    def _carry_out(self, stage: Stage) -> bool:
        """Gate, wait, playbook, gate. False when the stage is not due yet and nothing holds us here. Raises Stop."""
        due = timeline.parse_duration(stage.due) + self.plan.window.start
        if not self._worth_waiting(stage, due):
            self.screen.say(f"Next: {stage.stage}, due {due:%a %d %b %H:%M} UTC.  ./runbook.py run")
            return False
        before = [timeline.parse_duration(gate.waits) for gate in stage.gates if gate.ask == "before"]
        if before:  # a yes must be fresh: it is asked for no earlier than it would have to be answered
            ask_at = due - max(before)
            self.clock.wait_until(ask_at, lambda: self.screen.waiting(f"the gate of {stage.stage} is asked", ask_at))
            self._pass_gates(stage, "before", {}, self._outlook(stage))
        self.clock.wait_until(due, lambda: self.screen.waiting(f"{stage.stage} begins", due))
        facts = self._run_stage(stage)
        try:
            self._pass_gates(stage, "after", facts, facts.get("evidence", []))
        except Stop as stop:
            self._finish(stage, "refused", facts, stop.message)
            raise
        self._finish(stage, "ok", facts)
        self._pin()
        return True

    def _run_stage(self, stage: Stage) -> dict[str, Any]:
        """Run the stage's playbook and return its facts. Raises Stop when it fails."""
        record = timeline.actual(self.journal.entries).get(stage.stage)
        attempt = record.attempt + 1 if record else 1
        self.journal.write("stage_started", stage=stage.stage, attempt=attempt)
        self.screen.stage_begins(stage)
        run = self._playbook(stage.playbook, f"{stage.stage}-{attempt}")
        facts = {**run.stats, **(run.failed_with("facts") or {})}
        if run.failed_with("irreversible"):
            facts["irreversible"] = True
        self.screen.evidence(facts.get("evidence", []))
        if run.ok:
            return facts
        message = run.message
        if field := run.failed_with("bad_input"):
            message = str(documents.refused(self.plan_file, [(("rollout", *field.split(".")), run.message)]))
        outcome = "late" if run.failed_with("verdict") == "abort" else "failed"
        self._finish(stage, outcome, facts, message)
        if run.failed_with("locked_out"):
            raise Stop("failed", ExitCode.LOCKED_OUT, message, "  Mend it, then:  ./runbook.py run")
        if outcome == "late":
            backup = f"{self.plan.backup_window.start:%Y-%m-%dT%H:%MZ}"
            then = f"  The next attempt, if the backup window is it:  ./runbook.py plan new --window {backup}"
            raise Stop("aborted", ExitCode.ABORTED, message, then)
        code = ExitCode.BAD_INPUT if field else ExitCode.FAILED
        raise Stop("failed", code, message, "  Mend it, then:  ./runbook.py run")

    def _playbook(self, name: str, run_id: str) -> PlaybookRun:
        """Run a playbook to its end, whatever is typed meanwhile."""
        with self.interrupt.held_back(lambda: self.screen.say("Ctrl-C: stops after this stage, killing nothing.")):
            return run_playbook(
                name,
                inventory=self.inventory,
                plan_file=self.plan_file,
                extra_vars={
                    "rollout_journal": str(self.journal.path),
                    "rollout_clock_offset": self.clock.offset.total_seconds(),
                    "go": self.plan.id,
                    **self.extra_vars,
                },
                artifacts=self.directory / "ansible" / f"{len(self.journal.entries):04}-{run_id}",
                project=self.project,
                on_task=self.screen.task,
            )

    def _finish(self, stage: Stage, outcome: str, facts: dict[str, Any], message: str | None = None) -> None:
        self.journal.write("stage_finished", stage=stage.stage, outcome=outcome, facts=facts, message=message)
        self.screen.stage_ends(stage, outcome)

    def _pin(self) -> None:
        """Write what stages have settled into the plan, where later playbooks and people's fingers find it."""
        settled = self.plan.pinned.model_dump(exclude_none=True)
        for entry in self.journal.entries:
            if entry["event"] == "stage_finished" and entry["outcome"] == "ok":
                settled.update(entry["facts"].get("pin", {}))
        pinned = Plan.model_validate({**self.plan.as_vars(), "pinned": settled})
        if pinned != self.plan:
            self.plan = pinned
            plans.save(pinned, self.plan_file)

    # -- gates ----------------------------------------------------------------------------------------------------

    def _pass_gates(self, stage: Stage, when: str, facts: Mapping[str, Any], evidence: Sequence[str]) -> None:
        """Ask the stage's gates of that moment and put the answers on record. Raises Stop on no."""
        for gate in stage.gates:
            if gate.ask != when:
                continue
            asked = gates.question(gate, {**self.plan.as_vars(), **facts}, evidence)
            on_record = {"stage": stage.stage, "gate": gate.gate}
            self.journal.write("gate_asked", **on_record, question=asked.text, evidence=list(evidence))
            if when == "before":
                self.screen.evidence(evidence)
            answer = self._answer(asked)
            word = "yes" if answer.yes else "no"
            self.journal.write("gate_answered", **on_record, answer=word, by=answer.by, source=answer.source)
            if answer.source != "terminal":
                self.screen.say(f"? {asked.text}  {word}, {answer.by} ({answer.source})")
            if not answer.yes:
                said = f"{asked.text} was answered no by {answer.by} ({answer.source})."
                again = "  To be asked again:  ./runbook.py run"
                raise Stop("refused", ExitCode.REFUSED, f"E-gate-no  {stage.stage}: {said}", again)

    def _answer(self, asked: gates.Question) -> gates.Answer:
        """The answer; Ctrl-C is no."""
        try:
            return self.asker.ask(asked)
        except KeyboardInterrupt:
            return gates.Answer(yes=False, by=getpass.getuser(), source="terminal")

    def _outlook(self, stage: Stage) -> list[str]:
        """What a person weighs before a stage begins."""
        layout = timeline.planned(self.plan.as_vars(), self.journal.entries)
        view = lateness.outlook(layout, timeline.actual(self.journal.entries), self.plan.window.end, self.clock.now())
        planned = next(row for row in layout if row.name == stage.stage)
        times = f"planned {planned.start:%H:%M}–{planned.end:%H:%M}, all done {view.planned_end:%H:%M}"
        ends = "the commit" if stage.abortable == "until_commit" else "none in this stage"
        limit = timedelta(minutes=self.plan.policy.abort_after_minutes)
        return [f"{times} · point of no return: {ends}", lateness.reason(view, limit)]

    # -- what is to do, and when ----------------------------------------------------------------------------------

    def _left(self) -> list[Stage]:
        records = timeline.actual(self.journal.entries)
        return [s for s in self.plan.process if not (s.stage in records and records[s.stage].done)]

    def _to_do(self, names: Sequence[str]) -> list[Stage]:
        """The stages not done yet, or the named ones. Raises BadInputError for a window stage out of its turn."""
        known = [stage.stage for stage in self.plan.process]
        if unknown := [name for name in names if name not in known]:
            raise BadInputError(f"E-no-such-stage  {', '.join(unknown)}. The process has: {', '.join(known)}.")
        left = self._left()
        if not names:
            return left
        named = [stage for stage in self.plan.process if stage.stage in names]
        for stage in named:
            earlier = [s.stage for s in left if known.index(s.stage) < known.index(stage.stage) and s not in named]
            if stage.window and earlier:
                raise BadInputError(f"E-out-of-turn  {stage.stage} comes after {', '.join(earlier)}:  ./runbook.py run")
        return named

    def _worth_waiting(self, stage: Stage, due: datetime) -> bool:
        """A run waits inside the window; before it, the person comes back. A rehearsal jumps instead of waiting."""
        begun = timeline.actual(self.journal.entries)
        in_window = any(s.window and s.stage in begun and not begun[s.stage].undone for s in self.plan.process)
        return self.clock.now() >= due or self.clock.jumps or (stage.window and in_window)

    # -- stopping -------------------------------------------------------------------------------------------------

    def _take_back(self, stop: Stop) -> Stop:
        """Undo the window's stages, latest first, unless the point of no return is behind us. Returns how it ended."""
        records = timeline.actual(self.journal.entries)
        if any(record.irreversible for record in records.values()):
            lines = [
                stop.message,
                "  The commit is made: the new schema is kept, nothing is undone.",
                f"  Incident report begun: {self.open_incident(stop.message)}",
                stop.then,
            ]
            return Stop("failed", stop.exit_code, "\n".join(lines))
        lines = [stop.message]
        code: ExitCode = stop.exit_code
        if code is ExitCode.LOCKED_OUT:
            code = ExitCode.FAILED  # unless the undo cannot open the gate either
        for stage in reversed(self.plan.process):
            begun = stage.stage in records and not records[stage.stage].undone
            if not (begun and stage.window and stage.undo):
                continue
            failed = self._undo(stage, stage.undo.playbook)
            if failed is None:
                lines.append(f"  undone: {stage.stage}")
                continue
            lines.append(f"  NOT UNDONE: {stage.stage}\n{failed.message}")
            not_undone = ExitCode.LOCKED_OUT if failed.failed_with("locked_out") else ExitCode.NOT_UNDONE
            code = ExitCode(max(int(code), int(not_undone)))
        return Stop(stop.outcome, code, "\n".join([*lines, stop.then]))

    def _undo(self, stage: Stage, playbook: str) -> PlaybookRun | None:
        """Run one undo; returns the run if it failed."""
        self.journal.write("undo_started", stage=stage.stage, playbook=playbook)
        self.screen.say(f"↩ undo {stage.stage} · playbooks/{playbook}.yml")
        run = self._playbook(playbook, f"undo-{stage.stage}")
        message = None if run.ok else run.message
        self.journal.write(
            "undo_finished", stage=stage.stage, playbook=playbook, outcome="ok" if run.ok else "failed", message=message
        )
        return None if run.ok else run

    def _close(self, stop: Stop) -> ExitCode:
        self.journal.write("rollout_closed", outcome=stop.outcome, exit_code=int(stop.exit_code), message=stop.message)
        self.screen.say(stop.message)
        return stop.exit_code

    def _interrupted(self) -> str:
        """What Ctrl-C between two stages leaves behind."""
        done = [name for name, record in timeline.actual(self.journal.entries).items() if record.done]
        return f"E-interrupted  Stopped by Ctrl-C; what is done stands ({', '.join(done)}).\n  Go on:  ./runbook.py run"
