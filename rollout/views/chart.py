"""The window's stages on a time axis, planned and actual, as percentages of the axis: what the report draws as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from rollout.views.history import History, StageHistory, State

STEPS = [timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)]
MOST_TICKS = 7  # as many labels as a phone has room for
LEAST_WIDTH = 0.6  # percent: what took a second is still seen


@dataclass(frozen=True)
class Bar:
    """From `left`, `width` wide, in percent of the axis. `kind` is planned, undo, or the state the attempt ended in."""

    kind: Literal["planned", "undo"] | State
    left: float
    width: float
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Row:
    """One stage: its planned bar, and one bar for each attempt and undo."""

    stage: StageHistory
    planned: Bar
    actual: list[Bar]


@dataclass(frozen=True)
class Mark:
    """A vertical line at `left` percent. An empty label is only a line."""

    left: float
    label: str


@dataclass(frozen=True)
class Chart:
    """The axis from `start` to `end`, its ticks, the window (left and width in percent), the lines, and the rows."""

    start: datetime
    end: datetime
    ticks: list[Mark]
    window: tuple[float, float]
    planned_end: Mark
    limit: Mark
    rows: list[Row]


def chart(history: History) -> Chart | None:
    """Lay out the window; None for a process without window stages."""
    if not history.in_window or history.planned_end is None:
        return None
    opens, closes = history.window
    limit = history.planned_end + timedelta(minutes=history.plan["policy"]["abort_after_minutes"])
    instants = [opens, closes, history.planned_end, *_instants(history)]
    step = next((step for step in STEPS if (max(instants) - min(instants)) / step <= MOST_TICKS), STEPS[-1])
    start, end = _floor(min(instants), step), _floor(max(instants) + step - timedelta(microseconds=1), step)

    def place(instant: datetime) -> float:
        return round(100 * ((instant - start) / (end - start)), 3)

    def bar(kind: Literal["planned", "undo"] | State, begins: datetime, ends: datetime) -> Bar:
        width = max(place(ends) - place(begins), LEAST_WIDTH)
        return Bar(kind, min(place(begins), 100 - LEAST_WIDTH), round(width, 3), begins, ends)

    rows = []
    last = max(instants)
    for stage in history.in_window:
        actual = [bar(kind, begins, ends or last) for kind, begins, ends in _deeds(stage)]
        rows.append(Row(stage, bar("planned", stage.plan.start, stage.plan.end), actual))
    count = round((end - start) / step)
    ticks = [Mark(place(start + step * number), f"{start + step * number:%H:%M}") for number in range(count + 1)]
    return Chart(
        start=start,
        end=end,
        ticks=ticks,
        window=(place(opens), round(place(closes) - place(opens), 3)),
        planned_end=Mark(place(history.planned_end), f"planned end {history.planned_end:%H:%M}"),
        limit=Mark(min(place(limit), 100), f"abort limit {limit:%H:%M}"),
        rows=rows,
    )


def _deeds(stage: StageHistory) -> Iterator[tuple[Literal["undo"] | State, datetime, datetime | None]]:
    ends: dict[str | None, State] = {"ok": "done", "late": "late", "refused": "refused", None: "running"}
    for attempt in stage.attempts:
        yield ends.get(attempt.outcome, "failed"), attempt.started, attempt.finished
    for step in stage.undo:
        yield "undo", step.started, step.finished


def _instants(history: History) -> Iterator[datetime]:
    for stage in history.in_window:
        yield stage.plan.start
        yield stage.plan.end
        for _, begins, ends in _deeds(stage):
            yield begins
            yield ends or begins


def _floor(instant: datetime, step: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return instant - (instant - epoch) % step
