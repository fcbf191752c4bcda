"""The incident report that is begun when a rollout fails after its commit (R24): a page that people finish."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from rollout_core import timeline

from rollout.views.deeds import Entry
from rollout.views.history import History
from rollout.views.report import clean, first_sentence


def render_incident(plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], number: int, problem: str) -> str:
    """Markdown: what was seen and when, the timeline, how things stand, whom to tell; the resolution is open.

    `plan` is the plain data under `rollout` of the plan file, `entries` the journal's, `problem` the failure's message.
    It was seen at the journal's last entry. Raises ValueError for an empty journal: nothing can have failed yet.
    """
    if not entries:
        raise ValueError("the journal is empty: nothing can have failed yet")
    history = History(plan, entries)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown, not HTML: `one_line` and `fenced` keep text in its place
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(fenced=fenced, one_line=one_line)
    return environment.get_template("incident.md.j2").render(
        history=history,
        number=number,
        problem=problem,
        summary=one_line(first_sentence(problem)),
        seen=timeline.parse_instant(entries[-1]["at"]),
        timeline=list(happenings(entries)),
        not_begun=[stage.name for stage in history.stages if stage.state == "not begun"],
        commit="The commit is made: the new schema is kept, nothing was undone."
        if history.irreversible
        else "Nothing irreversible was done.",
    )


def happenings(entries: Sequence[Entry]) -> Iterator[tuple[datetime, str]]:
    """Each event of the journal that a person would tell another about, in a line."""
    for entry in entries:
        told = _told(entry)
        if told:
            yield timeline.parse_instant(entry["at"]), one_line(told)


def _told(entry: Entry) -> str | None:
    event = entry["event"]
    if event == "stage_started":
        again = f" (attempt {entry['attempt']})" if entry["attempt"] > 1 else ""
        return f"{entry['stage']} begins{again}"
    if event == "stage_finished":
        why = f": {first_sentence(entry['message'])}" if entry["message"] else ""
        return f"{entry['stage']} ends, {entry['outcome']}{why}"
    if event == "gate_answered":
        return f"{entry['stage']}: {entry['gate']} answered {entry['answer']} by {entry['by']} ({entry['source']})"
    if event == "verdict":
        return f"{entry['stage']}: {entry['verdict']}, {entry['reason']}"
    if event == "undo_finished":
        return f"{entry['stage']} undone by {entry['playbook']}, {entry['outcome']}"
    return None


def one_line(text: str) -> str:
    """Text that stays in its line and its table cell, and is no HTML."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def fenced(text: str) -> str:
    """Text as a code block that nothing inside it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
