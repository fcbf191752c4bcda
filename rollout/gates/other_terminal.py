"""What one terminal asks of the runbook at work in another: to take an answer, to abort, to note an incident."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
from rich.console import Console

from rollout.gates import mailbox
from rollout.gates import model as gates
from rollout.gates.mailbox import Message
from rollout.incidents.record import Seen
from rollout.journal import store
from rollout.outcomes import BadInputError, ExitCode, RunbookError

REACTION_SECONDS = 10.0  # a runbook at work looks several times a second
Entry = Mapping[str, Any]


def answer(rollout: Path, gate: str, item: str | None, word: str, told: Mapping[str, str] | None = None) -> str:
    """Answer the question that is open; returns what to tell. Raises BadInputError when it is not that one.

    Of a gate that asks about several items, one after the other, `item` says which is meant. `told` is what the answer
    may have to say besides: a name, a reason.
    """
    open_questions = {entry["gate"]: entry for entry in gates.unanswered(store.entries(rollout))}
    owner, told = store.owner(rollout), told or {}
    if owner is None:
        raise BadInputError("E-nobody-asks  No runbook is at work on this rollout.  Begin:  ./runbook.py run")
    if gate not in open_questions:
        asked = ", ".join(open_questions) or "nothing"
        raise BadInputError(f"E-not-asked  {gate} is not asked now; asked is: {asked}.  Look:  ./runbook.py status")
    options = open_questions[gate].get("options", ["yes", "no"])
    if word not in options:
        raise BadInputError(f"E-no-such-answer  {gate} takes {' or '.join(options)}, not {word!r}.")
    about = open_questions[gate].get("item")
    if item != about:
        said = f"{item} is not asked about now" if item else "an answer must name what it is about"
        command = " ".join(["./runbook.py answer", gate, *([about] if about else []), "|".join(options)])
        raise BadInputError(f"E-which-item  {gate}: {said}.\n  Asked is: {open_questions[gate]['question']}  {command}")
    if missing := [need for need in open_questions[gate].get("needs", {}).get(word, ()) if not told.get(need)]:
        given = " ".join(f"--{need} TEXT" for need in missing)
        said = f"E-not-told  {word} to {gate} needs a {' and a '.join(missing)} on record."
        typed = " ".join(filter(None, [gate, about, word, given]))
        raise BadInputError(f"{said}\n  ./runbook.py answer {typed}")
    number = open_questions[gate]["seq"]
    mailbox.send(rollout, _message(gate, word, number, told))
    taken = _wait(rollout, lambda e: e["event"] == "gate_answered" and e["gate"] == gate and e["seq"] > number)
    if taken is None:
        raise _no_reaction(owner)
    return f"{' '.join(filter(None, [gate, item]))}: {taken['answer']}, by {taken['by']} ({taken['source']})."


def _message(gate: str, word: str, number: int, told: Mapping[str, str]) -> Message:
    try:
        return Message(kind="answer", by=getpass.getuser(), text=word, gate=gate, asked=number, told=dict(told))
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-text  A name or a reason is one line of text without {{, {% or {#.") from error


def abort(rollout: Path, reason: str, console: Console) -> ExitCode:
    """Have the runbook at work abort, and follow it to its end; returns its exit code. Raises RunbookError."""
    owner = store.owner(rollout)
    begun = len(store.entries(rollout))
    try:
        message = Message(kind="abort", by=getpass.getuser(), text=reason)
    except pydantic.ValidationError as error:
        raise BadInputError("E-bad-reason  --reason wants one line of text without {{, {% or {#.") from error
    mailbox.send(rollout, message)
    taken = _wait(rollout, lambda e: e["event"] == "abort_requested" and e["seq"] > begun)
    if taken is None:
        raise _no_reaction(owner)
    if not taken["possible"]:
        console.print("It cannot be aborted any more: it must finish.  Look:  ./runbook.py status")
        return ExitCode.REFUSED
    console.print(f"The runbook of {_who(owner)} aborts …")
    closed = None
    for entry in _follow(rollout, begun):
        if entry["event"] in ("undo_finished", "stop_finished"):
            console.print(f"  {entry['event'].replace('_', ' ')}: {entry['stage']} {entry.get('outcome', '')}".rstrip())
        if entry["event"] == "rollout_closed":
            closed = entry
            break
    if closed is None:
        raise RunbookError("E-runbook-gone  The runbook ended before the abort did.  Then:  ./runbook.py resume")
    console.print(closed["message"], markup=False, soft_wrap=True)
    return ExitCode(closed["exit_code"])


def incident(rollout: Path, what: Seen) -> Entry:
    """Have the runbook at work put a problem on record; returns its entry. Raises RunbookError when it does not react.

    It is on record once, or, with the error, not at all: what nobody has taken is taken back.
    """
    owner, begun = store.owner(rollout), len(store.entries(rollout))
    by, seen = what.by or getpass.getuser(), what.at.isoformat()
    sent = mailbox.send(rollout, Message(kind="incident", by=by, text=what.problem, seen=what.at, details=what.details))

    def taken() -> Entry | None:
        return _wait(
            rollout, lambda e: e["event"] == "incident_opened" and (e["seq"] > begun, e["seen"]) == (True, seen)
        )

    found = taken()
    if found is None:
        try:
            sent.unlink()
        except FileNotFoundError:  # it is at it, in this very moment
            found = taken()
    if found is None:
        raise _no_reaction(owner)
    return found


def _wait(rollout: Path, wanted: Callable[[Entry], bool]) -> Entry | None:
    """The first entry that is wanted, for as long as a runbook may take to react."""
    until = time.monotonic() + REACTION_SECONDS
    while time.monotonic() < until:
        if found := next((entry for entry in store.entries(rollout) if wanted(entry)), None):
            return found
        time.sleep(0.1)
    return None


def _follow(rollout: Path, begun: int) -> Iterator[Entry]:
    """Each entry after the first `begun`, as it is written, until no runbook is at work."""
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
