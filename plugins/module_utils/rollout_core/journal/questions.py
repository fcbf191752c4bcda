"""Questions to people, by the journal: which are open, and which yes still counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Iterable, Sequence

from .entries import Entry
from .events import (
    BackOutStarted,
    GateAnswered,
    GateAsked,
    RolloutClosed,
    RolloutOpened,
    StageFinished,
    StageStarted,
    UndoFinished,
)
from .outbox import since_move

# What ends the time for which a yes before a crash counts.
CHANGES = (StageFinished, UndoFinished, BackOutStarted, RolloutClosed)


def unanswered(found: Iterable[Entry]) -> list[tuple[Entry, GateAsked]]:
    """Return the questions that are open, oldest first, each with its entry."""
    opened: dict[str, tuple[Entry, GateAsked]] = {}
    for entry in found:
        event = entry.event
        if isinstance(event, GateAsked):
            opened[event.gate] = (entry, event)
        elif isinstance(event, GateAnswered):
            if event.gate in opened and opened[event.gate][1].item == event.item:  # not a late no to an earlier item
                del opened[event.gate]
        elif isinstance(event, (RolloutOpened, RolloutClosed)):
            opened.clear()
    return list(opened.values())


def just_answered(found: Sequence[Entry], gate: str, item: str | None) -> tuple[Entry, GateAsked, GateAnswered] | None:
    """Return the last question of that gate, by its entry, and its answer, if this run asked it; None without one."""
    answered: GateAnswered | None = None
    for entry in reversed(found):
        event = entry.event
        if isinstance(event, (RolloutOpened, RolloutClosed)):
            return None
        if not isinstance(event, (GateAsked, GateAnswered)) or event.gate != gate or (item and event.item != item):
            continue
        if isinstance(event, GateAnswered):
            answered = event
        else:
            return (entry, event, answered) if answered else None
    return None


def confirmed(found: Sequence[Entry], stage: str, gate: str) -> tuple[Entry, GateAnswered] | None:
    """Return the answer with which a named person has said yes to this, None without one or after a no (R3).

    It stands whatever is done meanwhile, until the window is moved.
    """
    for entry in reversed(since_move(found)):
        event = entry.event
        if isinstance(event, GateAnswered) and (event.stage, event.gate) == (stage, gate):
            return (entry, event) if event.answer == "yes" else None
    return None


def still_yes(
    found: Sequence[Entry], asked: GateAsked, now: datetime, fresh_for: timedelta
) -> tuple[Entry, GateAnswered] | None:
    """Return the yes that was given to this question already, before a crash; None if it must be asked again.

    A yes counts as long as it is fresh and only this stage was at work since: what the question is about is unchanged.
    """
    answered: tuple[Entry, GateAnswered] | None = None
    for entry in reversed(found):
        event = entry.event
        if isinstance(event, CHANGES) or (isinstance(event, StageStarted) and event.stage != asked.stage):
            return None
        if not isinstance(event, (GateAsked, GateAnswered)) or (event.gate, event.item) != (asked.gate, asked.item):
            continue
        if isinstance(event, GateAsked):
            return answered if event.question == asked.question else None
        if event.answer != "yes" or now - entry.at > fresh_for:
            return None
        answered = (entry, event)
    return None
