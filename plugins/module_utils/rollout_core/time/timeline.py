"""When each stage should run, and when it did: plan and journal in, instants out.

A *plan* is the dict under `rollout:` of a plan file; *entries* are the journal's, as `journal.entries` returns them
(docs/architecture.md). All instants are timezone-aware UTC datetimes, all durations are timedeltas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Sequence

Plan = Mapping[str, Any]
Entry = Mapping[str, Any]

PAD = "pad"  # the step that stands for the minutes that R9 adds to the database time

_DURATION = re.compile(r"(?P<sign>-?)(?P<count>\d+)(?P<unit>[smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TEN_YEARS = 3653 * 86400
_YEARS = range(1970, 3000)  # of an instant: there is room to add to it


def parse_duration(text: str) -> timedelta:
    """`-48h`, `-30m`, `0m`, `12s`, `2d` as a timedelta. Raises ValueError for anything else, and beyond ten years."""
    match = _DURATION.fullmatch(str(text).strip())
    seconds = int(match["count"]) * _UNITS[match["unit"]] if match else 0
    if match is None or seconds > _TEN_YEARS:
        raise ValueError(f"{text!r} is not a duration such as -48h, -30m or 0m")
    return timedelta(seconds=-seconds if match["sign"] else seconds)


def parse_instant(value: Any) -> datetime:
    """An ISO 8601 instant, or a datetime, as a UTC datetime.

    Raises ValueError for anything else, and without Z or an offset: times are never guessed.
    """
    try:
        text = re.sub(r"[Zz]$", "+00:00", value.strip()) if isinstance(value, str) else ""
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{value!r} is not an instant such as 2026-12-09T08:00:00Z") from None
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no offset from UTC: write 2026-12-09T08:00:00Z")
    if instant.year not in _YEARS:
        raise ValueError(f"{value!r} is not an instant of our time")
    return instant.astimezone(timezone.utc)


def yes_or_no(value: Any) -> str:
    """The word that was meant: YAML reads a bare yes or no as true or false."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


class Step(NamedTuple):
    """One step that a stage is expected to take, such as a patch, in seconds."""

    name: str
    seconds: float


class StepRecord(NamedTuple):
    """One step that a stage reported, and the instant at which it began."""

    name: str
    since: datetime


@dataclass(frozen=True)
class PlannedStage:
    """One stage as the plan has it: `start` is the later of `due` and the end of the stage before it.

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
        """When it should be over."""
        return self.start + self.expected


@dataclass(frozen=True)
class StageRecord:
    """What the journal says of one stage. `outcome` is None while it runs; `started` is that of the latest attempt.

    `steps` are those that the latest attempt reported, in the order of their begin. `irreversible` (an attempt said so)
    and `was_done` (an attempt ended well) stay true whatever comes later: a commit is not taken back by trying again.
    """

    started: datetime
    finished: datetime | None = None
    outcome: str | None = None
    attempt: int = 1
    irreversible: bool = False
    undone: bool = False
    was_done: bool = False
    steps: tuple[StepRecord, ...] = ()

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


def until(entries: Sequence[Entry], now: datetime) -> Sequence[Entry]:
    """The entries up to the last one that is not later than `now`; what stands after it has not happened yet.

    What stands before it has, whatever its instant: a clock that was set back undoes no commit.
    """
    for length in range(len(entries), 0, -1):
        if parse_instant(entries[length - 1]["at"]) <= now:
            return entries[:length]
    return ()


def ended_well(entry: Entry) -> bool:
    """Whether this entry says that a stage is done."""
    event: str = entry["event"]
    return event == "stage_carried" or (event == "stage_finished" and entry["outcome"] == "ok")


def estimates(entries: Iterable[Entry]) -> dict[str, list[dict[str, Any]]]:
    """The latest estimate of each stage that another stage measured: `{stage: [{step, seconds}]}` (R9)."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        if ended_well(entry):
            found.update(_facts(entry).get("estimates", {}))
    return found


