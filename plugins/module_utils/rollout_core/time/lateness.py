"""Is the rollout late, and must it stop? (R19)

Lateness is projected end minus planned end, both of the last stage of the window. The projection chains what is done
(as it was), what is running and what is left. What runs ends at the later of now and its start plus its estimate; a
stage that has reported a step ends no sooner than that step and all those still to come take, the pad left out: the 10
minutes that R9 adds to the database time are spent before lateness counts. Whatever waits, waits at the cost of the
schedule. Everything here is a function of plan, journal and `now` alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Mapping, Sequence

from ..journal.stages import StageRecord
from .timeline import PAD, PlannedStage

SECOND = timedelta(seconds=1)  # nobody is late by less
NONE = timedelta()
_PATCH = re.compile(r"patch-(.+)\.sql")


class Verdict(str, Enum):
    """The verdict on lateness."""

    ON_TRACK = "on_track"
    LATE = "late"
    ABORT = "abort"
    MUST_FINISH = "must_finish"


@dataclass(frozen=True)
class Outlook:
    """The outlook on lateness at `now`.

    `stage` is the stage of the window that runs or is next (None: all are done), `left` those that are not done,
    `begun` whether any was begun and not undone. `running_for` is None unless it runs; `step` is the one that it
    reported last, `step_expected` None if nobody estimated it. `last_safe_abort` is the latest moment at which undoing
    what was begun still ends inside the window; None if nothing can be aborted any more, and then `no_return` says why
    (None: because nothing is left).
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
    step: str | None = None
    step_running_for: timedelta | None = None
    step_expected: timedelta | None = None
    no_return: str | None = None
    left: tuple[str, ...] = ()
    begun: bool = False

    @property
    def off_track(self) -> timedelta:
        """Return projected end minus planned end: negative when ahead."""
        return self.projected_end - self.planned_end


def outlook(
    layout: Sequence[PlannedStage], records: Mapping[str, StageRecord], window_end: datetime, now: datetime
) -> Outlook:
    """Return the outlook: the projected end of the window's last stage, by the plan and what has happened by `now`.

    Raises ValueError when no stage is in the window.
    """
    stages = [stage for stage in layout if stage.window]
    if not stages:
        raise ValueError("no stage of the process is in the window (window: true)")
    left = [stage for stage in stages if not _done(stage, records)]
    running = [stage for stage in left if stage.name in records and records[stage.name].running]
    current = next(iter([*running, *left]), None)
    record = records[running[0].name] if running else None
    step = record.steps[-1] if record is not None and record.steps else None
    known = {each.name: timedelta(seconds=each.seconds) for each in (current.steps if current else ())}
    no_return = _no_return(layout, records)
    abortable = no_return is None and bool(left)
    return Outlook(
        now=now,
        planned_end=stages[-1].end,
        projected_end=_projected_end(stages, records, now),
        window_end=window_end,
        stage=current.name if current else None,
        running_for=max(now - record.started, NONE) if record else None,
        expected=current.expected if current else NONE,
        abortable=abortable,
        last_safe_abort=window_end - _undo_time(stages, records) if abortable else None,
        step=step.name if step else None,
        step_running_for=max(now - step.since, NONE) if step else None,
        step_expected=known.get(step.name) if step else None,
        no_return=no_return,
        left=tuple(stage.name for stage in left),
        begun=any(stage.name in records and not records[stage.name].undone for stage in stages),
    )


def verdict(view: Outlook, limit: timedelta) -> Verdict:
    """Return the verdict: abort only if more than `limit` off-track and still undoable (R19)."""
    over = view.stage is None and view.no_return is None
    if view.off_track <= limit or over:
        return Verdict.LATE if view.off_track >= SECOND else Verdict.ON_TRACK
    return Verdict.ABORT if view.abortable else Verdict.MUST_FINISH


def too_late_to_begin(view: Outlook, limit: timedelta) -> bool:
    """Return True if the window has not begun and would only be begun to be aborted: then nothing is touched (R19)."""
    return not view.begun and verdict(view, limit) is Verdict.ABORT


def outgrows(view: Outlook, limit: timedelta, margin: timedelta) -> bool:
    """Return True if a person must decide (R2): it would end after the window, but is not late enough to abort.

    It is asked from `margin` before the last safe abort on.
    """
    if view.last_safe_abort is None or verdict(view, limit) not in (Verdict.ON_TRACK, Verdict.LATE):
        return False
    return view.projected_end > view.window_end and view.now >= view.last_safe_abort - margin


def time_left(layout: Sequence[PlannedStage], view: Outlook, limit: timedelta) -> timedelta | None:
    """Return how long the current or next stage may still run before the rollout is more than `limit` off-track (R19).

    Later stages are expected to take their whole estimate. Negative if it is too late; None if all is done.
    """
    if view.stage is None:
        return None
    names = [stage.name for stage in layout]
    after = [s for s in layout[names.index(view.stage) + 1 :] if s.window and s.name in view.left]
    return view.planned_end + limit - sum((stage.expected for stage in after), NONE) - view.now


