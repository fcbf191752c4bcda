"""Reads builders' facts from Buildbot's REST API: which builds are of which revision, results, durations (R11)."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from .blessing import Failed, Merged

RESULTS = ("success", "warnings", "failure", "skipped", "exception", "retry", "cancelled")  # Buildbot's codes
GOOD, FAILURE = ("success", "warnings"), "failure"
_REVNO = re.compile(r"[0-9]{1,15}")
_SHA = re.compile(r"[0-9a-f]{40}")
_SHORT_SHA = re.compile(r"[0-9a-f]{7,40}")
_EARLIER = 10  # as many builds say how long the next one takes


@dataclass(frozen=True)
class Builder:
    """One builder's facts, as REST objects.

    ``builds`` are its latest, with their properties; ``requests`` those that nobody has claimed, with ``revision`` and
    ``branch`` of their source stamp; ``workers`` its own. ``failed`` has the failed steps by number of build.
    """

    name: str
    url: str = ""
    builds: Sequence[Mapping[str, Any]] = ()
    requests: Sequence[Mapping[str, Any]] = ()
    workers: Sequence[Mapping[str, Any]] = ()
    failed: Mapping[int, Sequence[Failed]] = field(default_factory=dict)


def builds_of(builder: Builder, merged: Merged) -> list[Mapping[str, Any]]:
    """Return the builder's builds of exactly the merged revision, oldest first."""
    mine = [build for build in builder.builds if is_merged(*_built(build), merged)]
    return sorted(mine, key=lambda build: int(build["number"]))


def expected_seconds(builder: Builder) -> float | None:
    """Return the median duration of the builder's latest green builds; None if there are none."""
    good = [build for build in builder.builds if build.get("complete") and result_of(build) in GOOD]
    latest = sorted(good, key=lambda build: int(build["number"]))[-_EARLIER:]
    return statistics.median(seconds_of(build, 0.0) for build in latest) if latest else None


def _built(build: Mapping[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return the revision that was fetched, the one asked for, and the branch. Properties are [value, source]."""
    properties = build.get("properties") or {}
    got, asked, branch = ((properties.get(name) or [None])[0] for name in ("got_revision", "revision", "branch"))
    if isinstance(got, dict):  # one for each codebase
        got = next(iter(got.values()), None)
    return _text(got), _text(asked), _text(branch)


def _text(value: Any) -> str | None:
    return None if value in (None, "") else str(value)


def is_merged(got: str | None, asked: str | None, branch: str | None, merged: Merged) -> bool:
    """Return True if a build is of the merged revision: by the one it fetched, or until then by the one asked for.

    A revision number counts on the merge's own branch only; git's counts nowhere, a hash may be cut short.
    """
    revision = got or asked
    if not revision:
        return False
    if revision == merged.revid:
        return True
    if _SHA.fullmatch(merged.revid):
        return bool(_SHORT_SHA.fullmatch(revision)) and merged.revid.startswith(revision)
    return revision == str(merged.revno) and _on_branch(branch, merged)


def says_revision(build: Mapping[str, Any]) -> bool:
    """Return True if a build tells its revision; in its first moment it does not."""
    return any(_built(build)[:2])


def _on_branch(branch: str | None, merged: Merged) -> bool:
    return not merged.branch or branch == merged.branch


def number_of(build: Mapping[str, Any], merged: Merged) -> int | None:
    """Return the number, on the merge's branch, of the revision that a build is of; None if that is not known."""
    got, asked, branch = _built(build)
    told = next((value for value in (got, asked) if value and _REVNO.fullmatch(value)), None)
    return int(told) if told and not _SHA.fullmatch(merged.revid) and _on_branch(branch, merged) else None


def result_of(build: Mapping[str, Any]) -> str:
    """Return Buildbot's word for how a complete build ended; `exception` for a code that is not known."""
    code = build.get("results")
    return RESULTS[code] if isinstance(code, int) and 0 <= code < len(RESULTS) else "exception"


def seconds_of(build: Mapping[str, Any], now: float) -> float:
    """Return how many seconds a build took, or has run by now."""
    end = build.get("complete_at")
    return max(0.0, (now if end is None else float(end)) - float(build["started_at"]))
