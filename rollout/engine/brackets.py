"""Ends what a stage has left switched on, when the rollout stops: the bracket that nobody can forget (R13, R15).

The stage's `release` playbook looks at the hosts and decides whether it may end; what may not stays on, and is told of
with the command that ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from getpass import getuser
from typing import Any

from plugins.module_utils.rollout_core.journal.brackets import Hold
from rollout.engine.rollout import Rollout
from rollout.outcomes import ExitCode
from rollout.plan.model import Stage
from rollout.views.holding import ends, sentence
from rollout.views.text import first_sentence


def release_all(rollout: Rollout, *, proven: bool = True) -> list[str]:
    """Try to end whatever still holds, latest first; returns what became of it, for the screen and the journal.

    Not `proven`: something of the rollout may be at work yet, so nothing is ended that it was begun under.
    """
    return [line for hold in reversed(rollout.holds) for line in _release(rollout, hold, proven=proven)]


def still_on(rollout: Rollout) -> list[str]:
    """What holds now, and how it ends."""
    return [line for hold in rollout.holds for line in _told(hold)]


def end_now(rollout: Rollout, stage: Stage) -> ExitCode:
    """Carry out a stage for the sake of what it ends, in a rollout that is closed, and stays so."""
    before = rollout.holds
    record = rollout.records.get(stage.stage)
    attempt = record.attempt + 1 if record else 1
    run_id = rollout.run_id(f"{stage.stage}-{attempt}")
    rollout.journal.write("stage_started", stage=stage.stage, attempt=attempt, run=run_id, by=getuser())
    rollout.screen.stage_begins(stage)
    work = rollout.begin(stage.playbook, run_id)
    while not work.ended(0.2):
        rollout.uninterrupted(f"{stage.stage} runs to its end.")
    run = work.outcome()
    rollout.screen.evidence(run.stats.get("evidence", []))
    outcome, message = "ok" if run.ok else "failed", None if run.ok else run.message
    rollout.journal.write("stage_finished", stage=stage.stage, outcome=outcome, facts=run.stats, message=message)
    rollout.screen.stage_ends(stage, outcome)
    over = [f"  over: {hold.what}" for hold in before if hold not in rollout.holds]
    rollout.screen.say("\n".join([*([message] if message else []), *over, *still_on(rollout)]))
    return ExitCode.DONE if run.ok else ExitCode.FAILED


def _release(rollout: Rollout, hold: Hold, *, proven: bool) -> Iterator[str]:
    facts: dict[str, Any]
    if proven:
        facts = _asked(rollout, hold)
    else:
        facts = {"released": False, "why": "what still runs is not known", "outcome": "not_tried", "evidence": []}
    rollout.journal.write("release_finished", stage=hold.stage, playbook=hold.release, **{"message": None, **facts})
    rollout.screen.evidence(facts["evidence"])
    if facts["released"]:
        yield f"  over: {hold.what} (playbooks/{hold.release}.yml); the next run begins it again"
        return
    yield from (line for now in rollout.holds if now.stage == hold.stage for line in _told(now))
    if facts.get("message"):
        yield facts["message"]


def _asked(rollout: Rollout, hold: Hold) -> dict[str, Any]:
    """Run the release playbook; what it says, as the journal has it."""
    run_id = rollout.run_id(f"release-{hold.stage}")
    rollout.journal.write("release_started", stage=hold.stage, playbook=hold.release, run=run_id)
    rollout.screen.say(f"↩ release {hold.stage} · playbooks/{hold.release}.yml")
    work = rollout.begin(hold.release, run_id)
    while not work.ended(0.2):
        rollout.uninterrupted("what is still on is looked at.")
    run = work.outcome()
    evidence = run.stats.get("evidence", [])
    if not run.ok:
        why = "; ".join(filter(None, [run.stats.get("why"), f"{hold.release} failed: {first_sentence(run.message)}"]))
        return {"released": False, "why": why, "outcome": "failed", "evidence": evidence, "message": run.message}
    released = run.stats.get("released") is True
    stays = None if released else str(run.stats.get("why") or "nobody says why")
    return {"released": released, "why": stays, "outcome": "ok", "evidence": evidence}


def _told(hold: Hold) -> Iterator[str]:
    yield f"  STILL ON: {sentence(hold)}"
    yield f"    To end it:  {ends(hold)}"
