"""The incident report that is begun when a rollout fails after its commit (R24): a page that people finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rollout_core import timeline

from rollout.views import holding
from rollout.views.happenings import happenings
from rollout.views.history import History
from rollout.views.markdown import one_line, render
from rollout.views.text import first_sentence


def render_incident(plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], number: int, problem: str) -> str:
    """Markdown: what was seen and when, the timeline, how things stand, whom to tell; the resolution is open.

    `plan` is the plain data under `rollout` of the plan file, `entries` the journal's, `problem` the failure's message.
    It was seen at the journal's last entry. Raises ValueError for an empty journal: nothing can have failed yet.
    """
    if not entries:
        raise ValueError("the journal is empty: nothing can have failed yet")
    history = History(plan, entries)
    return render(
        "incident.md.j2",
        history=history,
        number=number,
        problem=problem,
        summary=one_line(first_sentence(problem)),
        seen=timeline.parse_instant(entries[-1]["at"]),
        timeline=list(happenings(entries)),
        still_on=[(holding.sentence(hold), holding.ends(hold)) for hold in history.still_on],
        not_begun=[stage.name for stage in history.stages if stage.state == "not begun"],
        commit="The commit is made: the new schema is kept, nothing was undone."
        if history.irreversible
        else "Nothing irreversible was done.",
    )
