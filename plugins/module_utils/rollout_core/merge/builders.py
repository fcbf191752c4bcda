"""Judges what a builder of Buildbot says of the merged revision: its last build of exactly it must be green (R11).

Builders, builds, requests and workers are taken as Buildbot's REST API gives them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Sequence

from .blessing import BlessingQuestion, CheckVerdict, Merged, duration, not_started, spurious, to_run_again
from .builds import (
    FAILURE,
    GOOD,
    Builder,
    builds_of,
    expected_seconds,
    is_merged,
    number_of,
    result_of,
    says_revision,
    seconds_of,
)


def verdict(builder: Builder, question: BlessingQuestion) -> CheckVerdict:
    """Return the builder's verdict on the merged revision."""
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
        return CheckVerdict(builder.name, "green", said, "✓", seconds, **_run(builder, mine))
    return _failed(builder, mine, question)


def _running(builder: Builder, mine: Sequence[Mapping[str, Any]], question: BlessingQuestion) -> CheckVerdict:
    seconds, expected = seconds_of(mine[-1], question.now), expected_seconds(builder)
    steady = "running" if expected is None else f"running, about {duration(expected)}"
    said = f"running {duration(seconds, expected)}"
    return CheckVerdict(builder.name, "running", said, steady, seconds, expected=expected, **_run(builder, mine))


def _run(builder: Builder, mine: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of a verdict that say which build it is about: the last one of the revision."""
    last = mine[-1]
    url = "{}/builds/{}".format(builder.url, last["number"])
    return {"run": str(last["buildid"]), "called": str(last["number"]), "url": url, "reruns": len(mine) - 1}


def _pending(
    builder: Builder, mine: Sequence[Mapping[str, Any]], request: Mapping[str, Any], question: BlessingQuestion
) -> CheckVerdict:
    """Return the verdict on a request that no worker has taken; its limit stands still while the builder is busy."""
    busy = [build for build in builder.builds if not build["complete"]]
    if not busy:
        return _not_begun(builder, request, question, reruns=max(0, len(mine) - 1))
    waited = max(0.0, question.now - float(request["submitted_at"]))
    other, expected = busy[0], expected_seconds(builder)
    behind = f"waits for build {other['number']}"
    said = f"{behind}, which runs {duration(seconds_of(other, question.now), expected)}"
    return CheckVerdict(builder.name, "pending", said, behind, waited, url=builder.url, reruns=max(0, len(mine) - 1))


def _beginning(builder: Builder, question: BlessingQuestion) -> CheckVerdict | None:
    """Return a verdict if a build has begun whose revision is not known yet: it may be ours."""
    for build in builder.builds:
        if not build["complete"] and not says_revision(build):
            steady = f"build {build['number']} begins"
            return CheckVerdict(
                builder.name, "pending", steady, steady, seconds_of(build, question.now), url=builder.url
            )
    return None


def _not_begun(
    builder: Builder, request: Mapping[str, Any] | None, question: BlessingQuestion, reruns: int = 0
) -> CheckVerdict:
    since = max(question.begun, float(request["submitted_at"])) if request else question.begun
    why = _why_not_begun(builder, request, question.merged)
    return replace(not_started(builder.name, why, since, question), url=builder.url, reruns=reruns)


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


def _failed(builder: Builder, mine: Sequence[Mapping[str, Any]], question: BlessingQuestion) -> CheckVerdict:
    """Return the verdict on a last build that is not good: to be run again, or red."""
    last, result = mine[-1], result_of(mine[-1])
    steps = tuple(builder.failed.get(int(last["number"]), ()))
    known = spurious(builder.name, steps, question.patterns) if result == FAILURE else None
    said = f"✗ {' and '.join(step.step for step in steps) or 'build'} failed"
    seconds = seconds_of(last, question.now)
    red = CheckVerdict(builder.name, "red", said, said, seconds, failed=steps, **_run(builder, mine))
    if result == FAILURE and known is None:
        return red
    found = to_run_again(red, known, f"ended as {result}", question)
    if found.state == "spurious" and (builder.name, red.run) in question.rerun:
        said = f"✗ {found.why}; it was run again, and that request is gone"
        return replace(found, state="never_started", said=said, steady=said)
    return found
