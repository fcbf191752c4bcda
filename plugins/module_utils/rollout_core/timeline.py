"""When each stage should run, and when it did: plan and journal in, instants out.

A *plan* is the dict under `rollout:` of a plan file; *entries* are the journal's, as `journal.entries` returns them
(docs/architecture.md). All instants are timezone-aware UTC datetimes, all durations are timedeltas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Iterable, Mapping

Plan = Mapping[str, Any]
Entry = Mapping[str, Any]

_DURATION = re.compile(r"(?P<sign>-?)(?P<count>\d+)(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str) -> timedelta:
    """`-48h`, `-30m`, `0m`, `12s`, `2d` as a timedelta. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as -48h, -30m or 0m")
    length = timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
    return -length if match["sign"] else length


def parse_instant(value: str | datetime) -> datetime:
    """An ISO 8601 instant as a UTC datetime. Raises ValueError without Z or an offset: times are never guessed."""
    instant = (
        value if isinstance(value, datetime) else datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", value.strip()))
    )
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no offset from UTC: write 2026-12-09T08:00:00Z")
    return instant.astimezone(timezone.utc)


@dataclass(frozen=True)
class PlannedStage:
    """One stage as the plan has it: `start` is the later of `due` and the end of the stage before it."""

    name: str
    due: datetime
    start: datetime
    expected: timedelta
    window: bool
    abortable: str
    undo: str | None
    undo_expected: timedelta

    @property
    def end(self) -> datetime:
        """When it should be over."""
        return self.start + self.expected


@dataclass(frozen=True)
class StageRecord:
    """What the journal says of one stage. `outcome` is None while it runs; `started` is that of the latest attempt."""

    started: datetime
    finished: datetime | None = None
    outcome: str | None = None
    attempt: int = 1
    irreversible: bool = False
    undone: bool = False

    @property
    def running(self) -> bool:
        """Begun and not finished, as far as the journal knows."""
        return self.outcome is None

    @property
    def done(self) -> bool:
        """Finished well, and not undone since."""
        return self.outcome == "ok" and not self.undone


def window(plan: Plan) -> tuple[datetime, datetime]:
    """Start and end of the rollout's window (R2)."""
    start = parse_instant(plan["window"]["start"])
    return start, start + timedelta(minutes=plan["window"]["minutes"])


def estimates(entries: Iterable[Entry]) -> dict[str, list[dict[str, Any]]]:
    """The latest estimate of each stage that another stage measured: `{stage: [{step, seconds}]}` (R9)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        if entry["event"] == "stage_finished" and entry["outcome"] == "ok":
            found.update(entry["facts"].get("estimates", {}))
    return found


def planned(plan: Plan, entries: Iterable[Entry] = ()) -> list[PlannedStage]:
    """Every stage of the process in order, laid out one after the other, none before it is due."""
    measured = estimates(entries)
    start_of_window, _ = window(plan)
    cursor: datetime | None = None
    layout = []
    for stage in plan["process"]:
        due = start_of_window + parse_duration(stage["due"])
        undo = stage.get("undo") or {}
        if stage["stage"] in measured:
            expected = timedelta(seconds=sum(step["seconds"] for step in measured[stage["stage"]]))
        else:
            expected = timedelta(minutes=stage["expects"]["minutes"])
        row = PlannedStage(
            name=stage["stage"],
            due=due,
            start=due if cursor is None else max(due, cursor),
            expected=expected,
            window=stage.get("window", False),
            abortable=str(stage.get("abortable", "yes")),
            undo=undo.get("playbook"),
            undo_expected=timedelta(minutes=undo.get("minutes", 0)),
        )
        layout.append(row)
        cursor = row.end
    return layout


def actual(entries: Iterable[Entry]) -> dict[str, StageRecord]:
    """What happened to each stage that was ever started."""
    seen: dict[str, StageRecord] = {}
    for entry in entries:
        name, at = entry.get("stage", ""), parse_instant(entry["at"])
        if entry["event"] == "stage_started":
            seen[name] = StageRecord(started=at, attempt=entry["attempt"])
        elif entry["event"] == "stage_finished":
            irreversible = bool(entry["facts"].get("irreversible"))
            seen[name] = replace(seen[name], finished=at, outcome=entry["outcome"], irreversible=irreversible)
        elif entry["event"] == "undo_finished" and entry["outcome"] == "ok" and name in seen:
            seen[name] = replace(seen[name], undone=True)
    return seen
