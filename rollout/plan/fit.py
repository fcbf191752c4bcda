"""Tells whether the stages fit their window (R2); if not, which are the longest, and which revision would fit (R9).

The plan is plain data, as for rollout_core.time.timeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.stages import ended_well, estimates
from plugins.module_utils.rollout_core.time import timeline
from plugins.module_utils.rollout_core.time.timeline import Estimates

BIGGEST = 3


class Choice(NamedTuple):
    """A stage's choice of a revision: `fits` are the revisions that `target`'s patches may be of, lowest first (R9)."""

    stage: str
    target: str
    fits: Sequence[Mapping[str, Any]]
    chosen: int | None


def overrun(plan: timeline.Plan, entries: Sequence[Entry] = ()) -> str | None:
    """Return a sentence that says what does not fit, and what would; None if all fits. The window must have a stage."""
    choice = _choice(entries)
    measured: Estimates = estimates(entries)
    pinned = (plan.get("pinned") or {}).get("revision")
    if choice and pinned not in (None, choice.chosen):  # pinned by hand since: the measured time is another revision's
        measured = _with(measured, choice, next((fit for fit in choice.fits if fit["revision"] == pinned), None))
    ends, window_ends = _last_end(plan, measured), timeline.window(plan)[1]
    if ends <= window_ends:
        return None
    until = f"{ends:%H:%M:%S}" if ends.second or ends.microsecond else f"{ends:%H:%M}"
    text = f"the stages need until {until} UTC, the window ends {window_ends:%H:%M} (R2)"
    text += f"; the biggest: {_biggest(plan, measured)}"
    return f"{text}; {_proposal(plan, measured, choice)}" if choice else text


def _biggest(plan: timeline.Plan, measured: Estimates) -> str:
    """Return the longest stages: `outage 80.0 min (staging), cowboys 5.0 (guess), pause 5.0 (history, worst 6.1)`."""
    sources = {stage["stage"]: stage["expects"] for stage in plan["process"]}
    stages = sorted(_window(plan, measured), key=lambda stage: stage.expected, reverse=True)
    sizes = []
    for number, stage in enumerate(stages[:BIGGEST]):
        expects = sources[stage.name]
        worst = f", worst {expects['worst_minutes']:.1f}" if "worst_minutes" in expects else ""
        unit = "" if number else " min"
        sizes.append(f"{stage.name} {stage.expected.total_seconds() / 60:.1f}{unit} ({expects['from']}{worst})")
    return ", ".join(sizes)


def _proposal(plan: timeline.Plan, measured: Estimates, choice: Choice) -> str:
    """Return the highest revision with which all stages fit, and the command for it."""
    for fit in reversed(choice.fits):
        if _last_end(plan, _with(measured, choice, fit)) <= timeline.window(plan)[1]:
            revision, count = fit["revision"], fit["patches"]
            size = f"{count} patch{'' if count == 1 else 'es'}, {fit['minutes']:.1f} min"
            return (
                f"the highest revision whose patches fit is {revision} ({size}): "
                f"set rollout.pinned.revision to {revision}, then ./runbook.py run {choice.stage}"
            )
    return "no revision's patches fit: it goes back to the drawing board"


def _choice(entries: Sequence[Entry]) -> Choice | None:
    """Return the latest choice on record (fact `fits`), or None."""
    for entry in reversed(entries):
        if event := ended_well(entry.event):
            for target, fits in (event.facts.get("fits") or {}).items():
                return Choice(event.stage, target, fits, (event.facts.get("pin") or {}).get("revision"))
    return None


def _with(measured: Estimates, choice: Choice, fit: Mapping[str, Any] | None) -> Estimates:
    """Return the estimates as if that revision had been measured; with None, as if none had been."""
    return {**measured, choice.target: [{"step": "patches", "seconds": fit["minutes"] * 60}] if fit else []}


def _window(plan: timeline.Plan, measured: Estimates) -> list[timeline.PlannedStage]:
    return [stage for stage in timeline.planned(plan, measured) if stage.window]


def _last_end(plan: timeline.Plan, measured: Estimates) -> datetime:
    return _window(plan, measured)[-1].end
