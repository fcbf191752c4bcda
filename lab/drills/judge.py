"""Judges a drill: what it expects against what was found, as a table. Pure, and it never judges seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from plugins.module_utils.rollout_core.journal import text as text_format

Schema = Literal["as before", "deployed", "something else"]
EVERY_STAGE = "every stage"
ABORTED = "aborted"
COMMAND = re.compile(r"(\./runbook\.py( \S+)*|ansible-playbook \S.*)$")  # where it ends a line of the screen
BY_HAND = re.compile(r"By hand: +(\S.*)$")


@dataclass(frozen=True)
class Expected:
    """How a drill should end (expected.yml).

    `outcome` is that of `rollout_closed`, if there should be one. `verdict`, if any, is the only grave one in the
    journal, and `because` is in its reason. `states` are those of `status --json`, or one for EVERY_STAGE; `undone`
    has the stages in the order of their undos. `says` must be on the screen. `also` is what only this drill looks at.
    """

    exit_code: int
    schema: Schema
    states: Mapping[str, str]
    outcome: str | None = None
    verdict: str | None = None
    because: str = ""
    undone: Sequence[str] = ()
    says: str = ""
    also: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What was found when a drill had ended; `problem` is what kept it from its proper end.

    `screen` is what the runbook said, `status` the answer of `status --json`, `services` what is not as before the
    window, `survivors` what still runs of the rollout, `packs` the abort packs. `users_are_in`: an ordinary user can
    connect. `seconds` are those of a check, by its name.
    """

    exit_code: int | None
    schema: Schema
    users_are_in: bool
    connection_limit: int
    services: Sequence[str]
    survivors: Sequence[str]
    journal: str
    status: Mapping[str, Any]
    screen: str
    packs: Sequence[str] = ()
    also: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True)
class Check:
    """One line of the table: `seconds` is only shown, and decides nothing."""

    what: str
    should: str
    did: str
    right: bool
    seconds: float | None = None


def judge(expected: Expected, found: Found) -> list[Check]:
    """Return every check of a drill; the drill is right if all of them are."""
    checks = [*_outcome(expected, found), *_state(expected, found), *_records(expected, found)]
    return [Check(c.what, c.should, c.did, c.right, found.seconds.get(c.what)) for c in checks]


def next_command(screen: str) -> str | None:
    """Return the last command on the screen, which a person would type next; None without one."""
    found = [match[0] for line in screen.splitlines() if (match := COMMAND.search(line.rstrip()))]
    return found[-1] if found else None


def undo_command(screen: str) -> str | None:
    """Return the last command that the screen shows for a stage that could not be undone; None without one."""
    found = [match[1] for line in screen.splitlines() if (match := BY_HAND.search(line.rstrip()))]
    return found[-1] if found else None


def verdicts(entries: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return each verdict in the journal with its reason, in order."""
    return [(entry["verdict"], entry["reason"]) for entry in entries if entry["event"] == "verdict"]


def _outcome(expected: Expected, found: Found) -> Iterator[Check]:
    yield Check("the drill", "goes to its end", found.problem or "goes to its end", found.problem is None)
    yield _equal("exit code", str(expected.exit_code), str(found.exit_code))
    graves = [v for v in verdicts(text_format.read(found.journal).entries) if v[0] in ("abort", "must_finish")]
    did = f"{graves[0][0]}: {graves[0][1]}" if graves else "none"
    right = {verdict for verdict, _ in graves} == ({expected.verdict} if expected.verdict else set())
    because = f", because of {expected.because}" if expected.because else ""
    yield Check("verdict", (expected.verdict or "none") + because, did, right and expected.because in did)


def _state(expected: Expected, found: Found) -> Iterator[Check]:
    states = {row["stage"]: row["state"] for row in found.status.get("rows", [])}
    wanted = dict.fromkeys(states, expected.states[EVERY_STAGE]) if EVERY_STAGE in expected.states else expected.states
    did = {stage: states.get(stage, "unknown") for stage in wanted}
    right = bool(wanted) and did == dict(wanted)
    yield Check("stages", _said(expected.states), _said(expected.states if right else did), right)
    yield _equal("schema", expected.schema, found.schema)
    access = "open, users get in" if found.users_are_in else "users do not get in"
    access += "" if found.connection_limit == -1 else f", connection limit {found.connection_limit}"
    yield _equal("access", "open, users get in", access)
    yield _equal("services", "as before the window", "; ".join(found.services) or "as before the window")
    yield _equal("survivors", "none", "; ".join(found.survivors) or "none")
    for what, should in expected.also.items():
        yield _equal(what, should, found.also.get(what, "unknown"))


def _records(expected: Expected, found: Found) -> Iterator[Check]:
    reading = text_format.read(found.journal)
    entries = reading.entries
    undone = [entry["stage"] for entry in entries if entry["event"] == "undo_finished" and entry["outcome"] == "ok"]
    yield _equal("undone", ", ".join(expected.undone) or "nothing", ", ".join(undone) or "nothing")
    whole = "whole" if reading.broken_at is None and not reading.torn else f"broken at line {reading.broken_at}"
    last = entries[-1] if entries else {}
    closed = last.get("outcome") if last.get("event") == "rollout_closed" else None
    ends = f"{whole}, closed: {closed} with exit code {last['exit_code']}" if closed else f"{whole}, not closed"
    should = f"closed: {expected.outcome} with exit code {expected.exit_code}" if expected.outcome else "not closed"
    yield _equal("journal", f"whole, {should}", ends)
    closed = (found.status.get("closed") or {}).get("outcome", "not closed")
    yield _equal("status --json", expected.outcome or "not closed", closed if found.status else "says nothing")
    pack = "there" if expected.outcome == ABORTED else "none"
    yield _equal("abort pack", pack, "there" if found.packs else "none")
    if expected.says:
        said = expected.says if expected.says in found.screen else "something else"
        yield _equal("the screen says", expected.says, said)
    if expected.exit_code:  # when all is done, there is none
        command = next_command(found.screen)
        yield Check("the screen", "shows the next command", command or "shows none", command is not None)


def _equal(what: str, should: str, did: str) -> Check:
    return Check(what, should, did, should == did)


def _said(states: Mapping[str, str]) -> str:
    return ", ".join(f"{stage} {state}" for stage, state in states.items())
