"""Selects the revision of db-stable that goes out: QA-ok (R8), sound patches, and database time that fits (R2, R9).

The three questions are asked of every revision that devel lacks, and of devel as it is: it may hold the patches of an
earlier attempt. The highest revision with three good answers is chosen, or the one pinned by hand is judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Iterable, Mapping, Sequence

from ..schema import patches
from ..schema.budget import Budget
from . import deployable, messages

Texts = Mapping[str, str]  # what a schema directory holds: text by file name
# The history of what was backed out stays in devel: a merge of an earlier revision is none, and brings nothing.
BELOW_A_BACK_OUT = (
    "{0} was in {target} and backed out, so nothing below it can be merged: roll back on {source} what is wrong in it"
)
TOLD_AT_MOST = 8  # reasons at the gate; with what stands around them they fit on a screen


@dataclass(frozen=True)
class Branches:
    """The names of the branch that goes out and of the one that it is merged into, for people."""

    source: str = "db-stable"
    target: str = "devel"


@dataclass(frozen=True)
class Shared:
    """The last revision of db-stable that devel has, and the schema directories there and at devel's tip.

    ``taken_back`` is the highest revision that devel had and that was backed out (R17), 0 if none was. ``branches`` are
    what the site calls the two.
    """

    revno: int
    revid: str
    names: frozenset[str]
    devel: Texts
    taken_back: int = 0
    branches: Branches = Branches()


@dataclass(frozen=True)
class Site:
    """What production, staging and Launchpad say.

    ``applied`` are production's rows (major, minor, patch), ``timings`` staging seconds by patch file name.
    """

    bug_tags: Mapping[Any, Sequence[str]]
    applied: Sequence[Sequence[int]]
    timings: Mapping[str, float]
    budget: Budget


@dataclass(frozen=True)
class Schema:
    """The judgement on what production would have to apply for one revision. Problems are sentences."""

    pending: tuple[str, ...]
    staging_seconds: dict[str, float]
    estimate: float
    problems: tuple[str, ...]
    budget: Budget

    @property
    def minutes(self) -> float:
        """Return the estimate in minutes, rounded up to a tenth."""
        return math.ceil(round(self.estimate / 6, 6)) / 10

    @property
    def summary(self) -> str:
        """Return ``11 patches, 70.5 s on staging → 12.4 min of 90``; the estimate is rounded up."""
        count = f"{len(self.pending)} patch{'' if len(self.pending) == 1 else 'es'}"
        staging = sum(self.staging_seconds.values())
        return f"{count}, {staging:.1f} s on staging → {self.minutes:.1f} min of {self.budget.window_minutes:g}"


@dataclass(frozen=True)
class CandidateRevision:
    """A revision, and every reason why it may not go out; without reasons it may."""

    revno: int
    revid: str
    schema: Schema
    qa: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return sentences about QA, then about the patches and their time."""
        return (*self.qa, *self.schema.problems)


@dataclass(frozen=True)
class Selection:
    """All candidates, lowest first (the first is devel as it is), and those that may go out."""

    assessment: deployable.Assessment
    candidates: tuple[CandidateRevision, ...]
    allowed: tuple[CandidateRevision, ...]
    remarks: tuple[str, ...]
    branches: Branches = Branches()

    @property
    def highest(self) -> CandidateRevision | None:
        """Return the highest candidate that may go out, or None."""
        return self.allowed[-1] if self.allowed else None

    @property
    def fits(self) -> list[dict[str, Any]]:
        """Return ``{revision, patches, seconds, minutes}`` of every candidate that may go out, lowest first (R9).

        ``patches`` is their number, ``seconds`` their time on staging, ``minutes`` that on production with the pad.
        """
        return [
            {
                "revision": each.revno,
                "patches": len(each.schema.pending),
                "seconds": round(sum(each.schema.staging_seconds.values()), 3),
                "minutes": each.schema.minutes,
            }
            for each in self.allowed
        ]

    def candidate(self, revno: int) -> CandidateRevision | None:
        """Return the candidate with that number; a number up to the shared revision means devel as it is."""
        if 0 < revno <= self.candidates[0].revno:
            return self.candidates[0]
        return next((candidate for candidate in self.candidates if candidate.revno == revno), None)

    def evidence(self, chosen: CandidateRevision) -> list[str]:
        """Return lines for the gate: how far QA goes and what blocks, the chosen revision's cost, why no higher one."""
        lines = [_qa_line(self.assessment, self.candidates[0].revno, self.branches.source), chosen.schema.summary]
        if chosen.revno <= self.candidates[0].revno:
            lines.append(f"{self.branches.target} has {chosen.revno} already: there is nothing to merge")
        first_line = [(each.revno, [each.why]) for each in self.assessment.revisions]
        first_line = [each for each in first_line if each[0] in self.assessment.blocked_by]
        behind = [each for each in self.left_behind(chosen) if (each["revision"], each["why"]) not in first_line]
        lines += [f"left behind: {_span(each)}: {_joined(each['why'])}" for each in behind[:TOLD_AT_MOST]]
        if len(behind) > TOLD_AT_MOST:
            lines.append(f"left behind: … and {len(behind) - TOLD_AT_MOST} more; the journal has them all")
        if self.highest is not None and chosen.revno < self.highest.revno:
            lines.append(f"pinned by hand: {self.highest.revno} could go out too")
        return [*lines, *self.remarks]

    def left_behind(self, chosen: CandidateRevision) -> list[dict[str, Any]]:
        """Return why each revision above the chosen one is not in, ``{revision, upto, why}``, lowest first.

        A revision that is not QA-ok has an entry of its own; neighbours with the same problems of patches or time share
        one. A revision that is only behind another has none.
        """
        above = [each for each in self.candidates if each.revno > chosen.revno]
        found = [
            {"revision": each.revno, "upto": each.revno, "why": [each.why]}
            for each in self.assessment.revisions
            if each.revno > chosen.revno and each.state not in deployable.GOOD
        ]
        for problems, group in groupby(above, key=lambda each: each.schema.problems):
            numbers = [each.revno for each in group]
            if problems:
                found.append({"revision": numbers[0], "upto": numbers[-1], "why": list(problems)})
        return sorted(found, key=lambda each: each["revision"])


