"""Judges lateness all the time, whatever runs and whoever is asked, and takes what people ask for meanwhile (R19)."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable
from datetime import timedelta

from plugins.module_utils.rollout_core.journal.events import AbortRequested, GateAsked, StageStarted, VerdictChanged
from plugins.module_utils.rollout_core.time import lateness
from plugins.module_utils.rollout_core.time.lateness import Outlook, Verdict
from rollout.engine.interrupts import Interrupt
from rollout.engine.rollout import Rollout
from rollout.gates import mailbox
from rollout.gates import model as gates
from rollout.gates.answer_box import AnswerBox
from rollout.gates.model import Answer, Question
from rollout.incidents import record as incidents
from rollout.outcomes import Abort, ExitCode, LeftAsIs, Stop
from rollout.plan.process import Stage

JUDGE_SECONDS = 0.5  # between two judgements: a limit that is crossed is acted on within a second
INTERRUPT_WAITS = timedelta(minutes=5)
LOSA = ("losa",)
WITHDRAWN = "withdrawn"
AGAIN = "  To be asked again:  ./runbook.py run"


class Watchdog:
    """Watches over one run of the runbook. `heard` is called at every look, to take what a stage has reported."""

    def __init__(self, rollout: Rollout, asker: gates.Asker, interrupt: Interrupt) -> None:
        """Begin without a verdict and without an open question."""
        self.rollout = rollout
        self.asker = asker
        self.interrupt = interrupt
        self.heard: Callable[[], object] = lambda: None
        self._judged = 0.0
        self._asked: int | None = None  # the number of the journal's entry of the question that is open
        self._questions = 0
        self._from_elsewhere: Answer | None = None
        self._agreed: dict[int, tuple[str, Question]] = {}  # what was answered otherwise than no, by the same number
        self._named: set[tuple[str, str]] = set()  # what lies in the mailbox and is no message
        last = rollout.journal.last(VerdictChanged)
        self._verdict = Verdict(last[1].verdict) if last else Verdict.ON_TRACK

    # -- looking --------------------------------------------------------------------------------------------------

    def look(self, stage: Stage) -> None:
        """Look whether something ends the run: an abort that was asked for, lateness, Ctrl-C. Raises Stop."""
        self.heard()
        self._hear_messages()
        self.hear_objections()
        now = time.monotonic()
        if (stage.window or self.rollout.in_window) and now - self._judged >= JUDGE_SECONDS:
            self._judged = now
            self._judge(stage)
        if self.interrupt.came:
            self.interrupt.came = False
            self.rollout.screen.new_line()
            self._ctrl_c(stage)

    def _hear_messages(self) -> None:
        """Take what other terminals have sent; what is no message of ours is named, once. Raises Stop."""
        received = mailbox.look(self.rollout.directory)
        box = mailbox.box(self.rollout.directory)
        for name, why in received.passed_over.items():
            if (name, why) not in self._named:
                self._named.add((name, why))
                self.rollout.screen.say(f"! {box / name} is passed over: {why}.  Look:  ls -ld {box / name}")
        for message in received.messages:
            if message.kind == "abort":
                self.abort_asked(message.by, message.text, "another terminal")
            elif message.kind == "incident":
                self._problem_seen(message)
            elif message.asked == self._asked:
                self._from_elsewhere = Answer(message.text, message.by, "another terminal", message.told)

    def hear_objections(self) -> None:
        """Put a no on record that came after a yes. Before the work began, it counts: raises Stop.

        While a stage is at work it does not end that; a gate that is being asked then looks at what is on record.
        """
        for seq, (stage, asked) in list(self._agreed.items()):
            if refused := AnswerBox(self.rollout.directory, seq).refusal():
                del self._agreed[seq]
                self.rollout.journal.write(refused.on_record(stage, asked))
                no = f"{asked.text} was answered no by {refused.by} ({refused.source})"
                if not self._began_since(seq):
                    message = f"E-gate-no  {stage}: {no}, after a yes: nothing was begun."
                    raise Stop("refused", ExitCode.REFUSED, message, AGAIN)
                self.rollout.screen.say(
                    f"! {no}, and the stage is at work.  To stop:  ./runbook.py abort --reason TEXT"
                )

    def _began_since(self, seq: int) -> bool:
        """Return True if a stage is at work, or has begun since that entry of the journal."""
        started = self.rollout.journal.last(StageStarted)
        at_work = any(record.running for record in self.rollout.records.values())
        return at_work or (started is not None and started[0].seq > seq)

    def abort_asked(self, by: str, reason: str, source: str) -> None:
        """Abort because a person asks for it. Raises Stop, unless it is too late for that: then it says so."""
        view = self.rollout.outlook()
        possible = view.abortable
        self.rollout.journal.write(AbortRequested(by, reason, source, possible))
        if possible:
            raise Abort(f"E-abort-asked  {by} aborts: {reason}", stage="stopped")
        self.rollout.screen.say(f"! {by} asks to abort ({reason}), but {lateness.reason(view, self.rollout.limit)}.")

    def _problem_seen(self, message: mailbox.MailboxMessage) -> None:
        """Put a problem that a person has seen on record; it is announced by that person, or after the run (R24)."""
        incident = incidents.heard(self.rollout.directory, self.rollout.journal, message)
        self.rollout.screen.say(f"! Incident {incident.number}, seen by {message.by}: {incident.summary}")

    def leave_if_asked(self) -> None:
        """Raise LeftAsIs between two stages if Ctrl-C asked for it; what is done stays as it is."""
        if self.interrupt.came or self.interrupt.leave:
            self.rollout.screen.new_line()
            done = [name for name, record in self.rollout.records.items() if record.done]
            message = f"E-interrupted  Stopped by Ctrl-C; what is done stands ({', '.join(done) or 'nothing yet'})."
            raise LeftAsIs(message, "  Go on:  ./runbook.py run")

    def _judge(self, stage: Stage) -> None:
        rollout = self.rollout
        view = rollout.outlook()
        judged = lateness.verdict(view, rollout.limit)
        why = lateness.reason(view, rollout.limit)
        if judged is not self._verdict:
            self._verdict = judged
            self._record(stage, view, judged, why)
        if judged is Verdict.ABORT:
            raise Abort(f"E-late-abort  {why}.  R19")
        margin = timedelta(minutes=rollout.plan.policy.ask_minutes_before_last_safe_abort)
        asked = rollout.journal.last(GateAsked, gate=gates.OUTGROW)
        if lateness.outgrows(view, rollout.limit, margin) and asked is None:
            self._outgrows(stage, view, why)

    def _record(self, stage: Stage, view: Outlook, judged: Verdict, why: str) -> None:
        self.rollout.journal.write(
            VerdictChanged(
                stage=view.stage or stage.stage,
                verdict=judged.value,
                off_track_seconds=view.off_track.total_seconds(),
                projected_end=view.projected_end,
                last_safe_abort=view.last_safe_abort,
                reason=why,
            )
        )
        if judged in (Verdict.LATE, Verdict.MUST_FINISH):
            self.rollout.screen.say(f"! {judged.value.replace('_', ' ').upper()}  {why}")

    # -- asking ---------------------------------------------------------------------------------------------------

    def ask(self, stage: Stage, asked: Question, moot: Callable[[], bool] = lambda: False) -> Answer:
        """Ask a question while lateness is judged; put it and its answer on record, and return the answer. Raises Stop.

        Silence for `waits` is its last option; a question that becomes `moot` is answered WITHDRAWN.
        """
        journal, screen = self.rollout.journal, self.rollout.screen
        AnswerBox(self.rollout.directory, len(journal.entries) + 1).clear()
        entry = journal.write(asked.on_record(stage.stage))
        screen.quiet()
        try:
            answer = self._wait_for(stage, asked, entry.seq, moot)
        except Stop:
            self.asker.withdraw()
            raise
        if answer.word != WITHDRAWN:
            answer = AnswerBox(self.rollout.directory, entry.seq).settle(asked, answer)
        if answer.source in ("another terminal", "nobody"):
            self.asker.withdraw()
        journal.write(answer.on_record(stage.stage, asked))
        if answer.yes:
            self._agreed[entry.seq] = (stage.stage, asked)
        if answer.source != "terminal":
            who = answer.told.get("name", answer.by)
            screen.say(f"? {asked.text}  {answer.word}, {who} ({answer.source})")
        screen.loud()
        return answer

    def _wait_for(self, stage: Stage, asked: Question, seq: int, moot: Callable[[], bool]) -> Answer:
        before, self._asked, self._from_elsewhere = self._asked, seq, None
        self._questions += 1
        until = time.monotonic() + asked.waits.total_seconds()
        box = AnswerBox(self.rollout.directory, seq)
        self.asker.begin(asked)
        try:
            while time.monotonic() < until:
                answer = self.asker.poll(asked) or self._from_elsewhere or box.answer()
                if answer is not None and answer.word in asked.options:
                    return answer
                self._from_elsewhere = None
                others = self._questions
                self.look(stage)
                if moot():
                    return Answer(WITHDRAWN, "nobody", "nobody")
                if self._questions != others:  # something else was asked meanwhile: put this one again
                    self.asker.begin(asked)
        finally:
            self._asked = before
        self.rollout.screen.say(f"  {asked.silence_line}")
        return Answer(asked.silence, "nobody", "nobody")

    def _outgrows(self, stage: Stage, view: Outlook, why: str) -> None:
        """Ask whether to go on past the window's end, while an abort is still possible. Raises Abort on no."""
        latest = view.last_safe_abort or view.now
        text = f"Go on past the end of the window, {self.rollout.plan.window.end:%H:%M}?"
        question = Question(gates.OUTGROW, text, [why], LOSA, max(latest - view.now, timedelta()))
        self.rollout.screen.evidence(
            [why, f"no: the window's stages are undone now. Silence until {latest:%H:%M} is no."]
        )
        if not self.ask(stage, question, moot=lambda: not self.rollout.outlook().abortable).yes:
            if not self.rollout.outlook().abortable:
                return
            raise Abort(f"E-outgrows-window  {why}: nobody said go on.")

    def _ctrl_c(self, stage: Stage) -> None:
        """Ask once whether to abort or to leave things as they are; a second Ctrl-C leaves them."""
        leave, view = "leave", self.rollout.outlook()
        if not view.abortable:
            self.rollout.screen.say(
                "Ctrl-C: it cannot be aborted any more. It stops after this stage, killing nothing."
            )
            self.interrupt.leave = True
            return
        means = [
            "abort: this stage is stopped, what the window did is undone, the next attempt is worked out",
            "leave: this stage runs to its end, then the runbook stops; what is done stays as it is",
        ]
        self.rollout.screen.evidence(means)
        question = Question(gates.INTERRUPT, "Abort, or leave it?", means, LOSA, INTERRUPT_WAITS, ("abort", leave))
        answer = self.ask(stage, question, moot=lambda: self.interrupt.came)
        self.interrupt.came = False
        if answer.word != leave:
            self.abort_asked(getpass.getuser(), "Ctrl-C", "terminal")
        self.interrupt.leave = True
