"""What happened in a rollout, computed from its plan and its journal: the model behind the report and the incident."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from plugins.module_utils.rollout_core.journal import aborts, brackets, deeds, runs
from plugins.module_utils.rollout_core.journal import text as journal
from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn
from plugins.module_utils.rollout_core.journal.deeds import GatePassed, PlaybookDeed, StageAttempt
from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import (
    AbortPacked,
    ClockSet,
    ReleaseFinished,
    RolloutOpened,
    StageCarried,
    StageFinished,
    StageStarted,
    UndoStarted,
    VerdictChanged,
)
from plugins.module_utils.rollout_core.journal.incidents import Incident, incidents
from plugins.module_utils.rollout_core.journal.runs import Sitting
from plugins.module_utils.rollout_core.journal.stages import actual, estimates
from plugins.module_utils.rollout_core.time import lateness, timeline

State = Literal["done", "running", "failed", "refused", "late", "undone", "not begun"]


@dataclass(frozen=True)
class StageHistory:
    """One stage of the process: as planned (`plan`), and everything that happened to it, in order.

    `carried` is the rollout in which it was done, if it was not repeated after an abort. `undone`: it no longer counts.
    Its undo, the early end of its bracket or a merge back-out took it back, or an earlier stage has settled otherwise
    since.
    """

    plan: timeline.PlannedStage
    title: str
    rules: Sequence[str]
    attempts: Sequence[StageAttempt]
    gates: Sequence[GatePassed]
    undo: Sequence[PlaybookDeed]
    carried: str | None = None
    undone: bool = False

    @property
    def name(self) -> str:
        """Return the stage's name in process.yml."""
        return self.plan.name

    @property
    def last(self) -> StageAttempt | None:
        """Return the stage's last attempt, which is the one that counts; None if there was none."""
        return self.attempts[-1] if self.attempts else None

    @property
    def state(self) -> State:
        """Return the stage's state at the end of the journal."""
        if self.undone:
            return "undone"
        if self.gates and self.gates[-1].answer == "no" and (self.last is None or self.last.outcome != "ok"):
            return "refused"
        if self.last is None:
            return "done" if self.carried else "not begun"
        ends: dict[str | None, State] = {"ok": "done", "refused": "refused", "late": "late", None: "running"}
        return ends.get(self.last.outcome, "failed")


@dataclass(frozen=True)
class Judgement:
    """The lateness at one moment of the window (R19)."""

    at: datetime
    moment: str
    verdict: str
    off_track: timedelta
    reason: str
    projected_end: datetime | None
    last_safe_abort: datetime | None


@dataclass(frozen=True)
class Chain:
    """The journal's chain of hashes: how many entries hold, where it breaks, the hash of the last line."""

    length: int
    broken_at: int | None
    tip: str


