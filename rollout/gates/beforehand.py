"""Answers that are given before they are asked: a named person's word, which stands until the window is moved (R3)."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

from plugins.module_utils.rollout_core.journal.events import GateAnswered
from plugins.module_utils.rollout_core.journal.stages import actual
from rollout.outcomes import BadInputError
from rollout.plan import store
from rollout.plan.model import Plan
from rollout.plan.process import Gate, Stage

BEFOREHAND = "beforehand"


def answer(rollout: Path, gate: str, item: str | None, word: str, told: Mapping[str, str]) -> str:
    """Put the answer on record while no runbook is at work; returns what to tell.

    Raises BadInputError for a gate that must be seen to be answered, or that is behind us, LockedError if a runbook has
    begun meanwhile.
    """
    with store.locked(rollout) as kept:
        named = dict(_named(kept.plan))
        if gate not in named or item is not None:
            able = f"  Beforehand only what needs no evidence can be answered: {', '.join(named)}." if named else ""
            raise BadInputError(
                f"E-nobody-asks  No runbook is at work on this rollout.{able}\n  Begin:  ./runbook.py run"
            )
        stage = named[gate]
        records = actual(kept.journal.entries)
        if stage.stage in records and records[stage.stage].done:
            raise BadInputError(f"E-not-asked  {gate}: {stage.stage} is done.  Look:  ./runbook.py status")
        if word not in ("yes", "no"):
            raise BadInputError(f"E-no-such-answer  {gate} takes yes or no, not {word!r}.")
        if word == "yes" and not told.get("name"):
            typed = f"./runbook.py answer {gate} yes --name TEXT"
            raise BadInputError(f"E-not-told  yes to {gate} needs a name on record.\n  {typed}")
        name, by = told.get("name"), getpass.getuser()
        reason = told.get("reason")
        kept.journal.write(GateAnswered(stage.stage, gate, None, word, by, BEFOREHAND, name, reason))
    return f"{gate}: {word}, by {name or by}. It is on record, and is not asked again unless the window is moved."


def _named(plan: Plan) -> list[tuple[str, Stage]]:
    return [(gate.gate, stage) for stage in plan.process for gate in stage.gates if _needs_no_evidence(gate)]


def _needs_no_evidence(gate: Gate) -> bool:
    return gate.named and gate.each is None
