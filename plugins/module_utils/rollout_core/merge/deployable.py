"""Finds out which revisions are QA-ok, and the highest that can go out, with everything below it (R8).

A bug's tags tell its state now, not revision by revision: a later landing on the bug makes it qa-needstesting again,
and with that its earlier landings too. So a tag counts for every landing on its bug, except those that a
``bad-commit-N`` names: they stay bad, whatever else the bug says, until N is rolled back or the tag is removed.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from . import messages

_BAD_REVISION = re.compile(r"bad-(?:commit-|revision=)([0-9]{1,15})")
# From the worst: a revision is as good as the worst of its bugs, and a bug as the worst of its tags.
_TAG_STATES = {
    "qa-bad": "bad",
    "qa-needstesting": "needstesting",
    "qa-rcfixed": "rcfixed",
    "qa-untestable": "untestable",
    "qa-ok": "ok",
}
_WORST_FIRST = ("bad", "needstesting", "rcfixed", "ok", "untestable")
TOLD_AT_MOST = 8  # revisions in a message
GOOD = frozenset({"ok", "untestable", "no-qa", "testfix", "poller", "rolled-back"})


@dataclass(frozen=True)
class RevisionVerdict:
    """One revision: its QA state, why, and the lowest revision that blocks it as tip (None: it is deployable).

    ``state`` is one of ok, untestable, no-qa, testfix, poller, rolled-back (these are good), needstesting, bad,
    rcfixed, orphaned (these block).
    """

    revno: int
    state: str
    why: str
    blocked_by: int | None


@dataclass(frozen=True)
class Assessment:
    """A branch: its tip, the highest deployable revision (None: there is none), and what blocks the next one."""

    tip: int | None
    deployable: int | None
    blocked_by: tuple[int, ...]
    revisions: tuple[RevisionVerdict, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the documented JSON form."""
        listed = [{"revno": each.revno, "state": each.state, "why": each.why} for each in self.revisions]
        return {
            "tip": self.tip,
            "deployable": self.deployable,
            "blocked_by": list(self.blocked_by),
            "revisions": listed,
        }


@dataclass
class _Revision:
    """A revision while the branch is read: its own QA state, and which revisions rolled it back."""

    revno: int
    message: messages.CommitMessage
    state: str = ""
    why: str = ""
    remark: str = ""
    rolls_back: tuple[int, ...] = ()
    rolled_back_by: int | None = None
    blocked_by: int | None = None

    @property
    def blocks(self) -> bool:
        return self.rolled_back_by is None and self.state not in GOOD


@dataclass
class _Bugs:
    """The tags of the bugs, and the last revision that landed on each bug."""

    tags: dict[int, set[str]]
    last_landing: dict[int, int] = field(default_factory=dict)
    bad_revisions: dict[int, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, bug_tags: Mapping[Any, Iterable[str]], revisions: Iterable[_Revision]) -> _Bugs:
        bugs = cls({int(bug): {tag.strip().lower() for tag in tags} for bug, tags in bug_tags.items()})
        for bug, tags in sorted(bugs.tags.items()):
            for match in filter(None, map(_BAD_REVISION.fullmatch, sorted(tags))):
                bugs.bad_revisions.setdefault(int(match[1]), (bug, match[0]))
        for revision in revisions:
            bugs.last_landing.update(dict.fromkeys(revision.message.bugs, revision.revno))
        return bugs

    def state(self, bug: int, revno: int) -> tuple[str, str]:
        """Return the state of revision ``revno`` by its landing on ``bug``, and a sentence that says why."""
        found = [tag for tag in _TAG_STATES if tag in self.tags.get(bug, ())]
        if not found:
            return "needstesting", f"bug {bug} has no QA tag"
        why = f"bug {bug} is {found[0]}"
        again = self.last_landing.get(bug, revno)
        if found[0] == "qa-needstesting" and again > revno:
            why += f" again since {again} landed on it"
        return _TAG_STATES[found[0]], why

    def why_bad(self, revno: int) -> str:
        """Return the sentence about a revision that a bug names as bad."""
        bug, tag = self.bad_revisions[revno]
        mended_by = self.last_landing.get(bug, revno)
        way_out = f"; if {mended_by} mended it, take that tag off the bug" if mended_by > revno else ""
        return f"bug {bug} is tagged {tag}{way_out}"


def assess(revisions: Iterable[Mapping[str, Any]], bug_tags: Mapping[Any, Iterable[str]]) -> Assessment:
    """Return the assessment of a branch's revisions ``{revno, message}`` by the tags of their bugs ``{bug: [tag, …]}``.

    Linear in the revisions. What is below the first one counts as deployed. Raises ValueError for a revno that is there
    twice and for a bug that is no number.
    """
    branch = [_Revision(int(each["revno"]), messages.parse(str(each["message"]))) for each in revisions]
    branch.sort(key=lambda revision: revision.revno)
    by_revno = {revision.revno: revision for revision in branch}
    if len(by_revno) != len(branch):
        raise ValueError("the same revision number is there twice; expected the mainline of one branch")
    bugs = _Bugs.read(bug_tags, branch)
    for revision in branch:
        _read_rollbacks(revision, branch[0].revno, by_revno)
        _judge(revision, bugs)
    blocked_by = _sweep(branch, by_revno)
    return Assessment(
        tip=branch[-1].revno if branch else None,
        deployable=max((revision.revno for revision in branch if revision.blocked_by is None), default=None),
        blocked_by=blocked_by,
        revisions=tuple(_verdict(revision) for revision in branch),
    )


