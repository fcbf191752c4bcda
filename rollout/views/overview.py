"""Where a rollout stands, computed from plan, journal and now: the model behind the live view and `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from plugins.module_utils.rollout_core.journal import brackets as holds
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout.gates import model as gates
from rollout.views import telling
from rollout.views.holding import Holding, told
from rollout.views.incidents import OpenIncident, incidents, standing

State = Literal["done", "running", "failed", "refused", "late", "undone", "overdue", "to come"]


@dataclass(frozen=True)
class StageRow:
    """One stage: planned and actual times (UTC), `None` where it has not happened."""

    stage: str
    title: str
    rules: Sequence[str]
    state: State
    planned_start: datetime
    planned_end: datetime
    started: datetime | None
    finished: datetime | None

    @property
    def expected(self) -> timedelta:
        """How long it was planned to take."""
        return self.planned_end - self.planned_start


@dataclass(frozen=True)
class Said:
    """The latest answer to one question, or about one `item` of it, of its stage's latest attempt."""

    stage: str
    gate: str
    item: str | None
    answer: str
    by: str
    source: str
    at: datetime


@dataclass(frozen=True)
class Overview:
    """The whole rollout at `now`. The verdict counts from the first stage of the window on; before that it is None.

    `waiting_for` are the questions that are open, as the journal's `gate_asked` has them; `answers` what was answered;
    `holds` what is switched on until a later stage ends it; `incidents` those that are open or not announced.
    `announced` says who has confirmed the time, and what is not out.
    """

    plan_id: str
    now: datetime
    window_start: datetime
    window_end: datetime
    backup_start: datetime
    rows: Sequence[StageRow]
    verdict: lateness.Verdict | None
    reason: str
    closed: Mapping[str, Any] | None
    waiting_for: Sequence[Mapping[str, Any]]
    answers: Sequence[Said]
    holds: Sequence[Holding]
    incidents: Sequence[OpenIncident] = ()
    announced: Sequence[str] = ()

    @property
    def next_stage(self) -> StageRow | None:
        """The first stage that is not done."""
        return next((row for row in self.rows if row.state != "done"), None)


def overview(plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], now: datetime) -> Overview:
    """Compute it. `plan` is the plain data under `rollout`, `entries` the journal's."""
    records = timeline.actual(entries)
    layout = timeline.planned(plan, entries)
    rows = [
        _row(stage, planned, records.get(planned.name), now)
        for stage, planned in zip(plan["process"], layout, strict=True)
    ]
    start, end = timeline.window(plan)
    view = lateness.outlook(layout, records, end, now)
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    in_window = any(stage.window and stage.name in records for stage in layout)
    runs = [entry for entry in entries if entry["event"] in ("rollout_opened", "rollout_closed")]
    last = runs[-1] if runs else None  # what is told after an abort does not open it again
    return Overview(
        plan_id=plan["id"],
        now=now,
        window_start=start,
        window_end=end,
        backup_start=timeline.parse_instant(plan["backup_window"]["start"]),
        rows=rows,
        verdict=lateness.verdict(view, limit) if in_window else None,
        reason=lateness.reason(view, limit),
        closed=last if last and last["event"] == "rollout_closed" else None,
        waiting_for=gates.unanswered(entries),
        answers=list(_answers(entries).values()),
        holds=[told(hold, plan["id"]) for hold in holds.still_on(plan["process"], entries)],
        incidents=standing(incidents(entries), plan["id"]),
        announced=telling.lines(plan, entries, now),
    )


def _answers(entries: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str | None], Said]:
    """By gate and item, in the order in which they were first asked."""
    said: dict[tuple[str, str | None], Said] = {}
    finished: set[str] = set()
    for entry in entries:
        stage = entry.get("stage", "")
        if entry["event"] == "stage_finished":
            finished.add(stage)
        elif entry["event"] in ("stage_started", "gate_asked") and stage in finished:  # it is asked anew
            finished.remove(stage)
            said = {key: one for key, one in said.items() if one.stage != stage}
        if entry["event"] == "gate_answered":
            one = Said(
                stage=entry["stage"],
                gate=entry["gate"],
                item=entry.get("item"),
                answer=entry["answer"],
                by=entry["by"],
                source=entry["source"],
                at=timeline.parse_instant(entry["at"]),
            )
            said[one.gate, one.item] = one
    return said


def _row(
    stage: Mapping[str, Any], planned: timeline.PlannedStage, record: timeline.StageRecord | None, now: datetime
) -> StageRow:
    return StageRow(
        stage=planned.name,
        title=stage["title"],
        rules=stage["rules"],
        state=_state(planned, record, now),
        planned_start=planned.start,
        planned_end=planned.end,
        started=record.started if record else None,
        finished=record.finished if record else None,
    )


def _state(planned: timeline.PlannedStage, record: timeline.StageRecord | None, now: datetime) -> State:
    if record is None:
        return "overdue" if planned.start < now else "to come"
    if record.undone:
        return "undone"
    if record.running:
        return "running"
    if record.done:
        return "done"
    return "refused" if record.outcome == "refused" else "late" if record.outcome == "late" else "failed"
