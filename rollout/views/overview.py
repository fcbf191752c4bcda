"""Where a rollout stands now, computed from plan and journal: the model behind the live view and `status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from plugins.module_utils.rollout_core.journal import brackets, runs
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    GateAnswered,
    GateAsked,
    RolloutClosed,
    StageFinished,
    StageStarted,
)
from plugins.module_utils.rollout_core.journal.incidents import incidents
from plugins.module_utils.rollout_core.journal.questions import unanswered
from plugins.module_utils.rollout_core.journal.stages import StageRecord, actual, estimates
from plugins.module_utils.rollout_core.time import lateness, timeline
from rollout.views import announcement_lines
from rollout.views.brackets import StillOn, still_on
from rollout.views.incidents import OpenIncident, standing

State = Literal["done", "running", "failed", "refused", "late", "undone", "overdue", "to come"]


@dataclass(frozen=True)
class StageRow:
    """One stage: planned and actual times (UTC), `None` for what has not happened."""

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
        """Return how long the stage was planned to take."""
        return self.planned_end - self.planned_start


@dataclass(frozen=True)
class Said:
    """The latest answer to one question, or about one `item` of it, in the latest attempt of its stage."""

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

    `waiting_for` are the open questions, each with its entry; `answers` are the answers; `still_on` are the brackets
    that are on; `incidents` are those that are open or not announced; `announced` are lines that say who has confirmed
    the time, and what is not out.
    """

    plan_id: str
    now: datetime
    window_start: datetime
    window_end: datetime
    backup_start: datetime
    rows: Sequence[StageRow]
    verdict: lateness.Verdict | None
    reason: str
    closed: tuple[Entry, RolloutClosed] | None
    waiting_for: Sequence[tuple[Entry, GateAsked]]
    answers: Sequence[Said]
    still_on: Sequence[StillOn]
    incidents: Sequence[OpenIncident] = ()
    announced: Sequence[str] = ()

    @property
    def next_stage(self) -> StageRow | None:
        """Return the first stage that is not done, or None."""
        return next((row for row in self.rows if row.state != "done"), None)


def overview(plan: Mapping[str, Any], entries: Sequence[Entry], now: datetime) -> Overview:
    """Return the overview at `now`. `plan` is the plain data under `rollout`, `entries` the journal's."""
    records = actual(entries)
    layout = timeline.planned(plan, estimates(entries))
    rows = [
        _row(stage, planned, records.get(planned.name), now)
        for stage, planned in zip(plan["process"], layout, strict=True)
    ]
    start, end = timeline.window(plan)
    view = lateness.outlook(layout, records, end, now)
    limit = timedelta(minutes=plan["policy"]["abort_after_minutes"])
    in_window = any(stage.window and stage.name in records for stage in layout)
    return Overview(
        plan_id=plan["id"],
        now=now,
        window_start=start,
        window_end=end,
        backup_start=timeline.parse_instant(plan["backup_window"]["start"]),
        rows=rows,
        verdict=lateness.verdict(view, limit) if in_window else None,
        reason=lateness.reason(view, limit),
        closed=runs.closed(entries),
        waiting_for=unanswered(entries),
        answers=list(_answers(entries).values()),
        still_on=[still_on(each, plan["id"]) for each in brackets.still_on(plan["process"], entries)],
        incidents=standing(incidents(entries), plan["id"]),
        announced=announcement_lines.lines(plan, entries, now),
    )


def as_json(view: Overview) -> dict[str, Any]:
    """Return what `status --json` prints (docs/operations.md); journal lines in it are as in the file."""
    return {
        **{name: value for name, value in asdict(view).items() if name != "still_on"},
        "closed": view.closed[0].fields if view.closed else None,
        "waiting_for": [entry.fields for entry, _ in view.waiting_for],
        "holds": [asdict(each) for each in view.still_on],
    }


def _answers(entries: Sequence[Entry]) -> dict[tuple[str, str | None], Said]:
    """Return the answers by gate and item, in the order in which they were first asked."""
    said: dict[tuple[str, str | None], Said] = {}
    finished: set[str] = set()
    for entry in entries:
        event = entry.event
        if isinstance(event, StageFinished):
            finished.add(event.stage)
        elif isinstance(event, (StageStarted, GateAsked)) and event.stage in finished:  # it is asked anew
            finished.remove(event.stage)
            said = {key: one for key, one in said.items() if one.stage != event.stage}
        elif isinstance(event, GateAnswered):
            one = Said(event.stage, event.gate, event.item, event.answer, event.by, event.source, entry.at)
            said[one.gate, one.item] = one
    return said


def _row(
    stage: Mapping[str, Any], planned: timeline.PlannedStage, record: StageRecord | None, now: datetime
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


def _state(planned: timeline.PlannedStage, record: StageRecord | None, now: datetime) -> State:
    if record is None:
        return "overdue" if planned.start < now else "to come"
    if record.undone:
        return "undone"
    if record.running:
        return "running"
    if record.done:
        return "done"
    return "refused" if record.outcome == "refused" else "late" if record.outcome == "late" else "failed"
