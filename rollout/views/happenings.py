"""The events of the journal that a person would tell another about, a line each: timeline of an incident or abort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    AbortRequested,
    AnnouncementQueued,
    AnnouncementSettled,
    AnnouncementTried,
    AnnouncementWaived,
    BackOutFinished,
    BackOutStarted,
    ClaimTakeOver,
    Event,
    GateAnswered,
    HostsVerified,
    IncidentClosed,
    IncidentOpened,
    NextAttemptPlanned,
    PlanDropped,
    ProblemTold,
    ReleaseFinished,
    ReleaseStarted,
    ServiceClaimed,
    StageCarried,
    StageFinished,
    StageStarted,
    StepStarted,
    StopFinished,
    StopRequested,
    UndoFinished,
    UndoStarted,
    VerdictChanged,
    WindowMoved,
)
from plugins.module_utils.rollout_core.journal.incidents import first_sentence
from rollout.views.markdown import one_line
from rollout.views.text import length

BEGINS: dict[type[Event], type[Event]] = {
    StageFinished: StageStarted,
    UndoFinished: UndoStarted,
    ReleaseFinished: ReleaseStarted,
    BackOutFinished: BackOutStarted,
}


def happenings(entries: Sequence[Entry]) -> Iterator[tuple[datetime, str]]:
    """Yield when and what, in order; a line says how long something took if its beginning is on record."""
    begun: dict[tuple[type[Event], str], datetime] = {}
    told = []
    for entry in entries:
        kind, stage = type(entry.event), str(getattr(entry.event, "stage", ""))
        begun[kind, stage] = entry.at
        if kind in TELL:
            since = begun.get((BEGINS[kind], stage)) if kind in BEGINS else None
            took = f" ({length(entry.at - since)})" if since else ""
            told.append((_when(entry), one_line(TELL[kind](entry.event, took))))
    yield from sorted(told, key=lambda happening: happening[0])


def _when(entry: Entry) -> datetime:
    """Return when an event happened: a step's beginning, or a problem, may be older than its entry."""
    event = entry.event
    if isinstance(event, StepStarted):
        return event.since or entry.at
    return (event.seen or entry.at) if isinstance(event, IncidentOpened) else entry.at


def _stage_started(event: StageStarted, _: str) -> str:
    again = f" (attempt {event.attempt})" if (event.attempt or 1) > 1 else ""
    return f"{event.stage} begins{again}"


def _stage_finished(event: StageFinished, took: str) -> str:
    why = f": {first_sentence(event.message)}" if event.message else ""
    again = f"; to be done again: {', '.join(event.redo)}" if event.redo else ""
    return f"{event.stage} ends, {event.outcome}{took}{why}{again}"


def _step_started(event: StepStarted, _: str) -> str:
    return f"{event.stage}: {event.step} begins"


def _stage_carried(event: StageCarried, _: str) -> str:
    return f"{event.stage} stands, as done in rollout {event.rollout}"


def _gate_answered(event: GateAnswered, _: str) -> str:
    asked = " ".join(filter(None, [event.gate, event.item]))
    where = f"{event.stage}: " if event.stage else ""  # asked while no stage was at work
    return f"{where}{asked} answered {event.answer} by {event.by} ({event.source})"


def _verdict(event: VerdictChanged, _: str) -> str:
    return f"{event.stage}: {event.verdict.replace('_', ' ')}, {event.reason}"


def _abort_requested(event: AbortRequested, _: str) -> str:
    return f"{event.by} asks for an abort ({event.source}): {event.reason}"


def _stop_requested(event: StopRequested, _: str) -> str:
    return f"{event.stage} is asked to stop by {event.playbook}"


def _stop_finished(event: StopFinished, _: str) -> str:
    left = [f"STILL RUNS: {survivor}" for survivor in event.survivors]
    left += [f"NOT PROVEN: {host} does not answer" for host in event.unproven]
    answer = event.answer.replace("_", " ")
    proof = "; ".join(left) or ("it runs on" if answer == "too late" else "nothing of it is left")
    return f"{event.stage} answers {answer} ({length(event.seconds)}); {proof}"


def _undo_finished(event: UndoFinished, took: str) -> str:
    if event.outcome == "ok":
        return f"{event.stage} undone by {event.playbook}{took}"
    why = f": {first_sentence(event.message)}" if event.message else ""
    return f"{event.stage} NOT UNDONE by {event.playbook}{took}{why}"


def _release_finished(event: ReleaseFinished, took: str) -> str:
    if event.released:
        return f"what {event.stage} had switched on is ended{took}"
    return f"what {event.stage} switched on STAYS ON{took}: {event.why}"


def _back_out_started(event: BackOutStarted, _: str) -> str:
    return f"everything is backed out after {event.stage}, by {event.playbook}"