def pin_refusal(
    revisions: Sequence[Mapping[str, Any]],
    bug_tags: Mapping[Any, Iterable[str]],
    pinned: int,
    branch: str = "db-stable",
) -> str | None:
    """Return the message that the pinned revision is not QA-ok any more; None if it is.

    It names revision, bug, state, and what to type. ``revisions`` are as `assess` takes them, ``pinned`` is the number
    of one of them, ``branch`` the name of their branch. A revision that only a later one rolls back still counts.
    """
    upto = assess([each for each in revisions if int(each["revno"]) <= pinned], bug_tags)
    if upto.revisions[-1].blocked_by is None:
        return None
    today = assess(revisions, bug_tags)
    why = {verdict.revno: verdict.why for verdict in today.revisions}
    bad = [each for each in upto.revisions if each.state not in GOOD]
    lines = [f"E-pin-not-qa  {branch} {pinned}, pinned, is not QA-ok any more."]
    lines += [f"  {each.revno} is {each.state}: {why[each.revno]}" for each in bad[:TOLD_AT_MOST]]
    lines += [f"  … and {len(bad) - TOLD_AT_MOST} more: ./runbook.py deployable"] if len(bad) > TOLD_AT_MOST else []
    lines += ["  Nothing was merged.", "  Once QA is done and the tags say so:  ./runbook.py run"]
    if today.deployable is not None:
        pin = f"set rollout.pinned.revision to {today.deployable} in the plan, and ./runbook.py run select"
        lines.append(f"  Or what is QA-ok today:  {pin}")
    return "\n".join(lines)


def _read_rollbacks(revision: _Revision, first: int, by_revno: Mapping[int, _Revision]) -> None:
    """Keep the rollbacks that name an earlier revision of the branch; the others are reported as mistyped."""
    named = revision.message.rollbacks
    revision.rolls_back = tuple(
        number for number in named if 0 < number < revision.revno and (number < first or number in by_revno)
    )
    mistyped = [str(number) for number in named if number not in revision.rolls_back]
    if mistyped:
        revision.remark = f"; its [rollback={','.join(mistyped)}] names no earlier revision and does not count"


def _judge(revision: _Revision, bugs: _Bugs) -> None:
    """Set the revision's own state, as if nothing had been rolled back."""
    message = revision.message
    if revision.revno in bugs.bad_revisions:
        revision.state, revision.why = "bad", bugs.why_bad(revision.revno)
    elif revision.rolls_back:
        numbers = " and ".join(map(str, revision.rolls_back))
        revision.state, revision.why = "no-qa", f"rolls back {numbers}"
    elif message.poller:
        revision.state, revision.why = "poller", "a merge by the buildbot poller"
    elif message.testfix:
        revision.state, revision.why = "testfix", "a [testfix]"
    elif message.no_qa:
        revision.state, revision.why = "no-qa", "tagged [no-qa]"
    elif any(tag.startswith("bug=") for tag in message.unreadable):
        revision.state, revision.why = "orphaned", f"its bug cannot be read: [{'], ['.join(message.unreadable)}]"
    elif not message.bugs:
        revision.state, revision.why = "orphaned", "names no bug and no reason why it needs no QA"
    else:
        states = [bugs.state(bug, revision.revno) for bug in message.bugs]
        worst = min((state for state, _ in states), key=_WORST_FIRST.index)
        revision.state, revision.why = worst, ", ".join(why for state, why in states if state == worst)


def _sweep(branch: Iterable[_Revision], by_revno: Mapping[int, _Revision]) -> tuple[int, ...]:
    """Mark what blocks each revision, as the branch grew; return everything that blocks the next one."""
    blocking: set[int] = set()
    lowest: list[int] = []  # a heap of what has blocked; what does not any more is dropped when it comes up
    blocked_by: tuple[int, ...] = ()
    for revision in branch:
        was_free = not blocking
        changed = {revision.revno} if revision.blocks else set()
        blocking |= changed
        for number in revision.rolls_back:
            if number in by_revno:
                changed |= _roll_back(by_revno[number], revision.revno, by_revno, blocking)
        for number in changed & blocking:
            heapq.heappush(lowest, number)
        while lowest and lowest[0] not in blocking:
            heapq.heappop(lowest)
        revision.blocked_by = lowest[0] if lowest else None
        if was_free and blocking:
            blocked_by = tuple(sorted(blocking))
    return blocked_by if blocking else ()


def _roll_back(revision: _Revision, by: int, by_revno: Mapping[int, _Revision], blocking: set[int]) -> set[int]:
    """Roll ``revision`` back; what a rollback had rolled back is in again. Return all revisions that changed."""
    touched = set()
    turn: list[tuple[_Revision, int | None]] = [(revision, by)]
    while turn:
        revision, out_by = turn.pop()
        if out_by is not None and revision.rolled_back_by is not None:
            continue  # it is rolled back already
        revision.rolled_back_by = out_by
        (blocking.add if revision.blocks else blocking.discard)(revision.revno)
        touched.add(revision.revno)
        for target in (by_revno[number] for number in revision.rolls_back if number in by_revno):
            if out_by is None:
                turn.append((target, revision.revno))
            elif target.rolled_back_by == revision.revno:
                target.remark = f"; its rollback {revision.revno} was rolled back by {out_by}"
                turn.append((target, None))
    return touched


def _verdict(revision: _Revision) -> RevisionVerdict:
    state, why = revision.state, revision.why + revision.remark
    if revision.rolled_back_by is not None:
        why = (
            f"rolled back by {revision.rolled_back_by}"
            if state in GOOD
            else f"{why}; rolled back by {revision.rolled_back_by}"
        )
        state = "rolled-back"
    return RevisionVerdict(revision.revno, state, why, revision.blocked_by)
