"""Where a rollout left the ordinary way, and who said that it may: a name for each, from the journal alone (R26)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.time import timeline
from rollout.views.deeds import Entry, at

RELEASE_CRITICAL = re.compile(r"\[release-critical=([^\]]+)\]")
# Gates of the conductor that ask whether to go on although a rule was not kept.
ALTHOUGH = {"begin_late": "begun after its deadline", "outgrow": "gone on past the end of the window"}


@dataclass(frozen=True)
class Approved:
    """What was done otherwise, who approved it, and why, as far as they said."""

    at: datetime
    what: str
    by: str
    why: str


def exceptions(entries: Sequence[Entry]) -> list[Approved]:
    """Every one, in order. Waivers, what was done by hand, fixes in RC mode, and answers from another terminal."""
    return [
        Approved(at(entry), *found) for entry in entries if (tell := TELL.get(entry["event"])) for found in tell(entry)
    ]


Found = tuple[str, str, str]  # what, by whom, why


def _waived(entry: Entry) -> Iterator[Found]:
    if entry.get("incident"):
        yield (
            f"incident {entry['incident']}: its {entry['message']} is not announced (R24)",
            entry["by"],
            entry["reason"],
        )
    else:
        yield f"{entry['message']} was not announced in time (R7, R21)", entry["by"], entry["reason"]


def _settled(entry: Entry) -> Iterator[Found]:
    words = {"given_up": "is given up", "sent": "is out, seen or posted by hand"}
    if entry["as"] in words:
        what = f"announcement {entry['announcement']} {words[entry['as']]} on {entry['channel']}"
        yield what, entry["by"], entry.get("reason") or ""


def _moved(entry: Entry) -> Iterator[Found]:
    start = timeline.parse_instant(entry["to"])
    yield f"the window is moved to {start:%a %-d %b %Y %H:%M} UTC (R3)", entry["by"], entry["reason"]


def _next_attempt(entry: Entry) -> Iterator[Found]:
    if entry.get("waived_by"):
        yield "the next attempt comes sooner than 48 h after its merge (R8)", entry["waived_by"], ""


def _answered(entry: Entry) -> Iterator[Found]:
    stage, gate, by = entry["stage"], entry["gate"], entry.get("name") or entry["by"]
    if gate in ALTHOUGH and entry["answer"] == "yes":
        yield f"{stage} is {ALTHOUGH[gate]}", by, ""
    elif gate == "failure" and entry["answer"] == "go-on":
        yield f"{stage} failed, and was done by hand", by, ""
    elif entry["source"] == "another terminal":
        asked = " ".join(filter(None, (gate, entry.get("item"))))
        yield f"{stage}: {asked} answered {entry['answer']} from another terminal", by, ""


def _fixed(entry: Entry) -> Iterator[Found]:
    """A fix of the merge goes out with it: everything between was release-critical (R13)."""
    facts = entry.get("facts") or {}
    if entry["outcome"] == "ok" and "unfixed_revno" in facts.get("pin", {}):
        for line in map(str, facts.get("evidence", ())):
            for who in RELEASE_CRITICAL.findall(line):
                yield f"lands after the merge: {line}", who, "release-critical (R13)"


TELL: dict[str, Callable[[Entry], Iterator[Found]]] = {
    "announcement_waived": _waived,
    "announcement_settled": _settled,
    "window_moved": _moved,
    "next_attempt": _next_attempt,
    "gate_answered": _answered,
    "stage_finished": _fixed,
}
