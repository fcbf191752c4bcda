"""Is the rollout late, and must it stop? (R19)

Lateness is projected end minus planned end, both of the last stage of the window. The projection chains what is done
(as it was), what is running (the later of now and its start plus its estimate) and what is left. Whatever waits, waits
at the cost of the schedule. The 10 minutes that R9 adds to the database time are part of the outage's estimate, so they
are spent before lateness counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Mapping, Sequence

from .timeline import PlannedStage, StageRecord

SECOND = timedelta(seconds=1)  # nobody is late by less


class Verdict(str, Enum):
    """What lateness means for the rollout."""

    ON_TRACK = "on_track"
    LATE = "late"
    ABORT = "abort"
    MUST_FINISH = "must_finish"


@dataclass(frozen=True)
class Outlook:
    """How the rollout stands at `now`.

    `stage` is the one that runs or is next (None: all are done); `running_for` is None unless it runs.
    `last_safe_abort` is the latest moment at which undoing what was begun still ends inside the window; None when
    nothing can be aborted any more.
    """

    now: datetime
    planned_end: datetime
    projected_end: datetime
    window_end: datetime
    stage: str | None
    running_for: timedelta | None
    expected: timedelta
    abortable: bool
    last_safe_abort: datetime | None

    @property
    def off_track(self) -> timedelta:
        """Projected end minus planned end: negative when ahead."""
        return self.projected_end - self.planned_end


def outlook(
    layout: Sequence[PlannedStage], records: Mapping[str, StageRecord], window_end: datetime, now: datetime
) -> Outlook:
    """Project the end of the window's last stage from what was planned and what has happened by `now`.

    Raises ValueError when no stage is in the window.
    """
    stages = [stage for stage in layout if stage.window]
    if not stages:
        raise ValueError("no stage of the process is in the window (window: true)")
    projected: datetime | None = None
    current: PlannedStage | None = None
    running: StageRecord | None = None
    for stage in stages:
        record = records.get(stage.name)
        if record is not None and record.done and record.finished is not None:
            end = record.finished
        elif record is not None and record.running:
            end = max(now, record.started + stage.expected)
            running = record
        else:
            end = max(now, stage.start if projected is None else max(stage.due, projected)) + stage.expected
        if current is None and not (record is not None and record.done):
            current = stage
        projected = end
    assert projected is not None  # noqa: S101 - stages is not empty
    abortable = _abortable(stages, records)
    return Outlook(
        now=now,
        planned_end=stages[-1].end,
        projected_end=projected,
        window_end=window_end,
        stage=current.name if current else None,
        running_for=now - running.started if running is not None else None,
        expected=current.expected if current else timedelta(),
        abortable=abortable,
        last_safe_abort=window_end - _undo_time(stages, records) if abortable else None,
    )


def _abortable(stages: Sequence[PlannedStage], records: Mapping[str, StageRecord]) -> bool:
    """The commit is the point of no return; so is a stage that is never abortable once it has begun."""
    for stage in stages:
        record = records.get(stage.name)
        if record is None:
            continue
        if record.irreversible or (stage.abortable == "no" and not record.undone):
            return False
        if stage.abortable == "until_commit" and record.done:
            return False
    return any(not (stage.name in records and records[stage.name].done) for stage in stages)


def _undo_time(stages: Sequence[PlannedStage], records: Mapping[str, StageRecord]) -> timedelta:
    begun = (stage.undo_expected for stage in stages if stage.name in records and not records[stage.name].undone)
    return sum(begun, timedelta())


def verdict(view: Outlook, limit: timedelta) -> Verdict:
    """Abort only what is more than `limit` off-track and can still be undone (R19); `limit` itself is not too late."""
    if view.off_track <= limit:
        return Verdict.LATE if view.off_track >= SECOND else Verdict.ON_TRACK
    return Verdict.ABORT if view.abortable else Verdict.MUST_FINISH


def reason(view: Outlook, limit: timedelta) -> str:
    """The verdict in one sentence that can be read aloud on the phone."""
    judged = verdict(view, limit)
    parts: list[str] = []
    if view.stage and view.running_for is not None:
        parts.append(f"{view.stage} has run {_clock(view.running_for)} of about {_clock(view.expected)}")
    elif view.stage:
        parts.append(f"{view.stage} has not begun")
    end = f"the rollout would end {_hhmm(view.projected_end)}, planned {_hhmm(view.planned_end)}"
    if judged is not Verdict.ON_TRACK:
        end += f", {_clock(view.off_track)} late (limit {_clock(limit)})"
    parts.append(end)
    if view.last_safe_abort is not None:
        parts.append(f"it can be aborted until {_hhmm(view.last_safe_abort)}")
    else:
        parts.append("the point of no return is behind us" if view.stage else "nothing is left to do")
    return "; ".join(parts)


def _clock(length: timedelta) -> str:
    """38:42 for minutes and seconds, 1:02:03 with hours; a leading minus when negative."""
    seconds = int(abs(length.total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return "-" + text if length < timedelta() and text != "0:00" else text


def _hhmm(instant: datetime) -> str:
    return instant.strftime("%H:%M")
