"""The names that templates may use: facts from plan, journal and the caller. docs/architecture.md lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core.journal import outbox
from plugins.module_utils.rollout_core.journal.entries import Entry, last, of
from plugins.module_utils.rollout_core.journal.events import (
    AnnouncementQueued,
    AnnouncementSettled,
    AnnouncementTried,
    IncidentClosed,
    IncidentOpened,
    WindowMoved,
)
from plugins.module_utils.rollout_core.journal.stages import estimates
from plugins.module_utils.rollout_core.time import timeline
from rollout.announcing.phrases import one_line, span
from rollout.views.abort_pack import not_undone
from rollout.views.history import History

Facts = Mapping[str, Any]
Entries = Sequence[Entry]

ANNOUNCE_IT = ("first", "new_date", "rescheduled")  # the messages that tell people when the window is

# Every name, and what it means: docs/architecture.md has the same table. The preview shows it for what is not known.
ALWAYS = {
    "rollout": "the id of the plan",
    "what": "`database update`, or `maintenance` when the plan is of another kind than the monthly deployment",
    "start": "when the window begins, an instant",
    "end": "when it ends, an instant",
    "window": "both, short: `22.00-23.30 UTC 3rd of December 2009`",
    "minutes": "how many minutes the window has",
    "earlier": "up to how many minutes before it some services are paused (R5); 0: none is",
    "pause_from": "when that can begin, an instant",
    "backup": "the backup window, short",
    "ahead": "whether the window is still to come",
    "people": "who is what, by role",
    "tried": "`start`; for `new_date` that of the window that was aborted, an instant",
    "begun": "whether any stage of that window was begun",
    "all_back": "whether everything that it had begun is taken back",
    "announcement": "the message by which people hear of the window: `first`, `new_date` or `rescheduled`",
    "goes_out": "what goes out, in order (R6): `message`, `at`, `past`, `by` (its deadline or nothing), `channels`",
}
OF_THE_SITE = {
    "service": "what the service is called; it opens a sentence",
    "effect": "`offline` or `read-only`",
    "in_full": "the same in full: `read-only, with other aspects offline`",
    "some_services": "`some services (soyuz)`: what is paused first (R5, R7)",
}
WHEN_KNOWN = {
    "out_for": "how long users were without the service, a length",
    "aborted_at": "when the abort was over, an instant",
    "source": "the source of the problem (R20)",
    "mended_at": "when it can be fixed, at best (R20), an instant",
    "mended": "whether that is over",
    "moved_from": "when the window was before it was moved, short",
    "number": "the number of the incident (R24)",
    "problem": "the problem, in one sentence",
    "seen": "when it was seen, an instant",
    "resolution": "what solved it, in one sentence",
    "affected_from": "since when users were affected, an instant",
    "affected_until": "until when, an instant",
    "wrong": "how the wrong announcement can be recognised: its subject or beginning",
    "wrong_at": "when that went out, an instant",
    "right": "what is right, in a sentence",
    "owner": "whose cowboys they are (R16)",
    "cowboys": "those that have not landed: `id`, `why`, `bug`, `files`, `hosts`, `state` of the review",
    "branch": "the branch that goes out",
    "revno": "the revision of it that goes out without them",
    "deployed": "what is in production: `at`, `revision`, `rollout`; empty before the first rollout",
    "next_merge": "until when a fix must be on it for the next window, in words; empty when the schedule has ended",
    "next_window": "when that window is, in words",
}
NAMES = {**ALWAYS, **OF_THE_SITE, **WHEN_KNOWN}


def about(plan: Facts, entries: Entries, now: datetime, **more: Any) -> dict[str, Any]:
    """Return the values that templates may use, by name (NAMES); a value that is not known is left out.

    A template that uses a name that is left out fails. `plan` is the plain data under `rollout`, `entries` are its
    journal's. `more` are values that neither has:

    - `after`: plan and entries of the aborted rollout whose next attempt this is (R21), for `new_date`
    - `moved_from`: the window's start before it was moved; otherwise as the journal has it
    - `number` of the incident; otherwise the one opened last. `problem`, `resolution`: otherwise the journal's
    - `corrects`: number of the announcement that was wrong; `right`: what is right; `wrong`, if its subject will not do
    - `chase`: one item of what the cowboy review reports (R16)
    - `channels`: `{message: [name, …]}`, for the announcer (R6)
    - any other value of WHEN_KNOWN, as it is

    Texts come out as one line each, without control characters. Raises TypeError for a key of `more` that is not known.
    """
    facts = {**_window(plan, now), "goes_out": list(_goes_out(plan, entries, now, more.pop("channels", {})))}
    facts |= _known(plan, entries, now)
    facts |= _moved(plan, entries, more.pop("moved_from", None))
    facts |= _incident(entries, more.pop("number", None))
    facts |= _corrected(entries, more.pop("corrects", None))
    before = more.pop("after", None)
    if before is not None:
        facts |= _aborted(before[0], before[1], now)
    facts |= _chased(more.pop("chase", {}))
    known = {"new_date"} if before is not None else {"rescheduled"} if "moved_from" in facts else set()
    facts["announcement"] = next((one["message"] for one in facts["goes_out"] if one["message"] in known), "first")
    if unknown := more.keys() - WHEN_KNOWN:
        raise TypeError(f"no template can name {', '.join(sorted(unknown))}")
    cleaned: dict[str, Any] = one_line({**facts, **more})
    return cleaned


def _window(plan: Facts, now: datetime) -> dict[str, Any]:
    start, end = timeline.window(plan)
    backup_start, backup_end = timeline.window({"window": plan["backup_window"]})
    earlier = plan["policy"]["pause_minutes_before"]
    return {
        "rollout": plan["id"],
        "what": "maintenance" if plan.get("kind") else "database update",
        "start": start,
        "end": end,
        "window": span(start, end),
        "minutes": plan["window"]["minutes"],
        "earlier": earlier,
        "pause_from": start - timedelta(minutes=earlier),
        "backup": span(backup_start, backup_end),
        "ahead": now < start,
        "people": dict(plan["people"]),
    }


def _goes_out(
    plan: Facts, entries: Entries, now: datetime, channels: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Yield what each stage of the process announces: the message, when, by when, and on which channels."""
    for stage, planned in zip(plan["process"], timeline.planned(plan, estimates(entries)), strict=True):
        if announces := stage.get("announces"):
            message, by = outbox.message_of(plan, entries, announces)
            at, where = planned.start, list(channels.get(message, ()))
            yield {"message": message, "at": at, "past": at < now, "by": by, "channels": where}


