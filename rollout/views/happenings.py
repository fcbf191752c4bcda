"""Each event of the journal that a person would tell another about, in a line: the timeline of incident and abort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from rollout_core import timeline

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
            when = timeline.parse_instant(entry["since"]) if "since" in entry else at(entry)  # it was heard of later
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
    return f"{entry['stage']}: {asked} answered {entry['answer']} by {entry['by']} ({entry['source']})"


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
}
