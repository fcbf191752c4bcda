"""Cowboys: the list of them, their diffs, and whether one is in a file (R16, R25).

A cowboy is a patch that somebody applied by hand in production. Its diff is a unified one (`diffs`); applying hunks is
GNU patch's work, not ours.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, Iterable, Mapping

from .diffs import DiffError as DiffError
from .diffs import FilePatch as FilePatch
from .diffs import parse_diff as parse_diff
from .diffs import path_problem as path_problem

ID = re.compile(r"[a-z0-9-]+")
REQUIRED = ("id", "who", "why", "diff")
OPTIONAL = ("bug", "tree", "hosts")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines would also split at form feeds, which source code contains
_WORD = re.compile(r"\w")


class CowboyState(str, Enum):
    """How a cowboy stands in one tree."""

    LANDED = "landed"  # the tree's own revision contains it
    APPLIED = "applied"  # in the files, but not in the revision
    TO_APPLY = "to_apply"  # not, or not wholly, in the files; it can be applied
    CONFLICT = "conflict"  # neither in the files nor applicable
    ANOTHER_FORM = "another_form"  # the revision looks as if it contained it, but not as the diff has it


def problems(cowboys: Any) -> list[str]:
    """What is wrong with a list of cowboys, as sentences that say which one; empty when it is sound."""
    if not isinstance(cowboys, list):
        return [f"the cowboys must be a list, not {type(cowboys).__name__}"]
    found: list[str] = []
    seen = set()
    for number, cowboy in enumerate(cowboys, start=1):
        if not isinstance(cowboy, Mapping):
            found.append(f"cowboy {number} must be a mapping, not {type(cowboy).__name__}")
            continue
        name = f"cowboy {number} ({cowboy.get('id', 'no id')})"
        found += [f"{name}: {problem}" for problem in _field_problems(cowboy)]
        if str(cowboy.get("id")) in seen:
            found.append(f"{name}: the id is there twice")
        seen.add(str(cowboy.get("id")))
    return found


def _field_problems(cowboy: Mapping[Any, Any]) -> Iterable[str]:
    for field in REQUIRED:
        if not isinstance(cowboy.get(field), str) or not cowboy[field].strip():
            yield f"{field} is missing (expected text)"
    for field in cowboy:
        if field not in REQUIRED + OPTIONAL:
            yield f"{field} is not a field of a cowboy (expected {', '.join(REQUIRED + OPTIONAL)})"
    if isinstance(cowboy.get("id"), str) and not ID.fullmatch(cowboy["id"]):
        yield f"id {cowboy['id']!r} is outside the pattern (expected [a-z0-9-]+)"
    bug = cowboy.get("bug")
    if bug is not None and (not isinstance(bug, int) or isinstance(bug, bool) or bug < 1):
        yield f"bug {bug!r} is not a bug's number"
    tree = cowboy.get("tree")
    if tree is not None and tree != "." and (not isinstance(tree, str) or path_problem(tree)):
        yield f"tree {tree!r} is not a directory inside the deployed tree"
    hosts = cowboy.get("hosts")
    if hosts is not None and not (isinstance(hosts, list) and hosts and all(isinstance(host, str) for host in hosts)):
        yield f"hosts {hosts!r} is not a list of host names"


def on_host(cowboys: Iterable[Mapping[str, Any]], host: str) -> list[Mapping[str, Any]]:
    """Those that belong on ``host`` (its inventory name); without ``hosts``, a cowboy belongs everywhere."""
    return [cowboy for cowboy in cowboys if not cowboy.get("hosts") or host in cowboy["hosts"]]


def is_in(taken_out: int | None, put_in: int | None) -> bool:
    """Whether a patch is in a file, from how far (lines) its hunks are moved to take it out or to put it in.

    None: that does not work without a conflict. Both can work where a file repeats itself; then the nearer place is the
    right one, and at the same distance it is in, so that nothing is ever applied twice.
    """
    if taken_out is None:
        return False
    return put_in is None or taken_out <= put_in


def state(parts: Iterable[tuple[bool, bool, bool]]) -> CowboyState:
    """State of a cowboy from its files, each (in the revision, in the file, applicable)."""
    known = list(parts)
    if all(in_revision for in_revision, _, _ in known):
        return CowboyState.LANDED
    if all(in_file for _, in_file, _ in known):
        return CowboyState.APPLIED
    if all(in_file or applicable for _, in_file, applicable in known):
        return CowboyState.TO_APPLY
    return CowboyState.CONFLICT


def looks_landed(patch: FilePatch, content: str | None) -> bool:
    """Whether a file has every line that the diff adds and none that it removes, wherever they stand in it.

    White space does not count, nor do lines without a letter or digit, nor a removed line that the diff has elsewhere
    too. With no line left to go by, or no file, it does not look so. To be asked about, not to be believed (R16).
    """
    if content is None:
        return patch.deletes
    there = {_words(line) for line in content.split("\n")}
    marks: dict[str, set[str]] = {"+": set(), "-": set(), " ": set()}
    for line in _LINE.findall(patch.text)[2:]:
        if line[0] in marks and _WORD.search(line[1:]):
            marks[line[0]].add(_words(line[1:]))
    added, gone = marks["+"] - marks["-"] - marks[" "], marks["-"] - marks["+"] - marks[" "]
    return bool(added or gone) and added <= there and not gone & there


def contained(parts: Iterable[tuple[bool, bool, bool]]) -> CowboyState:
    """How a cowboy stands in a revision, from its files, each (contained, looks landed, applicable) (R16)."""
    known = list(parts)
    if all(is_in for is_in, _, _ in known):
        return CowboyState.LANDED
    if all(is_in or looks for is_in, looks, _ in known):
        return CowboyState.ANOTHER_FORM
    if all(is_in or applicable for is_in, _, applicable in known):
        return CowboyState.TO_APPLY
    return CowboyState.CONFLICT


def _words(line: str) -> str:
    return " ".join(line.split())


def sentence(cowboy: Mapping[str, Any], how: CowboyState, *, surroundings_changed: bool = False) -> str:
    """One line of evidence from a delivered tree; the hosts it holds for are the caller's to add."""
    who, why, name = cowboy["who"], cowboy["why"], cowboy["id"]
    since = " (the code around it has changed since)" if surroundings_changed else ""
    return {
        CowboyState.LANDED: f"{name} landed in the merge{since}, skipped ({who})",
        CowboyState.APPLIED: f"{name} is in place: {why} ({who})",
        CowboyState.TO_APPLY: f"{name} will be re-applied: {why} ({who})",
        CowboyState.CONFLICT: f"{name} cannot be applied: {why} ({who})",
    }[how]


def review_sentence(cowboy: Mapping[str, Any], how: CowboyState) -> str:
    """One line of evidence on how a cowboy stands in the merged revision, two days before the window (R16)."""
    who, why, name = cowboy["who"], cowboy["why"], cowboy["id"]
    return {
        CowboyState.LANDED: f"{name} landed in the merge, off the list ({who})",
        CowboyState.ANOTHER_FORM: f"{name} looks landed, in another form: ask {who} (until then it is re-applied)",
        CowboyState.TO_APPLY: f"{name} is not in the merge, re-applied by hand: {why} ({who})",
        CowboyState.CONFLICT: (
            f"{name} is not in the merge and CANNOT BE APPLIED to it: {who} makes its diff again ({why})"
        ),
    }[how]
