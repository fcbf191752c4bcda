"""Requests from one terminal to the runbook at work in another: to take an answer, to abort, to note an incident."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import psutil
import pydantic
from rich.console import Console

from plugins.module_utils.rollout_core.journal.entries import Entry
from plugins.module_utils.rollout_core.journal.events import (
    AbortRequested,
    Event,
    GateAnswered,
    GateAsked,
    IncidentOpened,
    RolloutClosed,
    StageStarted,
    StopFinished,
    UndoFinished,
)
from plugins.module_utils.rollout_core.journal.incidents import ProblemSeen
from plugins.module_utils.rollout_core.journal.questions import just_answered, unanswered
from rollout.gates import beforehand, mailbox
from rollout.gates.answer_box import NO, AnswerBox
from rollout.gates.mailbox import MailboxMessage
from rollout.journal import store
from rollout.journal.lock_owner import LockOwner
from rollout.outcomes import AnsweredError, BadInputError, ExitCode, RunbookError

REACTION_SECONDS = 10.0  # a runbook at work looks several times a second
Kind = TypeVar("Kind", bound=Event)


def answer(rollout: Path, gate: str, item: str | None, word: str, told: Mapping[str, str] | None = None) -> str:
    """Answer the question that is open; returns what to tell. Raises BadInputError when it is not that one.

    Raises AnsweredError if somebody was faster: it says who, and with what. A no is on record all the same.

    Of a gate that asks about several items, one after the other, `item` says which is meant. `told` is what the answer
    may have to say besides: a name, a reason.
    """
    entries, told = store.entries(rollout), told or {}
    open_questions = {asked.gate: (entry.seq, asked) for entry, asked in unanswered(entries)}
    if _at_work(rollout) is None:
        return beforehand.answer(rollout, gate, item, word, told)
    is_open = gate in open_questions and open_questions[gate][1].item == item
    settled = None if is_open else just_answered(entries, gate, item)
    if settled is not None and (gate not in open_questions or item):
        number, asked = settled[0].seq, settled[1]
    elif gate in open_questions:
        number, asked = open_questions[gate]
    else:
        instead = ", ".join(open_questions) or "nothing"
        raise BadInputError(f"E-not-asked  {gate} is not asked now; asked is: {instead}.  Look:  ./runbook.py status")
    _check(asked, item, word, told)
    message, box = _message(gate, word, number, told), AnswerBox(rollout, number)
    if settled is not None and number == settled[0].seq:
        first = settled[2]
        if word == NO != first.answer:
            box.refuse(message)
        who = f"{first.answer}, by {first.name or first.by}"
    else:
        other = box.put(message)
        if other is None:
            return _taken(rollout, number, message, asked.item)
        who = f"{other.text}, by {other.told.get('name', other.by)}"
    raise _came_second(rollout, number, message, asked.item, who)


def _check(asked: GateAsked, item: str | None, word: str, told: Mapping[str, str]) -> None:
    """Raise BadInputError for what is no answer to this question."""
    gate = asked.gate
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


def _taken(rollout: Path, number: int, message: MailboxMessage, item: str | None) -> str:
    """Wait until the first answer is on record, and return what to tell. Raises AnsweredError if another one counts."""
    gate = str(message.gate)
    taken = _wait(rollout, number, GateAnswered, lambda answered: (answered.gate, answered.item) == (gate, item))
    if taken is None:
        raise _no_reaction(rollout)
    said = f"{' '.join(filter(None, [gate, item]))}: {taken.answer}, by {taken.name or taken.by} ({taken.source})."
    if taken.answer != message.text:
        raise AnsweredError(f"E-outvoted  {said}  Your {message.text} came at the same time and does not count.")
    return said


def _came_second(rollout: Path, number: int, message: MailboxMessage, item: str | None, first: str) -> RunbookError:
    """Return what somebody is told who was not the first; a no of theirs is on record by then."""
    told = f"E-answered-already  {message.gate} was answered before you: {first}."
    if message.text != NO or first.startswith(f"{NO},"):
        return AnsweredError(f"{told}  Yours is not on record.  Look:  ./runbook.py status")
    no = (message.gate, item, NO)
    refused = _wait(rollout, number, GateAnswered, lambda said: (said.gate, said.item, said.answer) == no)
    if refused is None:
        return _no_reaction(rollout)
    entries = [entry for entry in store.entries(rollout) if entry.seq > number]
    at = next(entry.seq for entry in entries if entry.event == refused)
    if any(isinstance(entry.event, StageStarted) for entry in entries if entry.seq < at):
        return AnsweredError(
            f"{told}\n  Your no is on record; the work had begun by then, and goes on.\n"
            "  To stop it:  ./runbook.py abort --reason TEXT"
        )
    return AnsweredError(f"{told}\n  Your no is on record, and it counts: the work had not begun.")


def _message(gate: str, word: str, number: int, told: Mapping[str, str]) -> MailboxMessage:
    try:
        return MailboxMessage(kind="answer", by=getpass.getuser(), text=word, gate=gate, asked=number, told=dict(told))
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-text  A name or a reason is one line of text without {{, {% or {#.") from error


def abort(rollout: Path, reason: str, console: Console) -> ExitCode:
    """Have the runbook at work abort, and follow it to its end; return its exit code. Raises RunbookError."""
    owner = _at_work(rollout)
    begun = len(store.entries(rollout))
    try:
        message = MailboxMessage(kind="abort", by=getpass.getuser(), text=reason)
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-reason  --reason wants one line of text without {{, {% or {#.") from error
    mailbox.send(rollout, message)
    taken = _wait(rollout, begun, AbortRequested)
    if taken is None:
        raise _no_reaction(rollout)
    if not taken.possible:
        console.print("It cannot be aborted any more: it must finish.  Look:  ./runbook.py status")
        return ExitCode.REFUSED
    console.print(f"The runbook of {owner or 'nobody'} aborts …")
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
    """Have the runbook at work put a problem on record; return its event.

    Raises RunbookError if the runbook does not react; then nothing is on record: the message is taken back.
    """
    _at_work(rollout)
    begun = len(store.entries(rollout))
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
        raise _no_reaction(rollout)
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


def _at_work(rollout: Path) -> LockOwner | None:
    """Return the runbook at work, None without one. Raises LockedError when somebody else holds its lock."""
    owner = store.owner(rollout)
    if owner is not None and not owner.proven:
        raise owner.refusal(rollout.name)
    return owner


def _no_reaction(rollout: Path) -> RunbookError:
    """Return the error of a runbook that does not take a message: what to do with it, if it is one that is proven."""
    owner = _at_work(rollout)
    if owner is None:
        return RunbookError("E-runbook-gone  The runbook ended before it took that.  Then:  ./runbook.py status")
    return RunbookError(
        "\n  ".join(
            [
                f"E-no-reaction  The runbook at work, {owner}, has not reacted for {REACTION_SECONDS:.0f} s.",
                *_what_it_does(owner.pid),
            ]
        )
    )


def _what_it_does(pid: int | None) -> list[str]:
    """Return what to do with a process that does not react: one that only works is not killed."""
    try:
        stopped = psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
    except psutil.Error:
        return ["It has ended by now.  Then:  ./runbook.py status"]
    if stopped:
        return [f"It is stopped.  Let it go on:  kill -CONT {pid}"]
    return [
        "It is at something that it does not interrupt; it takes an answer as soon as it looks again.",
        "Follow it:  ./runbook.py status --watch",
        f"Only if nothing moves for minutes:  kill -KILL {pid} && ./runbook.py resume",
    ]
