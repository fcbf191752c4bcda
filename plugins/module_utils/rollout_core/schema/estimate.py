"""Makes the outage's next estimate, from what qastaging measured of the merge itself (R9). Durations are seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .budget import Budget

PAD = "pad"


@dataclass(frozen=True)
class Estimate:
    """The steps of the next estimate (None: none can be made), and the evidence for a person."""

    steps: list[dict[str, Any]] | None
    evidence: str


def measured(rows: Sequence[Mapping[str, Any]], applied: Sequence[Mapping[str, Any]], revid: str) -> dict[str, float]:
    """Return seconds by patch for those really applied from the merge `revid`, now or by an earlier run of this stage.

    `rows` are [{patch, seconds, revid}] of the revision table; `applied` is what this run did, [{patch, seconds}], and
    takes precedence. Patches from before the merge were measured on other data, and do not count.
    """
    found = {row["patch"]: row["seconds"] for row in rows if row["revid"] == revid and row["seconds"] is not None}
    found.update({patch["patch"]: patch["seconds"] for patch in applied if patch["seconds"] is not None})
    return found


def next_estimate(
    pinned: Sequence[str],
    seconds: Mapping[str, float],
    earlier: Sequence[Mapping[str, Any]],
    earlier_seconds: float,
    rule: Budget,
) -> Estimate:
    """Return the estimate for the `pinned` patches by `rule`, from their measured `seconds` on qastaging.

    A patch that was not measured keeps its seconds of the `earlier` steps. If these lack it too, or nothing at all was
    measured, the earlier estimate stays as it is. `earlier_seconds` is the whole of it.
    """
    here = {patch: seconds[patch] for patch in pinned if patch in seconds}
    known = {step["step"]: float(step["seconds"]) for step in earlier}
    before = f"{_minutes(earlier_seconds)} min"
    unknown = [patch for patch in pinned if patch not in here and patch not in known]
    if not here:
        return Estimate(
            None, f"outage estimate stays {before}: nothing of the merge was applied here that it did not know"
        )
    if unknown:
        return Estimate(None, f"outage estimate stays {before}: nobody has measured {', '.join(unknown)}")
    steps = rule.steps({patch: here.get(patch, 0) for patch in pinned})
    for step in steps:
        if step["step"] != PAD and step["step"] not in here:
            step["seconds"] = known[str(step["step"])]
    now = sum(float(str(step["seconds"])) for step in steps)
    kept = len(pinned) - len(here)
    others = f"; {kept} that {'was' if kept == 1 else 'were'} here before as estimated" if kept else ""
    text = f"outage estimate {before} → {_minutes(now)} min of {rule.window_minutes:g}: {rule.factor:g} × "
    text += f"{sum(here.values()):.1f} s measured here of {len(here)} patch{'' if len(here) == 1 else 'es'}"
    return Estimate(steps, f"{text}{others} + {rule.plus_minutes:g} min (R9)")


def _minutes(seconds: float) -> float:
    """Return minutes, rounded up to a tenth: what does not fit must never look as if it did."""
    return math.ceil(round(seconds / 6, 6)) / 10
