"""The window's stages on a time axis, in percent of the axis, as the report draws them in SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from rollout.views.history import History, StageHistory, State

STEPS = [timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)]
STEPS += [timedelta(hours=hours) for hours in (2, 3, 6, 12, 24)]
MOST_STEPS, MOST_STEPS_OF_SECONDS = 7, 3  # a phone has room for so many labels 08:00, or 08:00:05
LEAST_WIDTH = 0.6  # percent: what took a second is still seen
Kind = Literal["planned", "undo"] | State


@dataclass(frozen=True)
class Bar:
    """A bar from `left`, `width` wide, in percent of the axis. `kind` is planned, undo, or how the attempt ended."""

    kind: Kind
    left: float
    width: float
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Row:
    """One stage's bars: the planned one (None in a close-up), and one for each attempt and undo."""

    stage: StageHistory
    planned: Bar | None
    actual: list[Bar]


@dataclass(frozen=True)
class Mark:
    """A vertical line at `left` percent, with its label."""

    left: float
    label: str


@dataclass(frozen=True)
class Chart:
    """The axis, its ticks, the window (left and width in percent), planned end, limit of lateness, and the rows.

    Window, planned end and limit are None in a close-up.
    """

    axis: Axis
    ticks: list[Mark]
    window: tuple[float, float] | None
    planned_end: Mark | None
    limit: Mark | None
    rows: list[Row]


@dataclass(frozen=True)
class Axis:
    """A time axis from `start` to `end`, both on a tick, with a tick every `step`."""

    start: datetime
    end: datetime
    step: timedelta

    @classmethod
    def over(cls, first: datetime, last: datetime) -> Axis:
        """Return the axis with the finest step that has room for its labels."""
        step = next((step for step in STEPS if (last - first) / step <= _most(step)), STEPS[-1])
        start = _floor(first, step)
        return cls(start, max(_floor(last + step - timedelta(microseconds=1), step), start + step), step)

    def place(self, instant: datetime) -> float:
        """Return an instant's place on the axis, in percent."""
        return round(100 * ((instant - self.start) / (self.end - self.start)), 3)

    def bar(self, kind: Kind, begins: datetime, ends: datetime) -> Bar:
        """Return a bar that is wide enough to be seen and stays on the axis."""
        left = min(self.place(begins), 100 - LEAST_WIDTH)
        return Bar(kind, left, round(max(self.place(ends) - left, LEAST_WIDTH), 3), begins, ends)

    def ticks(self) -> list[Mark]:
        """Return a mark for every step."""
        words = "%H:%M" if _most(self.step) == MOST_STEPS else "%H:%M:%S"
        instants = (self.start + self.step * number for number in range(round((self.end - self.start) / self.step) + 1))
        return [Mark(self.place(instant), f"{instant:{words}}") for instant in instants]


def _most(step: timedelta) -> int:
    return MOST_STEPS if step >= timedelta(minutes=1) else MOST_STEPS_OF_SECONDS


def chart(history: History) -> Chart | None:
    """Return the whole window, planned against actual; None for a process without window stages."""
    if not history.in_window or history.planned_end is None:
        return None
    opens, closes = history.window
    limit = history.planned_end + timedelta(minutes=history.plan["policy"]["abort_after_minutes"])
    deeds = [instant for stage in history.in_window for _, *ends in _deeds(stage) for instant in ends]
    plans = [instant for stage in history.in_window for instant in (stage.plan.start, stage.plan.end)]
    axis = Axis.over(min([opens, *plans, *deeds]), max([closes, *plans, *deeds]))
    return Chart(
        axis=axis,
        ticks=axis.ticks(),
        window=(axis.place(opens), round(axis.place(closes) - axis.place(opens), 3)),
        planned_end=Mark(axis.place(history.planned_end), f"planned end {history.planned_end:%H:%M}"),
        limit=Mark(min(axis.place(limit), 100), f"abort limit {limit:%H:%M}"),
        rows=[
            Row(
                stage,
                axis.bar("planned", stage.plan.start, stage.plan.end),
                [axis.bar(kind, begins, ends) for kind, begins, ends in _deeds(stage)],
            )
            for stage in history.in_window
        ],
    )


def close_up(history: History) -> Chart | None:
    """Return what was done from the window's start on, if it is too short to be seen on the whole window's axis."""
    whole = chart(history)
    done = {stage.name: [deed for deed in _deeds(stage) if deed[1] >= history.window[0]] for stage in history.in_window}
    instants = [instant for deeds in done.values() for _, *ends in deeds for instant in ends]
    if whole is None or not instants:
        return None
    first, last = min(instants), max(instants)
    if (last - first) * 4 > whole.axis.end - whole.axis.start:
        return None
    axis = Axis.over(first, last)
    rows = [
        Row(stage, None, [axis.bar(kind, begins, ends) for kind, begins, ends in done[stage.name]])
        for stage in history.in_window
        if done[stage.name]
    ]
    return Chart(axis, axis.ticks(), window=None, planned_end=None, limit=None, rows=rows)


def _deeds(stage: StageHistory) -> Iterator[tuple[Kind, datetime, datetime]]:
    """Yield attempts and undos with beginning and end; one without an end on record ends where it begins."""
    ends: dict[str | None, State] = {"ok": "done", "late": "late", "refused": "refused", None: "running"}
    for attempt in stage.attempts:
        yield ends.get(attempt.outcome, "failed"), attempt.started, attempt.finished or attempt.started
    for step in stage.undo:
        yield "undo", step.started, step.finished or step.started


def _floor(instant: datetime, step: timedelta) -> datetime:
    return instant - (instant - datetime(1970, 1, 1, tzinfo=UTC)) % step
