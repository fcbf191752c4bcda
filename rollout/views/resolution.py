"""Fills an incident's end into its Markdown page: only into lines left open, whatever else people wrote.

The lines are those of incident.md.j2: the row `State` of the table on top, and what stands below `## Resolution`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from plugins.module_utils.rollout_core.journal.incidents import IncidentEnd
from plugins.module_utils.rollout_core.time import timeline
from rollout.views.markdown import one_line
from rollout.views.text import clean

STATE = re.compile(r"\|\s*State\s*\|(?P<said>.*)\|\s*$")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)")
HEADING, OPEN = "## Resolution", "Open."
LABELS = {"source": "Source of the problem", "mended_by": "Mended by", "affected": "Users were affected"}
APPENDED = "## Closed"  # the heading for lines whose place somebody has deleted


@dataclass(frozen=True)
class Line:
    """A line that a person has filled in: its number, from 1, and its text."""

    number: int
    text: str


def said(page: str) -> dict[str, Line]:
    """Return what people wrote behind the labels, by the field of IncidentEnd; lines left open are not in it."""
    lines = page.split("\n")
    found = {field: _labelled(lines, label) for field, label in LABELS.items()}
    return {field: Line(at + 1, text) for field, (at, text) in found.items() if at is not None and text}


def instants(affected: str) -> tuple[datetime | None, datetime | None]:
    """Return the first two instants that a person wrote, such as 2026-12-09T08:04Z; None for a missing one."""
    found = [_instant(text) for text in INSTANT.findall(affected)]
    first, second, *_ = [*(instant for instant in found if instant), None, None]
    return first, second


def _instant(text: str) -> datetime | None:
    try:
        return timeline.parse_instant(text)
    except ValueError:
        return None


def closed(page: str, closing: IncidentEnd) -> str:
    """Return the page with the end filled in; a page whose row `State` says that it is closed is returned unchanged.

    A line that somebody has filled in stays, and so does what they wrote in place of `Open.`; a line that is gone is
    added at the end, under a heading of its own.
    """
    lines = page.split("\n")
    state = f"closed {closing.at:%a} {closing.at.day} {closing.at:%b %Y %H:%M:%S} UTC, by {_text(closing.by)}"
    row = _state(lines)
    if f"- State: {state}" in map(str.rstrip, lines) or (row is not None and state in lines[row]):
        return page
    missing = [] if row is not None else [f"- State: {state}"]
    if row is not None:
        was = "" if (word := _word(lines[row])) == "open" else f" (was: {word})"
        lines[row] = f"| State | {state}{was} |{_end(lines[row])}"
    missing += _resolve(lines, _text(closing.resolution))
    for field, label in LABELS.items():
        value = getattr(closing, field)
        at, text = _labelled(lines, label)
        if value and at is None:
            missing.append(f"- {label}: {_text(value)}")
        elif value and at is not None and not text:
            lines[at] = f"- {label}: {_text(value)}{_end(lines[at])}"
    end = _end(lines[0])
    added = [f"{line}{end}" for line in ("", APPENDED, "", *missing)] if missing else []
    while added and lines and not lines[-1].strip():
        lines.pop()
    return "\n".join([*lines, *added, ""] if added else lines)


def _resolve(lines: list[str], resolution: str) -> list[str]:
    """Put the resolution in place of `Open.`, or before what stands there instead; return what finds no place."""
    heading = _heading(lines)
    if heading is None:
        return [f"- Resolution: {resolution}"]
    below = next((at for at in range(heading + 1, len(lines)) if lines[at].strip()), None)
    if below is not None and lines[below].strip() == OPEN:
        lines[below] = f"{resolution}{_end(lines[below])}"
    else:
        end = _end(lines[heading])
        lines[heading + 1 : heading + 1] = [end, f"{resolution}{end}"]
    return []


def _state(lines: Sequence[str]) -> int | None:
    """Return the line of the row `State`, in the table on top only: what was seen may quote such a row further down."""
    for at, line in enumerate(lines):
        if line.startswith("## "):
            break
        if STATE.match(line):
            return at
    return None


def _word(line: str) -> str:
    match = STATE.match(line)
    return match["said"].strip() if match else ""


def _heading(lines: Sequence[str]) -> int | None:
    return max((at for at, line in enumerate(lines) if line.rstrip() == HEADING), default=None)


def _labelled(lines: Sequence[str], label: str) -> tuple[int | None, str]:
    """Return the line below the heading that has the label, and what stands behind the label; None if there is none."""
    heading = _heading(lines)
    for at in range(len(lines) if heading is None else heading, len(lines)):
        if lines[at].startswith(f"- {label}:"):
            return at, lines[at].partition(":")[2].strip()
    return None, ""


def _end(line: str) -> str:
    """Return the carriage return with which an editor of another system ends a line, or an empty text."""
    return "\r" if line.endswith("\r") else ""


def _text(text: str) -> str:
    return str(clean(one_line(text)))