def select(
    revisions: Sequence[Mapping[str, Any]], shared: Shared, schemas: Sequence[tuple[int, Texts]], site: Site
) -> Selection:
    """Return the selection from the revisions of db-stable that devel lacks, ``{revno, revid, message}``.

    ``schemas`` holds the schema directory at each of them that changed it, lowest first.
    """
    assessment = deployable.assess(revisions, site.bug_tags)
    why = {verdict.revno: verdict.why for verdict in assessment.revisions}
    contents = dict(schemas)
    schema = _judge(shared.devel, shared.devel, site)
    candidates = [CandidateRevision(shared.revno, shared.revid, schema)]
    ordered = sorted(revisions, key=lambda revision: int(revision["revno"]))
    for revision, verdict in zip(ordered, assessment.revisions):
        if verdict.revno in contents:
            schema = _judge(merged(shared.names, shared.devel, contents[verdict.revno]), shared.devel, site)
        reasons = [f"{verdict.blocked_by} blocks: {why[verdict.blocked_by]}"] if verdict.blocked_by else []
        if verdict.revno < shared.taken_back:
            reasons.append(BELOW_A_BACK_OUT.format(shared.taken_back, **vars(shared.branches)))
        candidates.append(CandidateRevision(verdict.revno, str(revision["revid"]), schema, tuple(reasons)))
    worth_it = candidates if candidates[0].schema.pending else candidates[1:]
    allowed = tuple(candidate for candidate in worth_it if not candidate.reasons)
    return Selection(assessment, tuple(candidates), allowed, _remarks(shared), shared.branches)


def merged(base: Iterable[str], ours: Texts, theirs: Texts) -> Texts:
    """Return the schema directory after the merge, as a three-way merge makes it: additions and removals stay.

    A file that both sides have is theirs: patches are written once, on db-stable.
    """
    common = frozenset(base)
    one_sided = frozenset(ours) ^ frozenset(theirs)
    return {name: text for name, text in {**ours, **theirs}.items() if name not in one_sided or name not in common}


def refusal(selection: Selection, pinned: int | None, limit: int = 8) -> str:
    """Return the message that no revision, or not the one pinned by hand, may go out: why, and what to do next."""
    shared, tip = selection.candidates[0].revno, selection.candidates[-1].revno
    source, target = selection.branches.source, selection.branches.target
    candidate = selection.candidate(pinned) if pinned is not None else None
    blocked = [each for each in selection.candidates if each.reasons]
    if pinned is not None and candidate is None:
        lines = [
            f"E-pin-unknown  {source} has no revision {pinned}: its tip is {tip}, and {target} has it up to {shared}."
        ]
    elif candidate is not None:
        lines = [f"E-pin-blocked  {source} {pinned}, pinned by hand, may not go out:"]
        lines += [f"  {reason}" for reason in candidate.reasons]
    elif not blocked:
        lines = [f"E-nothing-to-deploy  {target} has all of {source} (tip {tip}), and production has all its patches."]
    else:
        lines = [
            f"E-nothing-deployable  Nothing of {source} may go out: its tip is {tip}, {target} has it up to {shared}."
        ]
        groups = _grouped(blocked)
        lines += [f"  {group}" for group in groups[:limit]]
        lines += ["  …"] if len(groups) > limit else []
    if selection.highest is not None:
        lines.append(
            f"  The highest that may: {source} {selection.highest.revno} ({selection.highest.schema.summary})."
        )
        pin = f"set rollout.pinned.revision to {selection.highest.revno} in the plan"
        lines.append(f"  Then:  {pin}, and ./runbook.py run select")
    elif blocked:
        lines.append("  Then:  once that is mended, ./runbook.py run select")
    return "\n".join(lines)


