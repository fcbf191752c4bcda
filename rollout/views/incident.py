"""The page of an incident (R24): begun from plan and journal, finished by people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.module_utils.rollout_core.journal.entries import Entry, of
from plugins.module_utils.rollout_core.journal.events import IncidentOpened
from rollout.views import brackets
from rollout.views.happenings import happenings
from rollout.views.history import History
from rollout.views.markdown import render


def render_incident(plan: Mapping[str, Any], entries: Sequence[Entry], number: int) -> str:
    """Return an incident's page as Markdown: what was seen, timeline, state then, whom to tell; no resolution yet.

    `plan` is the plain data under `rollout` of the plan file, `entries` the journal's. Entries after `incident_opened`
    are left out: the same journal gives the same page later. Raises KeyError if the incident was not opened.
    """
    opened = next((entry for entry, event in of(entries, IncidentOpened) if event.number == number), None)
    if opened is None:
        raise KeyError(f"incident {number} was not opened")
    entries = entries[: entries.index(opened) + 1]
    history = History(plan, entries)
    return render(
        "incident.md.j2",
        history=history,
        incident=history.incidents[-1],
        timeline=list(happenings(entries)),
        still_on=[(brackets.sentence(each), brackets.ends(each)) for each in history.still_on],
        not_begun=[stage.name for stage in history.stages if stage.state == "not begun"],
        commit="The commit is made: the new schema is kept, nothing was undone."
        if history.irreversible
        else "Nothing irreversible was done.",
    )
