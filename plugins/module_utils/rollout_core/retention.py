"""How long what earlier runs left is kept: answers and logs hold names, queries and what servers said."""

from __future__ import annotations

from typing import Iterable, TypeVar

KEPT = 12  # rollouts on the control machine, runs of an outage on a host: about a year of them

Thing = TypeVar("Thing")


def old(things: Iterable[tuple[float, Thing]]) -> list[Thing]:
    """Return all but the KEPT latest, each given with its time."""
    by_time = sorted(things, key=lambda each: each[0], reverse=True)
    return [thing for _, thing in by_time[KEPT:]]