@dataclass(frozen=True)
class History:
    """The history of one rollout. `broken_at` is the journal's first line that does not follow from its predecessor."""

    plan: Mapping[str, Any]
    entries: Sequence[Entry]
    broken_at: int | None = None

    @cached_property
    def stages(self) -> list[StageHistory]:
        """Return every stage of the process, in order."""
        records, layout = actual(self.entries), timeline.planned(self.plan, estimates(self.entries))
        return [
            StageHistory(
                plan=planned,
                title=stage["title"],
                rules=stage.get("rules", ()),
                attempts=deeds.attempts(self._of(planned.name)),
                gates=deeds.gates(self._of(planned.name)),
                undo=deeds.undos(self._of(planned.name)),
                carried=next((event.rollout for _, event in of(self._of(planned.name), StageCarried)), None),
                undone=planned.name in records and records[planned.name].undone,
            )
            for stage, planned in zip(self.plan["process"], layout, strict=True)
        ]

    @cached_property
    def sittings(self) -> list[Sitting]:
        """Return every sitting, that is, every run of the runbook on this plan, in order."""
        return runs.sittings(self.entries)

    @property
    def closed(self) -> Sitting | None:
        """Return the last sitting, if it ended the rollout or says why it stopped; else None."""
        return self.sittings[-1] if self.sittings and self.sittings[-1].outcome else None

    @property
    def outcome(self) -> str:
        """Return the outcome of `rollout_closed`, or `open` while the rollout goes on."""
        return (self.closed.outcome if self.closed else None) or "open"

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Return start and end of the window (R2)."""
        return timeline.window(self.plan)

    @property
    def in_window(self) -> list[StageHistory]:
        """Return the stages of the window."""
        return [stage for stage in self.stages if stage.plan.window]

    @property
    def planned_end(self) -> datetime | None:
        """Return when the last stage of the window should have ended."""
        return self.in_window[-1].plan.end if self.in_window else None

    @property
    def actual_end(self) -> datetime | None:
        """Return when the window's work ended: its last stage was done, or undone. None until then."""
        if not self.in_window:
            return None
        if self.outcome != "done" and (undone := [step.finished for step in self.undo if step.finished]):
            return max(undone)
        last = self.in_window[-1]
        return last.last.finished if last.state == "done" and last.last else None

    @property
    def undo(self) -> list[PlaybookDeed]:
        """Return every undo, in the order in which they ran."""
        return sorted((step for stage in self.stages for step in stage.undo), key=lambda step: step.started)

    @cached_property
    def switched_on(self) -> list[SwitchedOn]:
        """Return every bracket that a stage has begun (R13)."""
        return brackets.switched_on(self.plan["process"], self.entries)

    @property
    def still_on(self) -> list[SwitchedOn]:
        """Return the brackets that nothing has ended."""
        return [each for each in self.switched_on if each.on]

    @property
    def ended_early(self) -> list[tuple[Entry, ReleaseFinished]]:
        """Return every try to end a bracket early, whether it ended or not."""
        return list(of(self.entries, ReleaseFinished))

    @cached_property
    def merge_back_outs(self) -> list[PlaybookDeed]:
        """Return every attempt to back out the merge (R17)."""
        return deeds.merge_back_outs(self.entries)

    @property
    def outage(self) -> timedelta | None:
        """Return how long access to the database was closed, as its module measured (fact `outage_seconds`)."""
        measured = [
            attempt.facts["outage_seconds"]
            for stage in self.stages
            for attempt in stage.attempts
            if "outage_seconds" in attempt.facts
        ]
        return timedelta(seconds=sum(measured)) if measured else None

    @property
    def downtime(self) -> timedelta | None:
        """Return how long users were without the service, at most (R2); None while they still are, or never were.

        From the first deed at or after the window's start to the end of the playbook that undoes the window's first
        stage: what was paused first comes back last.
        """
        window = [stage for stage in self.in_window if stage.attempts]
        begun = [stage.attempts[0].started for stage in window if stage.plan.due >= self.window[0]]
        resumes = self.in_window[0].plan.undo if self.in_window else None
        playbooks = {stage["stage"]: stage["playbook"] for stage in self.plan["process"]}
        back = [
            stage.last.finished
            for stage in window
            if playbooks[stage.name] == resumes and stage.state == "done" and stage.last
        ]
        back += [step.finished for step in self.undo if step.playbook == resumes and step.outcome == "ok"]
        ends = [end for end in back if end and begun and end > min(begun)]
        return max(ends) - min(begun) if ends else None

    @cached_property
    def judgements(self) -> list[Judgement]:
        """Return the lateness as each window stage began, at its end or abort, and at the journal's verdicts."""
        return list(_judgements(self.plan, self.entries))

    @property
    def why_aborted(self) -> str | None:
        """Return why the rollout was aborted; None if it was not."""
        return aborts.why(self.entries)

    @property
    def packed(self) -> bool:
        """Return True if an abort pack was written beside the report."""
        return any(True for _ in of(self.entries, AbortPacked))

    @property
    def aborted_at(self) -> datetime | None:
        """Return when everything that could be undone was undone; None if the rollout was not aborted."""
        return aborts.aborted_at(self.entries)

    @cached_property
    def stops(self) -> list[aborts.StopLadder]:
        """Return the stages that were stopped while they ran (R19)."""
        return aborts.stop_ladders(self.entries)

    @cached_property
    def verification(self) -> aborts.Verification | None:
        """Return what was found when the hosts were verified after the undo."""
        return aborts.verification(self.entries)

    @cached_property
    def problem(self) -> aborts.ProblemSource | None:
        """Return the source of the problem, and when it can be mended (R20)."""
        return aborts.problem(self.entries)

    @cached_property
    def next_attempt(self) -> aborts.AttemptToCome | None:
        """Return the next attempt, and the windows that were considered for it (R21)."""
        return aborts.next_attempt(self.entries)

    @property
    def irreversible(self) -> bool:
        """Return True if the point of no return, the commit, has passed."""
        return any(attempt.facts.get("irreversible") for stage in self.stages for attempt in stage.attempts)

    @cached_property
    def incidents(self) -> list[Incident]:
        """Return the problems that were found after the commit, or seen by a person (R24)."""
        return incidents(self.entries)

    @property
    def clock_moves(self) -> list[Entry]:
        """Return the entries at which a rehearsal's clock jumped; none in a real rollout."""
        return [entry for entry, event in of(self.entries, ClockSet) if event.offset_seconds]

    @cached_property
    def chain(self) -> Chain:
        """Return the journal's chain, computed anew from its lines."""
        tip = journal.FIRST_PREV
        for number, entry in enumerate(self.entries, start=1):
            if entry.fields.get("prev") != tip:
                return Chain(number - 1, number, tip)
            tip = journal.digest(journal.line({key: entry.fields[key] for key in entry.fields if key != "prev"}, tip))
        return Chain(len(self.entries), self.broken_at, tip)

    def _of(self, stage: str) -> list[Entry]:
        return [entry for entry in self.entries if getattr(entry.event, "stage", None) == stage]


def _judgements(plan: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[Judgement]:
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    in_window = [stage["stage"] for stage in plan["process"] if stage.get("window")]
    undoing = False  # what is undone would be done again: no outlook means anything until the next sitting
    for number, entry in enumerate(entries, start=1):
        event = entry.event
        undoing = isinstance(event, UndoStarted) or (undoing and not isinstance(event, RolloutOpened))
        if undoing:
            continue
        if isinstance(event, VerdictChanged):
            yield _told(entry.at, event)
        elif isinstance(event, (StageStarted, StageFinished)) and event.stage in in_window:
            ends = isinstance(event, StageFinished)
            if isinstance(event, StageFinished) and event.outcome != "late" and event.stage != in_window[-1]:
                continue
            so_far = entries[:number]
            layout, end_of_window = timeline.planned(plan, estimates(so_far)), timeline.window(plan)[1]
            view = lateness.outlook(layout, actual(so_far), end_of_window, entry.at)
            judged = lateness.verdict(view, limit).value
            moment = f"{event.stage} {'ends' if ends else 'begins'}"
            why = lateness.reason(view, limit)
            yield Judgement(entry.at, moment, judged, view.off_track, why, view.projected_end, view.last_safe_abort)


def _told(at: datetime, event: VerdictChanged) -> Judgement:
    off_track, ends = timedelta(seconds=event.off_track_seconds), (event.projected_end, event.last_safe_abort)
    return Judgement(at, f"{event.stage} runs", event.verdict, off_track, event.reason, *ends)