def schema_changes(
    chosen: CandidateRevision,
    revisions: Sequence[Mapping[str, Any]],
    schemas: Sequence[tuple[int, Texts]],
    shared: Shared,
) -> list[dict[str, Any]]:
    """Return each patch of the chosen revision for the people who QA it again (R14), in the order of application.

    ``{patch, title, staging_seconds, revno, message}``: title is its first comment line, revno and message those of the
    revision that brought it (null for a patch that devel holds already).
    """
    messages_of = {int(revision["revno"]): messages.parse(str(revision["message"])).text for revision in revisions}
    texts, brought_by = dict(shared.devel), {}
    for revno, schema in schemas:
        if revno <= chosen.revno:
            texts.update(schema)
            brought_by.update({name: revno for name in schema if name not in brought_by})
    return [
        {
            "patch": name,
            "title": _title(texts[name]),
            "staging_seconds": chosen.schema.staging_seconds[name],
            "revno": None if name in shared.devel else brought_by[name],
            "message": None if name in shared.devel else messages_of[brought_by[name]],
        }
        for name in chosen.schema.pending
    ]


def pending_texts(chosen: CandidateRevision, schemas: Sequence[tuple[int, Texts]], shared: Shared) -> dict[str, str]:
    """Return the texts of the chosen revision's patches as they are after the merge, in the order of application."""
    upto = [schema for revno, schema in schemas if revno <= chosen.revno]
    texts = merged(shared.names, shared.devel, upto[-1]) if upto else shared.devel
    return {name: texts[name] for name in chosen.schema.pending}


def digests(texts: Texts, shared: Shared) -> list[str]:
    """Return FILE=SHA256 of the patches' texts; not where devel has another wording, as only the merge tells then."""
    return [patches.digest(name, text) for name, text in texts.items() if shared.devel.get(name, text) == text]


def _grouped(candidates: Iterable[CandidateRevision]) -> list[str]:
    """Return lines ``10382–10384: reason``, one for neighbours that stay behind for the same reasons."""
    lines = []
    for reasons, group in groupby(candidates, key=lambda each: each.reasons):
        numbers = [each.revno for each in group]
        if reasons:
            span = f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
            lines.append(f"{span}: {'; '.join(reasons)}")
    return lines


def _span(entry: Mapping[str, Any]) -> str:
    first, last = entry["revision"], entry["upto"]
    return f"{first}–{last}" if last > first else str(first)


def _joined(why: Sequence[str], limit: int = 3) -> str:
    return " · ".join([*why[:limit], *([f"and {len(why) - limit} more"] if len(why) > limit else [])])


def _title(text: str) -> str:
    first = text.lstrip().split("\n", 1)[0]
    return first[2:].strip() if first.startswith("--") else ""


def _judge(schema: Texts, devel: Texts, site: Site) -> Schema:
    """Return the judgement on what production would have to apply of a schema directory."""
    pending, misnamed = patches.pending(schema, site.applied)
    names = tuple(str(name) for name in pending)
    seconds = {name: float(site.timings[name]) for name in names if name in site.timings}
    problems = [problem for name in names for problem in patches.check(name, schema[name])]
    problems += [patches.check(name, schema[name])[0] for name in misnamed if name not in devel]
    untimed = [name for name in names if name not in seconds]
    if untimed:
        problems.append(f"no staging timing of {', '.join(untimed)}: restore staging with it first")
    judged = Schema(names, seconds, site.budget.estimate(seconds.values()), (), site.budget)
    if not site.budget.fits(judged.estimate):
        problems.append(f"over budget: {judged.summary}")
    return Schema(names, seconds, judged.estimate, tuple(problems), site.budget)


def _qa_line(assessment: deployable.Assessment, shared: int, source: str) -> str:
    parts = [f"{source} tip {assessment.tip or shared}", f"QA-ok up to {assessment.deployable or shared}"]
    why = {verdict.revno: verdict.why for verdict in assessment.revisions}
    return " · ".join([*parts, *(f"{revno} blocks: {why[revno]}" for revno in assessment.blocked_by)])


def _remarks(shared: Shared) -> tuple[str, ...]:
    misnamed = patches.pending(shared.devel, ()).misnamed
    target = shared.branches.target
    return tuple(f"{target} holds {name}, outside {patches.PATTERN}: nobody will ever apply it" for name in misnamed)
