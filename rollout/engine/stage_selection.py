"""Selects the stages of a run: those not done, or the named ones, each in its place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rollout.engine.rollout import Rollout
from rollout.outcomes import BadInputError, ExitCode, Stop
from rollout.plan.model import Plan
from rollout.plan.process import Stage


def to_do(rollout: Rollout, names: Sequence[str]) -> list[Stage]:
    """Return the stages not done yet, or the named ones together with the stages whose brackets they need (R13).

    Raises BadInputError for a name that is no stage, and for a stage of the window, or after it, out of its turn:
    nobody is told that a rollout is done before somebody has looked (R22, R23).
    """
    process, left = rollout.plan.process, rollout.left
    known = [stage.stage for stage in process]
    if unknown := [name for name in names if name not in known]:
        raise BadInputError(f"E-no-such-stage  {', '.join(unknown)}. The process has: {', '.join(known)}.")
    if not names:
        return left
    named = [
        stage for stage in process if stage.stage in names or (stage in left and _comes_first(stage, names, known))
    ]
    for stage in named:
        earlier = [s.stage for s in left if known.index(s.stage) < known.index(stage.stage) and s not in named]
        if earlier and _in_its_turn(stage, process):
            raise BadInputError(f"E-out-of-turn  {stage.stage} comes after {', '.join(earlier)}:  ./runbook.py run")
    return named


def on_any_day(plan: Plan, names: Sequence[str], now: datetime) -> list[Stage]:
    """Return the named stages if all of them may run on any day and none is due yet; else none."""
    looking = only_looking(plan, names)
    return looking if all(now < stage.due_at(plan.window.start) for stage in looking) else []


def only_looking(plan: Plan, names: Sequence[str]) -> list[Stage]:
    """Return the named stages if all of them only look, so that they may run on any day; else none."""
    looking = [stage for stage in plan.process if stage.stage in names and stage.any_day]
    return looking if len(looking) == len(set(names)) else []


def anew(rollout: Rollout, names: Sequence[str], to_come: Sequence[Stage]) -> list[Stage]:
    """Return the stages to do next once done ones must be done again; `to_come` is what was to do next before that.

    Raises Stop if a stage of the window was named, and a stage that must be done again comes first.
    """
    if not names:
        return rollout.left
    try:
        return to_do(rollout, [stage.stage for stage in to_come]) if to_come else []
    except BadInputError as error:
        raise Stop("refused", ExitCode.BAD_INPUT, str(error)) from error


def check_fix(rollout: Rollout, names: Sequence[str]) -> None:
    """Raise BadInputError unless a fix of the merge is for the stage that merges, and before the window."""
    merges = [stage.stage for stage in rollout.plan.process if stage.merges]
    if not set(merges) & set(names):
        said = f"./runbook.py run {' '.join(merges)} --fixed-in REVNO"
        raise BadInputError(f"E-not-the-merge  A fix of the merge is for the stage that merges:  {said}")
    if rollout.in_window:
        raise BadInputError("E-window-begun  The window has begun: what goes out is settled. Nothing was touched.")


def _in_its_turn(stage: Stage, process: Sequence[Stage]) -> bool:
    """Return True if a stage belongs to the window or after it; one that ends a bracket may come at any time (R13)."""
    ends = {each.bracket.ends_with for each in process if each.bracket}
    before = process[: process.index(stage)]
    return stage.window or (stage.stage not in ends and any(each.window for each in before))


def _comes_first(stage: Stage, names: Sequence[str], known: Sequence[str]) -> bool:
    """Return True if a named stage lies between this one and the one that ends its bracket."""
    if stage.bracket is None:
        return False
    inside = known[known.index(stage.stage) + 1 : known.index(stage.bracket.ends_with)]
    return any(name in inside for name in names)
