"""The abort pack: what was aborted and why, what was undone, what is left for a person, and what is next (R19–R21)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from plugins.module_utils.rollout_core.journal.entries import Entry
from rollout.views import brackets
from rollout.views.happenings import happenings
from rollout.views.history import History, StageHistory
from rollout.views.markdown import one_line, render
from rollout.views.text import length


@dataclass(frozen=True)
class ToDo:
    """Something left for a person: the command, if one does it, and the error that the runbook got when it tried."""

    what: str
    command: str = ""
    said: str = ""


def render_abort_pack(plan: Mapping[str, Any], entries: Sequence[Entry], directory: str | None = None) -> str:
    """Return the abort pack as Markdown, from plan and journal alone. Raises ValueError if there was no abort.

    `plan` is the plain data under `rollout` of the plan file, `entries` the journal's, `directory` the rollout's, as
    commands name it (default `var/rollouts/ID`). The journal tells of the abort with `abort_packed`, or with its end.
    """
    history = History(plan, entries)
    if history.aborted_at is None:
        raise ValueError(f"rollout {plan['id']} was not aborted")
    directory = directory or f"var/rollouts/{plan['id']}"
    return render(
        "abort.md.j2",
        history=history,
        directory=directory,
        why=history.why_aborted,
        aborted_at=history.aborted_at,
        users=users(history),
        taken_back=_taken_back(history),
        verified=_verified(history),
        to_do=list(_to_do(history, directory)),
        still_on=[brackets.sentence(each) for each in history.still_on],
        standing=[stage for stage in history.stages if stage.state == "done" and not stage.plan.window],
        timeline=list(happenings(entries)),
    )


def users(history: History) -> str:
    """Return whether users can connect, in words: a stage that is abortable until its commit locks them out."""
    locks_out = [stage for stage in history.in_window if stage.plan.abortable == "until_commit" and stage.attempts]
    if not locks_out:
        return "Users were never locked out of the database."
    if history.closed and history.closed.exit_code == 7:
        return "USERS ARE STILL LOCKED OUT of the database."
    if any(stage.state != "undone" for stage in locks_out):
        return "USERS MAY STILL BE LOCKED OUT of the database."
    if history.downtime and history.actual_end and not not_undone(history):
        back = f"{history.actual_end:%H:%M:%S} UTC, after {length(history.downtime)} of downtime"
        return f"Users are in: everything is back since {back}."
    opened = max(step.finished for stage in locks_out for step in stage.undo if step.finished)
    return f"Users are in: the database is open since {opened:%H:%M:%S} UTC. Not everything else is back."


def not_undone(history: History) -> list[StageHistory]:
    """Return the stages of the window that have begun and have an undo, but are not undone; latest first."""
    begun = [stage for stage in history.in_window if stage.attempts and stage.plan.undo]
    return [stage for stage in reversed(begun) if stage.state != "undone"]


def _taken_back(history: History) -> str:
    left = not_undone(history)
    if left:
        return f"NOT UNDONE: {', '.join(stage.name for stage in left)}."
    undone = [stage.name for stage in reversed(history.in_window) if stage.state == "undone"]
    return f"Undone: {', '.join(undone)}." if undone else "Nothing was to be undone: no stage of the window had begun."


def _verified(history: History) -> str:
    found = history.verification
    if found is None:
        return "The hosts were not looked at."
    return (
        f"Everything is as before: {one_line(found.summary)}."
        if found.ok
        else f"NOT AS BEFORE: {one_line(found.summary)}."
    )


def _to_do(history: History, directory: str) -> Iterator[ToDo]:
    for ladder in history.stops:
        for survivor in ladder.survivors:
            yield ToDo(f"End what still runs of {ladder.stage}: {survivor}")
        for host in ladder.unproven:
            yield ToDo(f"See what still runs of {ladder.stage} on {host}, which did not answer.")
        if ladder.answer is None:
            yield ToDo(
                f"See whether anything of {ladder.stage} still runs: the journal does not say how its stop ended."
            )
    for stage in not_undone(history):
        lets_in = " This lets the users in." if stage.plan.abortable == "until_commit" else ""
        inventory, playbook = history.plan["inventory"], stage.plan.undo
        command = f"ansible-playbook -i {inventory} playbooks/{playbook}.yml -e @{directory}/plan.yml"
        said = next((step.message for step in reversed(stage.undo) if step.message), None)
        yield ToDo(f"Undo {stage.name}.{lets_in}", command, said or "")
    for each in history.still_on:
        yield ToDo(f"End it once it may end: {brackets.sentence(each)}.", brackets.ends(each))
    if history.verification and not history.verification.ok:
        for found in history.verification.hosts:
            yield from (ToDo(f"Mend {found.name}: {failed}") for failed in found.failed)
        if not history.verification.hosts:
            yield ToDo(f"Look at the hosts: {history.verification.summary}")
