"""Records problems found after a rollout: each has a page that people finish, and is closed in the end (R24).

The journal comes first, the page after it: `write_pages` adds whatever a crash in between has left out.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core import plain_text
from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import IncidentClosed, IncidentOpened, StageFinished
from plugins.module_utils.rollout_core.journal.incidents import (
    Incident,
    IncidentEnd,
    ProblemSeen,
    first_sentence,
    incidents,
)
from rollout import documents, whole_file
from rollout.gates.mailbox import MailboxMessage
from rollout.journal.file import Journal
from rollout.outcomes import BadInputError
from rollout.plan.model import Plan
from rollout.views import resolution

SUMMARY_AT_MOST = 200  # characters: it stands in an announcement, and in a line of status
DETAILS_AT_MOST = 50_000  # characters: more belongs beside the page
AHEAD = timedelta(minutes=5)  # of our clock, which another one may be


@dataclass(frozen=True)
class TypedEnd:
    """The end of an incident as it was typed; None for an option that was not given."""

    resolution: str
    source: str | None = None
    mended_by: str | None = None
    affected_from: datetime | None = None
    affected_until: datetime | None = None


# -- opening --------------------------------------------------------------------------------------------------------


def seen(summary: str, details: str | None, at: datetime | None, now: datetime) -> ProblemSeen:
    """Return a problem that a person has seen, `at` or `now`. `details` is text, or the name of a file that holds it.

    Raises BadInputError: without a summary, for one that is too long, for an instant that is still to come.
    """
    line = " ".join(summary.split())
    if len(line) > SUMMARY_AT_MOST or (wrong := plain_text.no_line(line)):
        told = f"in one line of at most {SUMMARY_AT_MOST} characters" if len(line) > SUMMARY_AT_MOST else f"so: {wrong}"
        said = f"E-bad-summary  Say what is wrong {told}."
        raise BadInputError(f'{said}\n  The rest:  ./runbook.py incident new "…" --details FILE')
    if at is not None and at > now + AHEAD:
        raise BadInputError(f"E-not-yet  --seen {at:%F %H:%M:%S} UTC is still to come; it is {now:%F %H:%M:%S} UTC.")
    return ProblemSeen(line, at or now, getpass.getuser(), _details(details))


def _details(given: str | None) -> str | None:
    text = documents.read_text(Path(given)) if given and os.path.isfile(given) else given  # noqa: PTH113 - any text
    if text and len(text) > DETAILS_AT_MOST:
        said = f"E-long-details  {len(text)} characters; the journal keeps at most {DETAILS_AT_MOST}."
        raise BadInputError(f"{said}\n  Put the file beside the page, and name it in --details.")
    return plain_text.clean(text).strip() or None if text else None


def record(directory: Path, journal: Journal, what: ProblemSeen) -> Incident:
    """Put a problem on record; return its incident. What checks find again while it is open is the same incident."""
    known = incidents(journal.entries)
    if what.by is None:
        for each in known:
            if each.open and each.by is None and each.details == (what.details or what.problem):
                return each
    number = max((each.number for each in known), default=0) + 1
    while (directory / _page(number)).exists():  # somebody's own
        number += 1
    journal.write(IncidentOpened(number, _page(number), what.problem, what.details, what.at, what.by))
    return incidents(journal.entries)[-1]


def heard(directory: Path, journal: Journal, message: MailboxMessage) -> Incident:
    """Put a problem on record that another terminal reports to the runbook at work; that terminal writes the page."""
    return record(
        directory, journal, ProblemSeen(message.text, message.seen or journal.now(), message.by, message.details)
    )


def found_by_checks(directory: Path, plan: Plan, journal: Journal, failure: str) -> Path:
    """Put a failure after the commit on record; return the incident's page. `failure` is the stage's message."""
    ended = journal.last(StageFinished)
    at = ended[0].at if ended else journal.now()
    incident = record(directory, journal, ProblemSeen(first_sentence(failure), at, None, failure))
    write_pages(directory, plan.as_vars(), journal.entries)
    return directory / incident.file


# -- finding and closing --------------------------------------------------------------------------------------------


def get(directory: Path, entries: Sequence[Entry], number: int) -> Incident:
    """Return the incident with that number. Raises BadInputError if there is none."""
    known = {each.number: each for each in incidents(entries)}
    if number not in known:
        there = ", ".join(str(each) for each in known) or "none"
        said = f"E-no-incident  Rollout {directory.name} has no incident {number}; it has: {there}."
        raise BadInputError(f"{said}\n  Of another rollout:  --plan var/rollouts/ID/plan.yml")
    return known[number]


def close(directory: Path, plan: Plan, journal: Journal, number: int, ended: TypedEnd) -> Incident:
    """Close an incident, under the rollout's lock: in the journal, then in its page. What people wrote there counts.

    Raises BadInputError when it is closed already, when there is no resolution, or when the page says otherwise than
    what was typed.
    """
    incident = get(directory, journal.entries, number)
    if incident.closing:
        said = f"{incident.closing.at:%F %H:%M} UTC by {incident.closing.by}: {incident.closing.resolution}"
        raise BadInputError(f"E-closed-already  Incident {number} was closed {said}")
    typed = _typed(ended, incident, journal.now())
    write_pages(directory, plan.as_vars(), journal.entries)
    page = directory / incident.file
    written = resolution.said(_text(page))
    for field, line in written.items():
        if typed.get(field) not in (None, line.text):
            what = f"{resolution.LABELS[field]}: {line.text}"
            raise BadInputError(
                f"E-says-otherwise  {os.path.relpath(page)}:{line.number} says already  {what}\n"
                f"  Leave out what you typed ({typed[field]}), or correct the page; then close it again."
            )
    known = {**typed, **{field: line.text for field, line in written.items()}}
    since, until = _instants(ended, known["affected"])
    journal.write(
        IncidentClosed(
            number=number,
            by=getpass.getuser(),
            resolution=typed["resolution"] or "",
            source=known["source"],
            mended_by=known["mended_by"],
            affected=known["affected"],
            affected_from=since,
            affected_until=until,
        )
    )
    write_pages(directory, plan.as_vars(), journal.entries)
    return get(directory, journal.entries, number)


def _typed(ended: TypedEnd, incident: Incident, now: datetime) -> dict[str, str | None]:
    lines = {"resolution": ended.resolution, "source": ended.source, "mended_by": ended.mended_by}
    typed: dict[str, str | None] = {field: " ".join(text.split()) or None for field, text in lines.items() if text}
    if not typed.get("resolution"):
        said = "E-no-resolution  Say in one line how it ended."
        raise BadInputError(f'{said}\n  ./runbook.py incident close {incident.number} --resolution "…"')
    since, until = ended.affected_from, ended.affected_until
    if until and (until > now + AHEAD or (since and until < since)):
        raise BadInputError(
            f"E-bad-period  Users were affected until {until:%F %H:%M} UTC? It is {now:%F %H:%M} UTC now."
        )
    begin = f"from {since:%a} {since.day} {since:%b %Y %H:%M} UTC" if since else ""
    end = f"until {until:%a} {until.day} {until:%b %Y %H:%M} UTC" if until else ""
    return {"source": None, "mended_by": None, **typed, "affected": " ".join(filter(None, (begin, end))) or None}


def _instants(ended: TypedEnd, affected: str | None) -> tuple[datetime | None, datetime | None]:
    """Return from when to when users were affected: as typed, else as the page says, as far as it can be read."""
    if affected and not (ended.affected_from or ended.affected_until):
        return resolution.instants(affected)
    return ended.affected_from, ended.affected_until


# -- pages ------------------------------------------------------------------------------------------------------------


def write_pages(directory: Path, plan: Mapping[str, Any], entries: Sequence[Entry]) -> None:
    """Write the pages that are missing, and the end into the pages of closed incidents; nothing else is touched.

    `plan` is the plain data under `rollout`. Without the lock it does no harm: a page that is there is never replaced
    by a new one. Raises OSError, and BadInputError for a page that is no text.
    """
    for incident in incidents(entries):
        page = directory / incident.file
        if not page.exists():
            from rollout.views.incident import render_incident  # 0.1 s, and most pages are there

            whole_file.create_whole(page, render_incident(plan, entries, incident.number))
        if incident.closing:
            _edit(page, incident.closing)


def _edit(page: Path, closing: IncidentEnd) -> None:
    """Fill in the end. If somebody saves the page meanwhile, it is filled into what they saved."""
    page = page.resolve()
    for _ in range(5):
        before = page.stat()
        text = _text(page)
        ended = resolution.closed(text, closing)
        if ended == text:
            return
        draft = whole_file.draft(page, ended, before.st_mode & 0o777)
        try:
            now = page.stat()
            if (now.st_mtime_ns, now.st_ino) == (before.st_mtime_ns, before.st_ino):
                draft.replace(page)
                whole_file.sync_directory(page.parent)
                return
        finally:
            draft.unlink(missing_ok=True)


def _text(page: Path) -> str:
    """Return the page's text with its line ends unchanged. Raises BadInputError."""
    documents.read_text(page)
    return page.read_bytes().decode("utf-8")


def _page(number: int) -> str:
    return f"incident-{number}.md"
