"""Which stages a run carries out: what is not done, or the named ones, each where it belongs."""

from __future__ import annotations

from collections.abc import Sequence

from rollout.outcomes import BadInputError
from rollout.plan import Stage
from rollout.rollout import Rollout


def to_do(rollout: Rollout, names: Sequence[str]) -> list[Stage]:
    """The stages not done yet, or the named ones, with what must be switched on for them (R13).

    Raises BadInputError for a stage that there is not, and for one of the window out of its turn.
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
        if stage.window and earlier:
            raise BadInputError(f"E-out-of-turn  {stage.stage} comes after {', '.join(earlier)}:  ./runbook.py run")
    return named


def _comes_first(stage: Stage, names: Sequence[str], known: Sequence[str]) -> bool:
    """Whether a named stage belongs between this one and the one that ends what it switches on."""
    if stage.holds is None:
        return False
    inside = known[known.index(stage.stage) + 1 : known.index(stage.holds.until)]
    return any(name in inside for name in names)
