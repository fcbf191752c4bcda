"""Computes when each stage should run: the plan in, instants out. (journal/stages.py computes when it did.)

A *plan* is the dict under `rollout:` of a plan file (docs/architecture.md). All instants are timezone-aware UTC
datetimes, all durations are timedeltas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Mapping, NamedTuple, Sequence

Plan = Mapping[str, Any]
Estimates = Mapping[
    str, Sequence[Mapping[str, Any]]
]  # {stage: [{step, seconds}]}, as another stage has measured it (R9)

PAD = "pad"  # the step that stands for the minutes that R9 adds to the database time

_DURATION = re.compile(r"(?P<sign>-?)(?P<count>[0-9]{1,12})(?P<unit>[smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TEN_YEARS = 3653 * 86400
_YEARS = range(1970, 3000)  # of an instant: there is room to add to it


def parse_duration(text: str) -> timedelta:
    """Return `-48h`, `-30m`, `0m`, `12s`, `2d` as a timedelta. Raises ValueError for others, and beyond ten years."""
    match = _DURATION.fullmatch(str(text).strip())
    seconds = int(match["count"]) * _UNITS[match["unit"]] if match else 0
    if match is None or seconds > _TEN_YEARS:
        raise ValueError(f"{text!r} is not a duration such as -48h, -30m or 0m")
    return timedelta(seconds=-seconds if match["sign"] else seconds)


def duration_words(duration: timedelta) -> str:
    """Return a duration as people say it: `7 days`, `1 hour 30 minutes`, `45 seconds`; no more than two units."""
    seconds = round(duration.total_seconds())
    words = []
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            words.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(words[:2]) or "0 seconds"


def parse_instant(value: Any) -> datetime:
    """Return an ISO 8601 instant, or a datetime, as a UTC datetime.

    Raises ValueError for anything else, and without Z or an offset: times are never guessed.
    """
    try:
        text = re.sub(r"[Zz]$", "+00:00", value.strip()) if isinstance(value, str) else ""
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(text)
    except ValueError:  # which a very long text is, too
        raise ValueError(f"{value!r} is not an instant such as 2026-12-09T08:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no offset from UTC: write 2026-12-09T08:00:00Z")
    if instant.year not in _YEARS:
        raise ValueError(f"{value!r} is not an instant of our time")
    return instant.astimezone(timezone.utc)


def yes_or_no(value: Any) -> str:
    """Return the word that was meant: YAML reads a bare yes or no as true or false."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


class Step(NamedTuple):
    """One step that a stage is expected to take, such as a patch, in seconds."""

    name: str
    seconds: float


@dataclass(frozen=True)
class PlannedStage:
    """One planned stage: `start` is the later of `due` and the end of the stage before it.

    `steps` are what it is made of, in order, as far as that is known; then `expected` is their sum, pad included.
    """

    name: str
    due: datetime
    start: datetime
    expected: timedelta
    window: bool
    abortable: str
    undo: str | None
    undo_expected: timedelta
    steps: tuple[Step, ...] = ()

    @property
    def end(self) -> datetime:
        """Return when the stage should be over."""
        return self.start + self.expected


def window(plan: Plan) -> tuple[datetime, datetime]:
    """Return start and end of the rollout's window (R2)."""
    start = parse_instant(plan["window"]["start"])
    return start, start + timedelta(minutes=plan["window"]["minutes"])


def planned(plan: Plan, measured: Estimates | None = None) -> list[PlannedStage]:
    """Return every stage of the process in order, laid out one after the other, none before it is due.

    A stage takes what an earlier stage has measured, else the plan's `steps`, else its `minutes`.
    """
    measured = measured or {}
    start_of_window, _ = window(plan)
    cursor: datetime | None = None
    layout = []
    for stage in plan["process"]:
        due = start_of_window + parse_duration(stage["due"])
        undo = stage.get("undo") or {}
        expects = stage["expects"]
        steps = _steps(measured.get(stage["stage"]) or expects.get("steps") or ())
        minutes = 0 if steps else expects["minutes"]
        row = PlannedStage(
            name=stage["stage"],
            due=due,
            start=due if cursor is None else max(due, cursor),
            expected=timedelta(minutes=minutes, seconds=sum(step.seconds for step in steps)),
            window=stage.get("window", False),
            abortable=yes_or_no(stage.get("abortable", "yes")),
            undo=undo.get("playbook"),
            undo_expected=timedelta(minutes=undo.get("minutes", 0)),
            steps=steps,
        )
        layout.append(row)
        cursor = row.end
    return layout


def _steps(rows: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(row["step"], row["seconds"]) for row in rows)
