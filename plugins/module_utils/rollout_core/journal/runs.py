"""The runs of the runbook and how they ended: a rollout is open, done, aborted, backed out, or stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Iterable, Sequence

from .entries import Entry
from .events import RolloutClosed, RolloutOpened, StageStarted, WindowMoved
from .pairs import pairs

FINAL = frozenset({"done", "aborted", "backed_out", "dropped"})  # nothing more is to be done in it


@dataclass(frozen=True)
class Sitting:
    """One run of the runbook: who opened it, and how it ended (None: nothing more was due, or it crashed)."""

    opened: datetime
    by: str
    closed: datetime | None
    outcome: str | None
    exit_code: int | None
    message: str


def sittings(found: Iterable[Entry]) -> list[Sitting]:
    """Return every run of the runbook, in order."""
    return [
        Sitting(
            opened=opened.at,
            by=begun.by,
            closed=end[0].at if end else None,
            outcome=end[1].outcome if end else None,
            exit_code=end[1].exit_code if end else None,
            message=(end[1].message or "") if end else "",
        )
        for opened, begun, end in pairs(found, RolloutOpened, RolloutClosed)
    ]


def closed(found: Sequence[Entry]) -> tuple[Entry, RolloutClosed] | None:
    """Return how the latest run ended; None while it goes on, or if it ended because nothing more was due."""
    for entry in reversed(found):
        if isinstance(entry.event, RolloutClosed):
            return entry, entry.event
        if isinstance(entry.event, RolloutOpened):
            return None
    return None


def outcome(found: Sequence[Entry]) -> str | None:
    """Return the word for how the latest run ended."""
    end = closed(found)
    return end[1].outcome if end else None


def of_others(found: Sequence[Entry], plan: str, window: datetime) -> str:
    """Return what shows that these entries are not of the plan with that id and window; empty if nothing does."""
    rollouts = {each.event.run.partition("/")[0] for each in found if isinstance(each.event, StageStarted)}
    others = sorted(rollouts - {plan, ""})
    if plan and others:
        return f"the rollout {', '.join(others)}, and this is {plan}"
    for each in reversed(found):
        start = each.event.to if isinstance(each.event, WindowMoved) else None
        start = each.event.window if isinstance(each.event, RolloutOpened) else start
        if start is not None:
            other = f"the window of {start:%F %H:%M %Z}, and the plan's is {window:%F %H:%M %Z}"
            return other if start != window else ""
    return ""
