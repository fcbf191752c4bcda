"""Requests from one terminal to the runbook at work in another: to take an answer, to abort, to note an incident."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from rich.console import Console

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    AbortRequested,
    Event,
    GateAnswered,
    IncidentOpened,
    RolloutClosed,
    StopFinished,
    UndoFinished,
)
from plugins.module_utils.rollout_core.journal.incidents import ProblemSeen
from plugins.module_utils.rollout_core.journal.questions import unanswered
from rollout.gates import mailbox
from rollout.gates.mailbox import MailboxMessage
from rollout.journal import store
from rollout.outcomes import BadInputError, ExitCode, RunbookError

REACTION_SECONDS = 10.0  # a runbook at work looks several times a second
Kind = TypeVar("Kind", bound=Event)


def answer(rollout: Path, gate: str, item: str | None, word: str, told: Mapping[str, str] | None = None) -> str:
    """Answer the question that is open; returns what to tell. Raises BadInputError when it is not that one.

    Of a gate that asks about several items, one after the other, `item` says which is meant. `told` is what the answer
    may have to say besides: a name, a reason.
    """
    open_questions = {asked.gate: (entry.seq, asked) for entry, asked in unanswered(store.entries(rollout))}
    owner, told = store.owner(rollout), told or {}
    if owner is None:
        raise BadInputError("E-nobody-asks  No runbook is at work on this rollout.  Begin:  ./runbook.py run")
    if gate not in open_questions:
        instead = ", ".join(open_questions) or "nothing"
        raise BadInputError(f"E-not-asked  {gate} is not asked now; asked is: {instead}.  Look:  ./runbook.py status")
    number, asked = open_questions[gate]
    if word not in asked.options:
        raise BadInputError(f"E-no-such-answer  {gate} takes {' or '.join(asked.options)}, not {word!r}.")
    if item != asked.item:
        said = f"{item} is not asked about now" if item else "an answer must name what it is about"
        command = " ".join(filter(None, ["./runbook.py answer", gate, asked.item, "|".join(asked.options)]))
        raise BadInputError(f"E-which-item  {gate}: {said}.\n  Asked is: {asked.question}  {command}")
    if missing := [need for need in (asked.needs or {}).get(word, ()) if not told.get(need)]:
        given = " ".join(f"--{need} TEXT" for need in missing)
        said = f"E-not-told  {word} to {gate} needs a {' and a '.join(missing)} on record."
        typed = " ".join(filter(None, [gate, asked.item, word, given]))
        raise BadInputError(f"{said}\n  ./runbook.py answer {typed}")
    mailbox.send(rollout, _message(gate, word, number, told))
    taken = _wait(rollout, number, GateAnswered, lambda answered: answered.gate == gate)
    if taken is None:
        raise _no_reaction(owner)
    return f"{' '.join(filter(None, [gate, item]))}: {taken.answer}, by {taken.by} ({taken.source})."


def _message(gate: str, word: str, number: int, told: Mapping[str, str]) -> MailboxMessage:
    try:
        return MailboxMessage(kind="answer", by=getpass.getuser(), text=word, gate=gate, asked=number, told=dict(told))
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-text  A name or a reason is one line of text without {{, {% or {#.") from error


def abort(rollout: Path, reason: str, console: Console) -> ExitCode:
    """Have the runbook at work abort, and follow it to its end; returns its exit code. Raises RunbookError."""
    owner = store.owner(rollout)
    begun = len(store.entries(rollout))
    try:
        message = MailboxMessage(kind="abort", by=getpass.getuser(), text=reason)
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-reason  --reason wants one line of text without {{, {% or {#.") from error
    mailbox.send(rollout, message)
    taken = _wait(rollout, begun, AbortRequested)
    if taken is None:
        raise _no_reaction(owner)
    if not taken.possible:
        console.print("It cannot be aborted any more: it must finish.  Look:  ./runbook.py status")
        return ExitCode.REFUSED
    console.print(f"The runbook of {_who(owner)} aborts …")
    closed = None
    for entry in _follow(rollout, begun):
        event = entry.event
        if isinstance(event, UndoFinished):
            console.print(f"  undo finished: {event.stage} {event.outcome}")
        elif isinstance(event, StopFinished):
            console.print(f"  stop finished: {event.stage}")
        elif isinstance(event, RolloutClosed):
            closed = event
            break
    if closed is None:
        raise RunbookError("E-runbook-gone  The runbook ended before the abort did.  Then:  ./runbook.py resume")
    console.print(closed.message, markup=False, soft_wrap=True)
    return ExitCode(closed.exit_code)


def incident(rollout: Path, what: ProblemSeen) -> IncidentOpened:
    """Have the runbook at work put a problem on record; return its event. Raises RunbookError when it does not react.

    It is on record once, or, with the error, not at all: what nobody has taken is taken back.
    """
    owner, begun = store.owner(rollout), len(store.entries(rollout))
    by = what.by or getpass.getuser()
    message = MailboxMessage(kind="incident", by=by, text=what.problem, seen=what.at, details=what.details)
    sent = mailbox.send(rollout, message)

    def taken() -> IncidentOpened | None:
        return _wait(rollout, begun, IncidentOpened, lambda opened: opened.seen == what.at)

    found = taken()
    if found is None:
        try:
            sent.unlink()
        except FileNotFoundError:  # it is at it, in this very moment
            found = taken()
    if found is None:
        raise _no_reaction(owner)
    return found


def _wait(
    rollout: Path, begun: int, kind: type[Kind], wanted: Callable[[Kind], bool] = lambda _event: True
) -> Kind | None:
    """Return the first event of that kind after line `begun` that is `wanted`; waits as long as a runbook may take."""
    until = time.monotonic() + REACTION_SECONDS
    while time.monotonic() < until:
        for entry in store.entries(rollout):
            if entry.seq > begun and isinstance(entry.event, kind) and wanted(entry.event):
                return entry.event
        time.sleep(0.1)
    return None


def _follow(rollout: Path, begun: int) -> Iterator[Entry]:
    """Yield each entry after the first `begun`, as it is written, until no runbook is at work."""
    while True:
        working = store.owner(rollout) is not None
        entries = store.entries(rollout)
        yield from entries[begun:]
        begun = len(entries)
        if not working:
            return
        time.sleep(0.2)


def _who(owner: Mapping[str, Any] | None) -> str:
    return f"pid {owner.get('pid')} on {owner.get('host')} (terminal {owner.get('terminal')})" if owner else "nobody"


def _no_reaction(owner: Mapping[str, Any] | None) -> RunbookError:
    pid = owner.get("pid", "PID") if owner else "PID"
    return RunbookError(
        f"E-no-reaction  The runbook at work, {_who(owner)}, has not reacted for {REACTION_SECONDS:.0f} s.\n"
        f"  Is it stopped?  kill -CONT {pid}\n"
        f"  Otherwise:  kill -KILL {pid} && ./runbook.py resume"
    )
