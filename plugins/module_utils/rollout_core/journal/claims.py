"""The claim on a service: whose it is, and whether a journal is still the one that it knows. Records are the caller's.

A claim is a record on the database host: which rollout has the service, who began it where and when, and how far its
journal had come when it was last heard of. It is open until the rollout is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Collection, Mapping, Sequence

from . import runs

OPEN = "open"
ENDS = tuple(sorted(runs.FINAL))  # what a rollout that is over says of itself
Record = Mapping[str, Any]


class Refused(Exception):  # noqa: N818  it carries an answer
    """Why the service is not the claimant's: the whole message (first line `E-name  sentence`).

    `claim_lost`: another rollout has it. `journal_lost`: the journal lacks what was heard of it.
    """

    def __init__(self, message: str, *, claim_lost: bool = False, journal_lost: bool = False) -> None:
        """Keep all three."""
        super().__init__(message)
        self.claim_lost, self.journal_lost = claim_lost, journal_lost


@dataclass(frozen=True)
class Claimant:
    """A rollout that wants the service, as the control machine tells of it.

    `heads` are the SHA-256 of the lines of its `journal`, a path, in order; none where there is no file.
    `database` is the libpq conninfo of the database.
    """

    rollout: str
    service: str
    database: str
    by: str
    machine: str
    checkout: str
    journal: str
    heads: Sequence[str]
    run: str = ""

    @property
    def first(self) -> str:
        """Return the hash of the journal's first line, by which a journal is known; empty without one."""
        return self.heads[0] if self.heads else ""

    def record(self, now: str) -> dict[str, Any]:
        """Return the claim that it makes at `now`, ISO 8601 in UTC."""
        return {
            "rollout": self.rollout,
            "service": self.service,
            "database": self.database,
            "by": self.by,
            "machine": self.machine,
            "checkout": self.checkout,
            "journal": self.journal,
            "since": now,
            "state": OPEN,
            **self.heard_of(now),
        }

    def heard_of(self, now: str) -> dict[str, Any]:
        """Return what its claim says anew whenever it is heard of."""
        head = self.heads[-1] if self.heads else ""
        return {"heard": now, "run": self.run, "first": self.first, "lines": len(self.heads), "head": head}


def touches(record: Record, claimant: Claimant) -> bool:
    """Return True if the claim is on the service or the database that the claimant wants."""
    return bool(record.get("service") == claimant.service or record.get("database") == claimant.database)


def is_its(record: Record, claimant: Claimant) -> bool:
    """Return True if the claim is that of the claimant's rollout.

    A journal is known by its first line, wherever it was moved, and one that begins otherwise now by its place. Where
    there is none, by hand, the plan's id and the checkout tell.
    """
    if record.get("machine") == claimant.machine and not (record.get("first") and claimant.first):
        return (record.get("rollout"), record.get("checkout")) == (claimant.rollout, claimant.checkout)
    place = (claimant.machine, claimant.journal)
    return record.get("first") == claimant.first or (record.get("machine"), record.get("journal")) == place


def foreign(records: Sequence[Record], claimant: Claimant) -> Record | None:
    """Return the open claim of another rollout on the same service or database; None without one."""
    for record in records:
        if record.get("state") == OPEN and touches(record, claimant) and not is_its(record, claimant):
            return record
    return None


def own(records: Sequence[Record], claimant: Claimant) -> Record | None:
    """Return the claimant's own claim, open or ended; None without one."""
    return next((each for each in records if touches(each, claimant) and is_its(each, claimant)), None)


def journal_lost(record: Record, heads: Sequence[str]) -> str | None:
    """Return what is wrong with a journal, against its claim, in a sentence; None while it has all that was heard of.

    The hashes in a journal see any line that was changed but the last ones: what stands at its end, edited or cut off,
    only somebody else can know.
    """
    lines = int(record.get("lines") or 0)
    if len(heads) < lines:
        said = f"It has {len(heads)} lines, and had {lines} when the database host last heard of it"
        return f"{said} ({record.get('heard')}): its end was cut off."
    if lines and heads[lines - 1] != record.get("head"):
        heard = f"the one that the database host heard of ({record.get('heard')})"
        return f"Its line {lines} is not {heard}: it was edited, or its end was cut off before more was written."
    return None


def told(record: Record) -> str:
    """Return whose claim it is, where it was made, and when it was last heard of, in a line for people."""
    who = f"{record.get('rollout')} of {record.get('by')} on {record.get('machine')} ({record.get('checkout')})"
    said = f"{who}, since {_shown(record.get('since'))}; last heard of {_shown(record.get('heard'))}"
    said += f" ({record['run']})" if record.get("run") else ""
    took = record.get("took")
    said += f"; taken over from {took.get('from')}: {took.get('reason')}" if isinstance(took, dict) else ""
    return "".join(letter if letter.isprintable() else "?" for letter in said)


