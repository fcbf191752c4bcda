"""Judges whether Buildbot blesses the merge (R11): each builder's last build of the merged revision must be green.

Builders, builds, requests and workers are taken as Buildbot's REST API gives them. A failure that is known as spurious,
or is not the code's fault, is forced again a limited number of times; any other failure is red.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Collection, Mapping, Sequence

from .builds import (
    FAILURE,
    GOOD,
    Builder,
    Failed,
    Merged,
    builds_of,
    expected_seconds,
    is_merged,
    number_of,
    reports,
    result_of,
    says_revision,
    seconds_of,
)


@dataclass(frozen=True)
class Spurious:
    """A failure known not to be the code's fault, and the bug that describes it; for all builders if none is named."""

    pattern: str
    bug: int
    builders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How often a build is forced again for one revision, and how many seconds a builder may take to start it."""

    forced: int
    start_seconds: float


@dataclass(frozen=True)
class BuilderVerdict:
    """One builder's verdict on the merged revision.

    ``state`` is green, running, pending, never_started, spurious (to be forced again) or red. ``build`` is its last
    build of the revision, as a REST object, empty for none. ``said`` is for a person; ``steady`` is the same without
    the parts that change every second. ``seconds`` it has run or waited; ``forced`` counts its builds of the revision
    beyond the first; ``url`` is where a browser finds the build, or the builder. ``why`` says in a word or two why it
    may be forced again.
    """

    builder: str
    state: str
    said: str
    steady: str
    seconds: float
    build: Mapping[str, Any] = field(default_factory=dict)
    expected: float | None = None
    why: str | None = None
    bug: int | None = None
    forced: int = 0
    failed: tuple[Failed, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Blessing:
    """The verdict of all builders: ``state`` is blessed, wait, force or red."""

    state: str
    verdicts: tuple[BuilderVerdict, ...]

    @property
    def line(self) -> str:
        """Return a line for a person: ``lucid_lp ✓ 4:02 h · lucid_db_lp running 3:41 of about 4:10 h``."""
        return " · ".join(f"{verdict.builder} {verdict.said}" for verdict in self.verdicts)

    @property
    def step(self) -> str:
        """Return the line for a person without what changes by the second."""
        return " · ".join(f"{verdict.builder} {verdict.steady}" for verdict in self.verdicts)


@dataclass(frozen=True)
class BlessingQuestion:
    """The question to all builders. ``now`` and ``begun`` (when somebody began to wait) are seconds since the epoch."""

    merged: Merged
    patterns: Sequence[Spurious]
    limits: Limits
    now: float
    begun: float
    forced: Collection[int] = ()  # ids of builds that were forced again before


def judge(builders: Sequence[Builder], question: BlessingQuestion) -> Blessing:
    """Return the blessing by all builders; one that cannot become green any more makes it red at once (R11)."""
    verdicts = tuple(_at(builder, _verdict(builder, question)) for builder in builders)
    states = {verdict.state for verdict in verdicts}
    if states & {"red", "never_started"}:
        state = "red"
    elif "spurious" in states:
        state = "force"
    else:
        state = "blessed" if states == {"green"} else "wait"
    return Blessing(state, verdicts)


def spurious(builder: str, failed: Sequence[Failed], patterns: Sequence[Spurious]) -> Spurious | None:
    """Return a pattern of the failure, if every failed test of every failed step matches one; else None.

    The report of a test ends where the next one's begins; an output without reports is matched as a whole.
    """
    told = [pattern for pattern in patterns if not pattern.builders or builder in pattern.builders]
    found = []
    for report in (report for step in failed for report in reports(step.lines)):
        found.append(next((each for each in told if re.search(each.pattern, report, re.MULTILINE)), None))
    return found[0] if found and all(found) and all(step.whole for step in failed) else None


def duration(seconds: float, of_about: float | None = None) -> str:
    """Return ``42 s``, ``2:05 min`` or ``4:02 h``, or with what is expected ``3:41 of about 4:10 h``."""
    longest = max(seconds, of_about or 0.0)
    size, unit = (1, "s") if longest < 60 else (60, "min") if longest < 3600 else (3600, "h")

    def told(value: float) -> str:
        return f"{value:.0f}" if size == 1 else f"{int(value // size)}:{int(value % size * 60 // size):02}"

    return f"{told(seconds)} {unit}" if of_about is None else f"{told(seconds)} of about {told(of_about)} {unit}"


def _at(builder: Builder, verdict: BuilderVerdict) -> BuilderVerdict:
    number = verdict.build["number"] if verdict.build else None
    return replace(verdict, url=builder.url if number is None else f"{builder.url}/builds/{number}")


def _verdict(builder: Builder, question: BlessingQuestion) -> BuilderVerdict:
    mine = builds_of(builder, question.merged)
    if mine and not mine[-1]["complete"]:
        return _running(builder, mine, question)
    for request in builder.requests:
        if is_merged(None, request.get("revision"), request.get("branch"), question.merged):
            return _pending(builder, mine, request, question)
    if not mine:
        return _beginning(builder, question) or _not_begun(builder, None, question)
    if result_of(mine[-1]) in GOOD:
        seconds, warned = seconds_of(mine[-1], question.now), result_of(mine[-1]) == "warnings"
        again = f", built {len(mine)} times" if mine[1:] else ""
        said = f"✓ {duration(seconds)}{' with warnings' if warned else ''}{again}"
        return BuilderVerdict(builder.name, "green", said, "✓", seconds, mine[-1], forced=len(mine) - 1)
    return _failed(builder, mine, question)


def _running(builder: Builder, mine: Sequence[Mapping[str, Any]], question: BlessingQuestion) -> BuilderVerdict:
    seconds, expected = seconds_of(mine[-1], question.now), expected_seconds(builder)
    steady = "running" if expected is None else f"running, about {duration(expected)}"
    said = f"running {duration(seconds, expected)}"
    return BuilderVerdict(builder.name, "running", said, steady, seconds, mine[-1], expected, forced=len(mine) - 1)


def _pending(
    builder: Builder, mine: Sequence[Mapping[str, Any]], request: Mapping[str, Any], question: BlessingQuestion
) -> BuilderVerdict:
    """Return the verdict on a request that no worker has taken; its limit stands still while the builder is busy."""
    busy = [build for build in builder.builds if not build["complete"]]
    if not busy:
        return _not_begun(builder, request, question, forced=max(0, len(mine) - 1))
    waited = max(0.0, question.now - float(request["submitted_at"]))
    other, expected = busy[0], expected_seconds(builder)
    behind = f"waits for build {other['number']}"
    said = f"{behind}, which runs {duration(seconds_of(other, question.now), expected)}"
    return BuilderVerdict(builder.name, "pending", said, behind, waited, forced=max(0, len(mine) - 1))


def _beginning(builder: Builder, question: BlessingQuestion) -> BuilderVerdict | None:
    """Return a verdict if a build has begun whose revision is not known yet: it may be ours."""
    for build in builder.builds:
        if not build["complete"] and not says_revision(build):
            steady = f"build {build['number']} begins"
            return BuilderVerdict(builder.name, "pending", steady, steady, seconds_of(build, question.now))
    return None


def _not_begun(
    builder: Builder, request: Mapping[str, Any] | None, question: BlessingQuestion, forced: int = 0
) -> BuilderVerdict:
    since = max(question.begun, float(request["submitted_at"])) if request else question.begun
    waited = max(0.0, question.now - since)
    why = _why_not_begun(builder, request, question.merged)
    if waited > question.limits.start_seconds:
        said = f"✗ not started after {duration(waited)}: {why}"
        return BuilderVerdict(builder.name, "never_started", said, "✗ not started", waited, forced=forced)
    steady = f"not started: {why}"
    return BuilderVerdict(builder.name, "pending", f"{steady}, {duration(waited)}", steady, waited, forced=forced)


def _why_not_begun(builder: Builder, request: Mapping[str, Any] | None, merged: Merged) -> str:
    if request:
        here = [worker for worker in builder.workers if worker.get("connected_to")]
        if not here:
            return "no worker of it is connected"
        return "its workers are paused" if all(worker.get("paused") for worker in here) else "no worker has taken it"
    built = {number_of(build, merged) or 0 for build in builder.builds}
    later = ", ".join(f"r{revno}" for revno in sorted(built) if revno > merged.revno)
    if later:
        return f"it has built {later}, and never r{merged.revno} itself"
    return "nobody has requested a build"


def _failed(builder: Builder, mine: Sequence[Mapping[str, Any]], question: BlessingQuestion) -> BuilderVerdict:
    """Return the verdict on a last build that is not good: to be forced again, or red."""
    last, result, forced = mine[-1], result_of(mine[-1]), len(mine) - 1
    failed = tuple(builder.failed.get(int(last["number"]), ()))
    known = spurious(builder.name, failed, question.patterns) if result == FAILURE else None
    seconds = seconds_of(last, question.now)
    if result == FAILURE and known is None:
        said = f"✗ {' and '.join(step.step for step in failed) or 'build'} failed"
        return BuilderVerdict(builder.name, "red", said, said, seconds, last, forced=forced, failed=failed)
    told = f"spurious, bug {known.bug}" if known else f"ended as {result}"
    so = BuilderVerdict(
        *(builder.name, "spurious", f"to be forced again ({told})", f"forced again ({told})", seconds, last),
        why=told,
        bug=known.bug if known else None,
        forced=forced,
        failed=failed,
    )
    if last["buildid"] in question.forced:
        said = f"✗ {told}; it was forced again, and that request is gone"
        return replace(so, state="never_started", said=said, steady=said)
    if forced >= question.limits.forced:
        said = f"✗ {told}, and built {'once' if not forced else f'{forced + 1} times'} already"
        return replace(so, state="red", said=said, steady=said)
    return so