def _back_out_finished(event: BackOutFinished, took: str) -> str:
    if event.outcome == "ok":
        return f"BACKED OUT{took}: nothing of this rollout goes out"
    return f"NOT BACKED OUT{took}: {first_sentence(event.message or '')}"


def _verified(event: HostsVerified, _: str) -> str:
    expected = event.expect.replace("_", " ")
    return f"the hosts are {'' if event.outcome == 'ok' else 'NOT '}{expected}: {event.summary}"


def _problem_told(event: ProblemTold, _: str) -> str:
    if event.source is None:
        return "nobody says what the source was"
    mended = f"mended {event.mended_at:%a %-d %b %H:%M} UTC" if event.mended_at else None
    return f"{event.by} says: {event.source}; {mended or 'when it can be mended is not known'}"


def _next_attempt(event: NextAttemptPlanned, _: str) -> str:
    if event.start is None:
        return "no window was found for the next attempt"
    return f"next attempt: {event.start:%a %-d %b %Y %H:%M} UTC"


def _announcement_queued(event: AnnouncementQueued, _: str) -> str:
    by = f", to be out by {_minute(event.by)}" if event.by else ""
    return f"{_announced(event)} is to go to {', '.join(event.texts)}{by}"


def _announcement_tried(event: AnnouncementTried, _: str) -> str:
    came = {"sent": "is out", "not_sent": "did NOT go out", "unknown": "MAY BE OUT"}.get(event.outcome, "MAY BE OUT")
    again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    return f"announcement {event.announcement} {came} on {event.channel}{again}: {event.said}"


def _announcement_settled(event: AnnouncementSettled, _: str) -> str:
    says = {"sent": "is out", "again": "is to be sent again", "given_up": "is GIVEN UP"}.get(event.as_, event.as_)
    why = f": {event.reason}" if event.reason else ""
    return f"{event.by} says: announcement {event.announcement} {says} on {event.channel}{why}"


def _announcement_waived(event: AnnouncementWaived, _: str) -> str:
    if event.incident:
        return f"{event.by} has `{event.message}` of incident {event.incident} not announced: {event.reason}"
    return f"{event.by} answers for it that `{event.message}` was not out in time: {event.reason}"


def _window_moved(event: WindowMoved, _: str) -> str:
    again = f"; to be done again: {', '.join(event.redo)}" if event.redo else ""
    when = f"from {_minute(event.from_)} to {_minute(event.to)}"
    return f"{event.by} moves the window {when}: {event.reason}{again}"


def _plan_dropped(event: PlanDropped, _: str) -> str:
    return f"{event.by} drops the plan: {event.reason}"


def _service_claimed(event: ServiceClaimed, _: str) -> str:
    return f"{event.service} is claimed by {event.by} on {event.machine} ({event.checkout})"


def _claim_take_over(event: ClaimTakeOver, _: str) -> str:
    return f"{event.by} takes the service over from {event.from_}: {event.reason}"


def _incident_opened(event: IncidentOpened, _: str) -> str:
    who = f"seen by {event.by}" if event.by else "found by the checks"
    return f"incident {event.number}, {who}: {first_sentence(event.problem)}"


def _incident_closed(event: IncidentClosed, _: str) -> str:
    return f"incident {event.number} is closed by {event.by}: {event.resolution}"


def _announced(event: AnnouncementQueued) -> str:
    about = f" of incident {event.incident}" if event.incident else ""
    return f"announcement {event.announcement} (`{event.message}`{about})"


def _minute(instant: datetime) -> str:
    return f"{instant:%a %-d %b %H:%M} UTC"


TELL: dict[type[Event], Callable[[Any, str], str]] = {
    StageStarted: _stage_started,
    StageFinished: _stage_finished,
    StepStarted: _step_started,
    StageCarried: _stage_carried,
    GateAnswered: _gate_answered,
    VerdictChanged: _verdict,
    AbortRequested: _abort_requested,
    StopRequested: _stop_requested,
    StopFinished: _stop_finished,
    UndoFinished: _undo_finished,
    ReleaseFinished: _release_finished,
    BackOutStarted: _back_out_started,
    BackOutFinished: _back_out_finished,
    HostsVerified: _verified,
    ProblemTold: _problem_told,
    NextAttemptPlanned: _next_attempt,
    AnnouncementQueued: _announcement_queued,
    AnnouncementTried: _announcement_tried,
    AnnouncementSettled: _announcement_settled,
    AnnouncementWaived: _announcement_waived,
    WindowMoved: _window_moved,
    PlanDropped: _plan_dropped,
    ServiceClaimed: _service_claimed,
    ClaimTakeOver: _claim_take_over,
    IncidentOpened: _incident_opened,
    IncidentClosed: _incident_closed,
}
