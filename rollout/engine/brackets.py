"""Ends brackets when the rollout stops: nobody has to remember what a stage has left switched on (R13, R15).

The bracket's playbook `end_early` looks at the hosts and decides whether it may end. Anything that may not end yet
stays on; the message says how to end it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from getpass import getuser

from plugins.module_utils.rollout_core.journal.brackets import SwitchedOn
from plugins.module_utils.rollout_core.journal.events import (
    ReleaseFinished,
    ReleaseStarted,
    StageFinished,
    StageStarted,
)
from plugins.module_utils.rollout_core.journal.incidents import first_sentence
from rollout.engine.rollout import Rollout
from rollout.engine.service_claim import code_of
from rollout.outcomes import ExitCode
from rollout.plan.process import Stage
from rollout.views.brackets import ends, sentence


def end_early(rollout: Rollout, *, proven: bool = True) -> list[str]:
    """Try to end every bracket that is still on, latest first; return lines for the screen and the journal.

    If it is not `proven` that nothing of the rollout is at work any more, no bracket is ended.
    """
    return [line for each in reversed(rollout.still_on) for line in _end(rollout, each, proven=proven)]


def still_on(rollout: Rollout) -> list[str]:
    """Return lines that say what is still on, and how it ends."""
    return [line for each in rollout.still_on for line in _told(each)]


def end_now(rollout: Rollout, stage: Stage) -> ExitCode:
    """Carry out the stage that ends a bracket, in a closed rollout, which stays closed."""
    before = rollout.still_on
    record = rollout.records.get(stage.stage)
    attempt = record.attempt + 1 if record else 1
    run_id = rollout.run_id(f"{stage.stage}-{attempt}")
    rollout.journal.write(StageStarted(stage.stage, attempt, run_id, by=getuser()))
    rollout.screen.stage_begins(stage)
    run = rollout.run_to_its_end(stage.playbook, run_id, f"{stage.stage} runs to its end.")
    rollout.screen.evidence(run.stats.get("evidence", []))
    outcome, message = "ok" if run.ok else "failed", None if run.ok else run.message
    rollout.journal.write(StageFinished(stage.stage, outcome, run.stats, message))
    rollout.screen.stage_ends(stage, outcome)
    over = [f"  over: {each.what}" for each in before if each not in rollout.still_on]
    rollout.screen.say("\n".join([*([message] if message else []), *over, *still_on(rollout)]))
    return code_of(run)


def _end(rollout: Rollout, bracket: SwitchedOn, *, proven: bool) -> Iterator[str]:
    found = ReleaseFinished(
        stage=bracket.stage,
        playbook=bracket.end_early,
        message=None,
        released=False,
        why="what still runs is not known",
        outcome="not_tried",
        evidence=[],
    )
    if proven:
        found = _looked(rollout, found)
    rollout.journal.write(found)
    rollout.screen.evidence(found.evidence)
    if found.released:
        yield f"  over: {bracket.what} (playbooks/{bracket.end_early}.yml); the next run begins it again"
        return
    yield from (line for each in rollout.still_on if each.stage == bracket.stage for line in _told(each))
    if found.message:
        yield found.message


def _looked(rollout: Rollout, untried: ReleaseFinished) -> ReleaseFinished:
    """Run the playbook that looks whether a bracket may end; return the event with its answer."""
    stage, playbook = untried.stage, untried.playbook
    run_id = rollout.run_id(f"release-{stage}")
    rollout.journal.write(ReleaseStarted(stage, playbook, run_id))
    rollout.screen.say(f"↩ may it end? {stage} · playbooks/{playbook}.yml")
    run = rollout.run_to_its_end(playbook, run_id, "what is still on is looked at.")
    looked = replace(untried, evidence=run.stats.get("evidence", []))
    if not run.ok:
        why = "; ".join(filter(None, [run.stats.get("why"), f"{playbook} failed: {first_sentence(run.message)}"]))
        return replace(looked, message=run.message, why=why, outcome="failed")
    released = run.stats.get("released") is True
    stays = None if released else str(run.stats.get("why") or "nobody says why")
    return replace(looked, released=released, why=stays, outcome="ok")


def _told(bracket: SwitchedOn) -> Iterator[str]:
    yield f"  STILL ON: {sentence(bracket)}"
    yield f"    To end it:  {ends(bracket)}"