def _shown(instant: Any) -> str:
    """Return an ISO instant as people write it, to the minute."""
    return f"{str(instant)[:16].replace('T', ' ')} UTC"


@dataclass(frozen=True)
class TakeOver:
    """Whose claim is taken over, by the id of its rollout, and why; nobody's without an id."""

    rollout: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Claims:
    """The claims on a host as they are to be kept, seen by one claimant.

    `own` is its claim, open or ended, `other` the open one of another rollout. `claimed`: it was made just now.
    """

    records: Sequence[Record]
    claimant: Claimant
    own: Record | None
    other: Record | None
    claimed: bool = False

    def with_own(self, record: Record, *, claimed: bool = False) -> Claims:
        """Return them with this claim in the place of all on the same service or database."""
        others = [each for each in self.records if not touches(each, self.claimant)]
        return replace(self, records=[*others, record], own=record, claimed=claimed)


def seen(records: Sequence[Record], claimant: Claimant, closed: Collection[str] = ()) -> Claims:
    """Return the claims as they are. `closed` are the first lines of journals whose rollouts are over."""
    still = [each for each in records if each.get("first") not in closed or each.get("state") != OPEN]
    return Claims(records, claimant, own(records, claimant), foreign(still, claimant))


def free(found: Claims) -> Claims:
    """Return the claims as they are, if no other rollout has the service. Raises Refused."""
    if found.other:
        raise _lost(found, found.other)
    return found


def checked(found: Claims, now: str) -> Claims:
    """Return the claims with what is heard of the claimant's journal, if the service is its. Raises Refused."""
    free(found)
    if is_open(found.own):
        return _heard(found, now)
    over = f"{found.own.get('rollout')} is over ({found.own.get('state')})" if found.own else "nobody has claimed it"
    raise Refused(
        f"E-not-claimed  {found.claimant.service} is not claimed for {found.claimant.rollout}: {over}.\n"
        "  The runbook does that by itself:  ./runbook.py run\n"
        "  By hand:  ansible-playbook -i INVENTORY playbooks/claim.yml -e @PLAN"
    )


def taken(found: Claims, now: str, over: TakeOver) -> Claims:
    """Return the claims with the claimant's, made now, taken over, or heard of again. Raises Refused."""
    if found.other and found.other.get("rollout") != over.rollout:
        raise _lost(found, found.other)
    if found.other or not is_open(found.own):
        made = found.claimant.record(now)
        if found.other:
            made["took"] = {"from": over.rollout, "reason": over.reason}
        return found.with_own(made, claimed=True)
    if over.rollout and over.rollout == (found.own or {}).get("rollout"):
        return found.with_own({**(found.own or {}), **found.claimant.heard_of(now)})
    return _heard(found, now)


def ended(found: Claims, now: str, outcome: str) -> Claims:
    """Return the claims with the claimant's ended; one that it does not have stays as it is. Raises Refused."""
    if not is_open(found.own):
        return found
    heard = _heard(found, now)
    return heard.with_own({**(heard.own or {}), "state": outcome})


def is_open(record: Record | None) -> bool:
    """Return True if there is such a claim, and its rollout is not over."""
    return record is not None and record.get("state") == OPEN


def _heard(found: Claims, now: str) -> Claims:
    """Return the claims with how far the journal is; as they are when nothing is known of it. Raises Refused."""
    mine, heads = found.own or {}, found.claimant.heads
    if not heads:
        return found
    lost = journal_lost(mine, heads)
    if lost is None:
        return found.with_own({**mine, **found.claimant.heard_of(now)})
    raise Refused(
        f"E-journal-lost  {found.claimant.journal}, the journal of {found.claimant.rollout}, is not what it was.\n"
        f"  {lost}\n"
        "  What happened is not known for certain. Put it back from a backup; or look at the hosts, and it counts as\n"
        f'  it is after  ./runbook.py take-over --from {mine.get("rollout")} --reason "…"',
        journal_lost=True,
    )


def _lost(found: Claims, other: Record) -> Refused:
    name = other.get("rollout")
    return Refused(
        f"E-claimed  {found.claimant.service} is another rollout's: {told(other)}.\n"
        f"  As long as that one is open, {found.claimant.rollout} says nothing and touches nothing. Ask them: it ends\n"
        "  when it is done, aborted or dropped there. Once nothing of it is at work any more:\n"
        f'  ./runbook.py take-over --from {name} --reason "…"',
        claim_lost=True,
    )