def _projected_end(stages: Sequence[PlannedStage], records: Mapping[str, StageRecord], now: datetime) -> datetime:
    projected: datetime | None = None
    for stage in stages:
        record = records.get(stage.name)
        if record is not None and record.done and record.finished is not None:
            end = record.finished
        elif record is not None and record.running:
            end = max(now, record.started + stage.expected, _end_of_steps(stage, record, now))
        else:
            end = max(now, stage.start if projected is None else max(stage.due, projected)) + stage.expected
        projected = end if projected is None else max(projected, end)
    assert projected is not None  # noqa: S101 - stages is not empty
    return projected


def _end_of_steps(stage: PlannedStage, record: StageRecord, now: datetime) -> datetime:
    """Return when a running stage's reported step and those still to come are over, without the pad.

    A step that nobody estimated (closing access, the commit) is expected to be over now. For a stage that has reported
    no step it returns `now`, so that its start plus its whole estimate counts.
    """
    if not record.steps:
        return now
    current = record.steps[-1]
    begun = {step.name for step in record.steps}
    known = {step.name: timedelta(seconds=step.seconds) for step in stage.steps if step.name != PAD}
    to_come = sum((length for name, length in known.items() if name not in begun), NONE)
    return max(now, current.since + known.get(current.name, NONE)) + to_come


def _done(stage: PlannedStage, records: Mapping[str, StageRecord]) -> bool:
    return stage.name in records and records[stage.name].done


def _no_return(layout: Sequence[PlannedStage], records: Mapping[str, StageRecord]) -> str | None:
    """Return why nothing can be aborted any more, as a clause, or None. Later undos do not unmake a commit."""
    for stage in layout:
        record = records.get(stage.name)
        if record is None:
            continue
        if record.irreversible or (stage.window and stage.abortable == "until_commit" and record.was_done):
            return f"the commit is made ({stage.name})"
        if stage.window and stage.abortable == "no":
            return f"{stage.name} was begun, which cannot be aborted"
    return None


def _undo_time(stages: Sequence[PlannedStage], records: Mapping[str, StageRecord]) -> timedelta:
    begun = (stage.undo_expected for stage in stages if stage.name in records and not records[stage.name].undone)
    return sum(begun, NONE)


def reason(view: Outlook, limit: timedelta) -> str:
    """Return the verdict in one sentence that can be read aloud on the phone."""
    return "; ".join([*_doing(view), _ending(view, limit), _then(view, limit)])


def _doing(view: Outlook) -> list[str]:
    """Return what runs, or is next, and for how long it has run."""
    if view.stage is None:
        return []
    if view.running_for is None:
        return [f"{view.stage} has not begun"]
    stage = f"{view.stage} has run {_clock(view.running_for)} of about {_clock(view.expected)}"
    if view.step is None or view.step_running_for is None:
        return [stage]
    step, ran = _PATCH.sub(r"patch \1", view.step), _clock(view.step_running_for)
    if view.step_expected is None:
        return [f"{stage} ({step}: {ran})"]
    return [f"{step} has run {ran} of about {_clock(view.step_expected)}"]


def _ending(view: Outlook, limit: timedelta) -> str:
    ends = "ended" if view.stage is None else "would end"
    text = f"the rollout {ends} {_hhmm(view.projected_end, view.now)}, planned {_hhmm(view.planned_end, view.now)}"
    if view.off_track < SECOND:
        return text
    return f"{text}, {_clock(_up(view.off_track))} late (limit {_clock(limit)})"


def _then(view: Outlook, limit: timedelta) -> str:
    """Return what can still be done about it."""
    judged = verdict(view, limit)
    if view.stage is None:
        return "nothing is left to do"
    if judged is Verdict.MUST_FINISH:
        until = _hhmm(view.projected_end, view.now)
        why = view.no_return or "the point of no return is behind us"
        return f"{why}, so it must be finished: {', '.join(view.left)}, until about {until}"
    if view.last_safe_abort is None:
        return f"{view.no_return or 'the point of no return is behind us'}: it can no longer be aborted"
    if too_late_to_begin(view, limit):
        return "nothing of the window has begun, and it is too late to begin"
    if view.last_safe_abort < view.now:
        return f"it can be aborted, but since {_hhmm(view.last_safe_abort, view.now)} undoing it outlasts the window"
    return f"it can be aborted until {_hhmm(view.last_safe_abort, view.now)}"


def _up(length: timedelta) -> timedelta:
    """Return a length rounded up to a whole second, so that a length over the limit also reads as over it."""
    return timedelta(seconds=math.ceil(length.total_seconds()))


def _clock(length: timedelta) -> str:
    """Return 38:42 for minutes and seconds, 1:02:03 with hours; a leading minus if negative."""
    seconds = int(abs(length.total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return "-" + text if length < NONE and text != "0:00" else text


def _hhmm(instant: datetime, now: datetime) -> str:
    """Return the time of day, with its day if that is not clear from `now`."""
    near = abs(instant - now) < timedelta(hours=12)
    return instant.strftime("%H:%M" if near else "%a %d %b %H:%M")
