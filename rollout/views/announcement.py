"""The draft that announces the next attempt after an abort (R21), in the wording that readers know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from rollout_core import timeline

from rollout.views.abort_pack import not_undone
from rollout.views.history import History


def render_announcement(
    plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], next_plan: Mapping[str, Any]
) -> str:
    """Plain text: that `plan` was aborted and why (R20), and when `next_plan` starts and is expected to be over.

    Both are the plain data under `rollout` of a plan file, `entries` are the journal's of `plan`. Raises ValueError
    when it was not aborted, or nobody has told why.
    """
    history = History(plan, entries)
    if history.aborted_at is None or history.problem is None or history.problem.source is None:
        raise ValueError(f"rollout {plan['id']} was not aborted, or nobody has told why")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  plain text
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(clock=clock, day=day)
    start, end = timeline.window(next_plan)
    earlier = next_plan["policy"]["pause_minutes_before"]  # R5
    return environment.get_template("announcement.txt.j2").render(
        tried=history.window[0],
        aborted=history.aborted_at,
        begun=any(stage.attempts for stage in history.in_window),
        all_back=not not_undone(history),
        source=history.problem.source.rstrip("."),
        minutes=next_plan["window"]["minutes"],
        earlier=f"{earlier:g}" if earlier else "",
        start=start,
        end=end,
    )


def clock(instant: datetime) -> str:
    """`23.00`, with the dot of real announcements."""
    return f"{instant:%H.%M}"


def day(instant: datetime) -> str:
    """`10th of February 2011`."""
    number = instant.day
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} of {instant:%B %Y}"