def _known(plan: Facts, entries: Entries, now: datetime) -> dict[str, Any]:
    """Return how long users were without the service, and the abort if there was one."""
    downtime = History(plan, entries).downtime
    return {**({"out_for": downtime} if downtime is not None else {}), **_aborted(plan, entries, now)}


def _aborted(plan: Facts, entries: Entries, now: datetime) -> dict[str, Any]:
    """Return what the journal knows of the abort of this rollout (R20)."""
    history = History(plan, entries)
    problem = history.problem
    mended_at = problem.mended_at if problem else None
    found = {
        "tried": history.window[0],
        "aborted_at": history.aborted_at,
        "begun": any(stage.attempts for stage in history.in_window),
        "all_back": not not_undone(history),
        "source": problem.source.rstrip(".") if problem and problem.source else None,
        "mended_at": mended_at,
        "mended": mended_at is not None and mended_at <= now,
    }
    return {name: value for name, value in found.items() if value is not None}


def _moved(plan: Facts, entries: Entries, moved_from: Any) -> dict[str, Any]:
    start = timeline.parse_instant(moved_from) if moved_from else _moved_from(entries)
    if start is None:
        return {}
    return {"moved_from": span(start, start + timedelta(minutes=plan["window"]["minutes"]))}


def _moved_from(entries: Entries) -> datetime | None:
    """Return the window that people heard of last, if it was moved since, even more than once."""
    told = {event.announcement: event.message for _, event in of(entries, AnnouncementQueued)}
    found, heard = None, True
    for entry in entries:
        event = entry.event
        if isinstance(event, WindowMoved) and heard:
            found, heard = event.from_, False
        elif isinstance(event, AnnouncementTried | AnnouncementSettled):
            said = event.outcome if isinstance(event, AnnouncementTried) else event.as_
            heard = heard or (said == "sent" and told.get(event.announcement) in ANNOUNCE_IT)
    return found


def _incident(entries: Entries, number: int | None) -> dict[str, Any]:
    given = {} if number is None else {"number": number}
    opened, closed = last(entries, IncidentOpened, **given), last(entries, IncidentClosed, **given)
    if opened is None:
        return given
    told: dict[str, Any] = {"seen": opened[1].seen}
    if closed and closed[1].number == opened[1].number:
        end = closed[1]
        told = {"resolution": end.resolution, **told}
        told |= {"affected_from": end.affected_from, "affected_until": end.affected_until}
    known = {name: value for name, value in told.items() if value is not None}
    return {"number": opened[1].number, "problem": opened[1].problem, **known}


def _corrected(entries: Entries, number: int | None) -> dict[str, Any]:
    """Return the announcement that was wrong, as its readers saw it."""
    queued = last(entries, AnnouncementQueued, announcement=number) if number is not None else None
    if queued is None:
        return {}
    texts = list(queued[1].texts.values())
    title = next((text["title"] for text in texts if text["title"]), None)
    sent = [e for e, event in of(entries, AnnouncementTried) if (event.announcement, event.outcome) == (number, "sent")]
    return {"wrong": title or texts[0]["body"].splitlines()[0], "wrong_at": (sent[0] if sent else queued[0]).at}


def _chased(chase: Facts) -> dict[str, Any]:
    names = ("owner", "cowboys", "branch", "revno", "deployed", "next_merge", "next_window")
    known = {"branch": "devel", **chase} if chase else {}  # journals of before do not say which branch
    return {name: known[name] if known[name] is not None else "" for name in names if name in known}