def planned(plan: Plan, entries: Iterable[Entry] = ()) -> list[PlannedStage]:
    """Every stage of the process in order, laid out one after the other, none before it is due.

    How long a stage takes is what an earlier stage measured, else the plan's `steps`, else its `minutes`.
    """
    measured = estimates(entries)
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


def actual(entries: Iterable[Entry]) -> dict[str, StageRecord]:
    """What happened to each stage that was ever begun, or carried over from an earlier rollout.

    Everything that was done is undone once the rollout is backed out (R17), and what an entry names as `redo` is.
    Other events are not looked at. `facts`, `attempt` and a step's `since` may be missing, as in a journal that was
    written by hand. The order is that of the entries, whatever their instants say.
    """
    seen: dict[str, StageRecord] = {}
    steps: dict[str, dict[str, Any]] = {}  # of the latest attempt: since when, in the order of their begin
    for entry in entries:
        event = entry["event"]
        if event == "step_started":
            begun = steps.setdefault(entry["stage"], {})
            begun.pop(entry["step"], None)
            begun[entry["step"]] = entry.get("since", entry["at"])
        elif event in _HAPPENED:
            name = entry["stage"]
            record = _HAPPENED[event](entry, parse_instant(entry["at"]), seen.get(name))
            if record is not None:
                seen[name] = record
            _not_done(seen, entry.get("redo", ()))  # they rest on what this entry settles otherwise (pins.to_redo)
            if event == "stage_started":
                steps.pop(name, None)
                _not_done(seen, [entry.get("until", "")])  # what ended an earlier hold has to end this one, too
        elif event == "window_moved":
            _not_done(seen, entry["redo"])  # what was confirmed and announced was another time (R3, R7)
        elif event == "back_out_finished" and entry["outcome"] == "ok":
            _not_done(seen, list(seen))
    for name, record in seen.items():
        begun = steps.get(name, {})
        seen[name] = replace(record, steps=tuple(StepRecord(step, parse_instant(at)) for step, at in begun.items()))
    return seen


def _not_done(seen: dict[str, StageRecord], names: Iterable[str]) -> None:
    seen.update({name: replace(seen[name], undone=True) for name in names if name in seen and seen[name].done})


def _started(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord:
    if before is None:
        return StageRecord(started=at, attempt=entry.get("attempt", 1))
    attempt = entry.get("attempt", before.attempt + 1)
    return StageRecord(started=at, attempt=attempt, irreversible=before.irreversible, was_done=before.was_done)


def _finished(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord:
    record = before or StageRecord(started=at)
    return replace(
        record,
        finished=at,
        outcome=entry["outcome"],
        irreversible=record.irreversible or bool(_facts(entry).get("irreversible")),
        undone=record.undone and entry["outcome"] != "ok",
        was_done=record.was_done or entry["outcome"] == "ok",
    )


def _carried(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord:
    """Done, in an earlier rollout: the first attempt in this one has not been made."""
    record = before or StageRecord(started=at, attempt=0)
    return _finished({**entry, "outcome": "ok"}, at, record)


def _undone(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord | None:  # noqa: ARG001 - like the others
    return replace(before, undone=True) if before is not None and entry["outcome"] == "ok" else before


def _released(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord | None:  # noqa: ARG001 - like the others
    """What the stage switched on is off again: it is to be done anew."""
    return replace(before, undone=True) if before is not None and entry["released"] else before


def _stopped(entry: Entry, at: datetime, before: StageRecord | None) -> StageRecord | None:  # noqa: ARG001 - like the others
    """A stage that could not be stopped any more is committing, or has."""
    return replace(before, irreversible=True) if before is not None and entry["answer"] == "too_late" else before


_HAPPENED: dict[str, Callable[[Entry, datetime, StageRecord | None], StageRecord | None]] = {
    "stage_started": _started,
    "stage_finished": _finished,
    "stage_carried": _carried,
    "undo_finished": _undone,
    "release_finished": _released,
    "stop_finished": _stopped,
}


def _facts(entry: Entry) -> Mapping[str, Any]:
    return entry.get("facts") or {}


def _steps(rows: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(row["step"], row["seconds"]) for row in rows)
