"""Each event of the journal that a person would tell another about, in a line: the timeline of incident and abort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from plugins.module_utils.rollout_core.time import timeline
from rollout.views.deeds import Entry, at
from rollout.views.markdown import one_line
from rollout.views.text import first_sentence, length

BEGINS = {
    "stage_finished": "stage_started",
    "undo_finished": "undo_started",
    "release_finished": "release_started",
    "back_out_finished": "back_out_started",
}


def happenings(entries: Sequence[Entry]) -> Iterator[tuple[datetime, str]]:
    """When, and what, in the order in which it happened; what has a beginning on record says how long it took."""
    begun: dict[tuple[str, str], datetime] = {}
    told = []
    for entry in entries:
        event, stage = entry["event"], entry.get("stage", "")
        begun[event, stage] = at(entry)
        if event in TELL:
            since = begun.get((BEGINS.get(event, ""), stage))
            took = f" ({length(at(entry) - since)})" if since else ""
            heard_of = entry.get("since") or entry.get("seen")  # it was before it was heard of
            when = timeline.parse_instant(heard_of) if heard_of else at(entry)
            told.append((when, one_line(TELL[event](entry, took))))
    yield from sorted(told, key=lambda happening: happening[0])


def _stage_started(entry: Entry, _: str) -> str:
    again = f" (attempt {entry['attempt']})" if entry.get("attempt", 1) > 1 else ""
    return f"{entry['stage']} begins{again}"


def _stage_finished(entry: Entry, took: str) -> str:
    why = f": {first_sentence(entry['message'])}" if entry.get("message") else ""
    again = f"; to be done again: {', '.join(entry['redo'])}" if entry.get("redo") else ""
    return f"{entry['stage']} ends, {entry['outcome']}{took}{why}{again}"


def _step_started(entry: Entry, _: str) -> str:
    return f"{entry['stage']}: {entry['step']} begins"


def _stage_carried(entry: Entry, _: str) -> str:
    return f"{entry['stage']} stands, as done in rollout {entry['rollout']}"


def _gate_answered(entry: Entry, _: str) -> str:
    asked = " ".join(filter(None, [entry["gate"], entry.get("item")]))
    where = f"{entry['stage']}: " if entry["stage"] else ""  # asked while no stage was at work
    return f"{where}{asked} answered {entry['answer']} by {entry['by']} ({entry['source']})"


def _verdict(entry: Entry, _: str) -> str:
    return f"{entry['stage']}: {entry['verdict'].replace('_', ' ')}, {entry['reason']}"


def _abort_requested(entry: Entry, _: str) -> str:
    return f"{entry['by']} asks for an abort ({entry['source']}): {entry['reason']}"


def _stop_requested(entry: Entry, _: str) -> str:
    return f"{entry['stage']} is asked to stop by {entry['playbook']}"


def _stop_finished(entry: Entry, _: str) -> str:
    left = [f"STILL RUNS: {survivor}" for survivor in entry["survivors"]]
    left += [f"NOT PROVEN: {host} does not answer" for host in entry["unproven"]]
    answer = entry["answer"].replace("_", " ")
    proof = "; ".join(left) or ("it runs on" if answer == "too late" else "nothing of it is left")
    return f"{entry['stage']} answers {answer} ({length(entry['seconds'])}); {proof}"


def _undo_finished(entry: Entry, took: str) -> str:
    if entry["outcome"] == "ok":
        return f"{entry['stage']} undone by {entry['playbook']}{took}"
    why = f": {first_sentence(entry['message'])}" if entry.get("message") else ""
    return f"{entry['stage']} NOT UNDONE by {entry['playbook']}{took}{why}"


def _release_finished(entry: Entry, took: str) -> str:
    if entry["released"]:
        return f"what {entry['stage']} had switched on is ended{took}"
    return f"what {entry['stage']} switched on STAYS ON{took}: {entry['why']}"


def _back_out_started(entry: Entry, _: str) -> str:
    return f"everything is backed out after {entry['stage']}, by {entry['playbook']}"


def _back_out_finished(entry: Entry, took: str) -> str:
    if entry["outcome"] == "ok":
        return f"BACKED OUT{took}: nothing of this rollout goes out"
    return f"NOT BACKED OUT{took}: {first_sentence(entry.get('message') or '')}"


def _verified(entry: Entry, _: str) -> str:
    expected = entry["expect"].replace("_", " ")
    return f"the hosts are {'' if entry['outcome'] == 'ok' else 'NOT '}{expected}: {entry['summary']}"


def _problem_told(entry: Entry, _: str) -> str:
    if entry["source"] is None:
        return "nobody says what the source was"
    mended = f"mended {timeline.parse_instant(entry['mended_at']):%a %-d %b %H:%M} UTC" if entry["mended_at"] else None
    return f"{entry['by']} says: {entry['source']}; {mended or 'when it can be mended is not known'}"


def _next_attempt(entry: Entry, _: str) -> str:
    if entry["start"] is None:
        return "no window was found for the next attempt"
    return f"next attempt: {timeline.parse_instant(entry['start']):%a %-d %b %Y %H:%M} UTC"


def _announcement_queued(entry: Entry, _: str) -> str:
    by = f", to be out by {_minute(entry['by'])}" if entry.get("by") else ""
    return f"{_announced(entry)} is to go to {', '.join(entry['texts'])}{by}"


def _announcement_tried(entry: Entry, _: str) -> str:
    came = {"sent": "is out", "not_sent": "did NOT go out", "unknown": "MAY BE OUT"}[entry["outcome"]]
    again = f" (attempt {entry['attempt']})" if entry["attempt"] > 1 else ""
    return f"announcement {entry['announcement']} {came} on {entry['channel']}{again}: {entry['said']}"


def _announcement_settled(entry: Entry, _: str) -> str:
    says = {"sent": "is out", "again": "is to be sent again", "given_up": "is GIVEN UP"}[entry["as"]]
    why = f": {entry['reason']}" if entry.get("reason") else ""
    return f"{entry['by']} says: announcement {entry['announcement']} {says} on {entry['channel']}{why}"


def _announcement_waived(entry: Entry, _: str) -> str:
    if entry.get("incident"):
        return (
            f"{entry['by']} has `{entry['message']}` of incident {entry['incident']} not announced: {entry['reason']}"
        )
    return f"{entry['by']} answers for it that `{entry['message']}` was not out in time: {entry['reason']}"


def _window_moved(entry: Entry, _: str) -> str:
    again = f"; to be done again: {', '.join(entry['redo'])}" if entry.get("redo") else ""
    when = f"from {_minute(entry['from'])} to {_minute(entry['to'])}"
    return f"{entry['by']} moves the window {when}: {entry['reason']}{again}"


def _incident_opened(entry: Entry, _: str) -> str:
    who = f"seen by {entry['by']}" if entry.get("by") else "found by the checks"
    return f"incident {entry['number']}, {who}: {first_sentence(entry['problem'])}"


def _incident_closed(entry: Entry, _: str) -> str:
    return f"incident {entry['number']} is closed by {entry['by']}: {entry['resolution']}"


def _announced(entry: Entry) -> str:
    about = f" of incident {entry['incident']}" if entry.get("incident") else ""
    return f"announcement {entry['announcement']} (`{entry['message']}`{about})"


def _minute(text: str) -> str:
    return f"{timeline.parse_instant(text):%a %-d %b %H:%M} UTC"


TELL: dict[str, Callable[[Entry, str], str]] = {
    "stage_started": _stage_started,
    "stage_finished": _stage_finished,
    "step_started": _step_started,
    "stage_carried": _stage_carried,
    "gate_answered": _gate_answered,
    "verdict": _verdict,
    "abort_requested": _abort_requested,
    "stop_requested": _stop_requested,
    "stop_finished": _stop_finished,
    "undo_finished": _undo_finished,
    "release_finished": _release_finished,
    "back_out_started": _back_out_started,
    "back_out_finished": _back_out_finished,
    "verified": _verified,
    "problem_told": _problem_told,
    "next_attempt": _next_attempt,
    "announcement_queued": _announcement_queued,
    "announcement_tried": _announcement_tried,
    "announcement_settled": _announcement_settled,
    "announcement_waived": _announcement_waived,
    "window_moved": _window_moved,
    "incident_opened": _incident_opened,
    "incident_closed": _incident_closed,
}
