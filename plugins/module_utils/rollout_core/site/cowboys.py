"""Cowboys: their list, their diffs, and whether a tree has one (R16, R25).

A cowboy is a patch that somebody applied by hand in production. Its diff is a unified one, as ``brz diff`` or
``git diff`` prints it; applying hunks is GNU patch's work, not ours.

A cowboy is a patch that somebody applied by hand in production. Its diff is a unified one, as ``brz diff`` or
``git diff`` prints it; applying hunks is GNU patch's work, not ours.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Iterable, Mapping

ID = re.compile(r"[a-z0-9-]+")
REQUIRED = ("id", "who", "why", "diff")
OPTIONAL = ("bug", "tree", "hosts")
CONTROL_DIRECTORIES = (".bzr", ".git")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines would also split at form feeds, which source code contains
_NO_FILE = re.compile(r"\t(?:1970-01-01|1969-12-31) ")  # the epoch, in any time zone: the file is not there
_WORD = re.compile(r"\w")
_PREFIXES = (("a/", "b/"), ("old/", "new/"))  # of git diff and of brz diff; bzr diff has none
_UNSUPPORTED = re.compile(
    r"(?P<binary>GIT binary patch|Binary files .* differ)|(?P<rename>rename from |copy from |=== renamed )"
    r"|(?P<mode>old mode |new mode |=== modified file .* \(properties changed)"
)


class DiffError(ValueError):
    """An error: a diff cannot be used; the text says why, and in which line."""


class CowboyState(str, Enum):
    """The state of a cowboy in one tree."""

    LANDED = "landed"  # the tree's own revision contains it
    APPLIED = "applied"  # in the files, but not in the revision
    TO_APPLY = "to_apply"  # not, or not wholly, in the files; it can be applied
    CONFLICT = "conflict"  # neither in the files nor applicable
    ANOTHER_FORM = "another_form"  # the revision looks as if it contained it, but not as the diff has it


@dataclass(frozen=True)
class FilePatch:
    """The hunks of one diff for one file. ``path`` is relative to the tree and safe to join to it."""

    path: str
    text: str
    creates: bool = False
    deletes: bool = False


def problems(cowboys: Any) -> list[str]:
    """Return the problems of a list of cowboys, as sentences that say which one; empty if it is sound."""
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
        if cowboy.get("id") in seen:
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
    """Return the cowboys for ``host`` (its inventory name); one without ``hosts`` is for every host."""
    return [cowboy for cowboy in cowboys if not cowboy.get("hosts") or host in cowboy["hosts"]]


def path_problem(path: str) -> str | None:
    """Return why ``path`` must not be touched in a tree (it leaves it, or is its version control's), or None."""
    parts = path.split("/")
    if not path or path.startswith(("/", '"')) or "\0" in path:
        return f"{path!r} is not a plain relative path"
    if ".." in parts:
        return f"{path!r} leaves the tree"
    if parts[0] in CONTROL_DIRECTORIES:
        return f"{path!r} belongs to the version control"
    return None


def parse_diff(text: str) -> tuple[FilePatch, ...]:
    """Split a unified diff into its files.

    Lines between the files are ignored, as patch does. The prefixes of git and brz (``a/``, ``old/``) are taken off.
    Raises DiffError for a path that leaves the tree, a hunk that ends early, and what a text diff cannot carry (binary,
    renames, modes).
    """
    lines = _LINE.findall(text)
    found: list[FilePatch] = []
    at = 0
    while at < len(lines):
        if lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            end = _end_of_hunks(lines, at + 2)
            found.append(_file_patch(lines[at:end], at + 1))
            at = end
            continue
        unsupported = _UNSUPPORTED.match(lines[at])
        if unsupported:
            raise DiffError(f"line {at + 1}: a {unsupported.lastgroup} change cannot be carried by a cowboy")
        if lines[at].startswith("@@ "):
            raise DiffError(f"line {at + 1}: a hunk without the lines '---' and '+++' before it")
        at += 1
    if not found:
        raise DiffError("it changes no file (expected a unified diff)")
    return tuple(found)


def _end_of_hunks(lines: list[str], at: int) -> int:
    """Index of the first line after the hunks that begin at ``at``. Lines are counted: a hunk may contain '--- '."""
    first = at
    while at < len(lines):
        hunk = _HUNK.match(lines[at])
        if not hunk:
            break
        begin = at
        old, new = (int(hunk[group]) if hunk[group] is not None else 1 for group in (2, 4))
        at += 1
        while old > 0 or new > 0:
            mark = lines[at][:1] if at < len(lines) else "end of the diff"
            if mark not in (" ", "\n", "\r", "-", "+", "\\"):
                raise DiffError(f"line {begin + 1}: the hunk ends early, at line {at + 1}")
            old -= mark not in "+\\"
            new -= mark not in "-\\"
            at += 1
        if at < len(lines) and lines[at].startswith("\\"):
            at += 1
    if at == first:
        raise DiffError(f"line {first - 1}: a file without a hunk")
    return at


def _file_patch(lines: list[str], number: int) -> FilePatch:
    """Return the patch of one file's part of a diff, which begins in line ``number``."""
    sides = [line[4:].rstrip("\r\n") for line in lines[:2]]
    names = [side.split("\t")[0].rstrip() for side in sides]
    gone = [name == "/dev/null" or bool(_NO_FILE.search(side)) for name, side in zip(names, sides)]
    for prefixes in _PREFIXES:
        if all(name == "/dev/null" or name.startswith(prefix) for name, prefix in zip(names, prefixes)):
            names = [name if name == "/dev/null" else name[len(prefix) :] for name, prefix in zip(names, prefixes)]
            break
    path = names[0] if gone[1] else names[1]
    path = posixpath.normpath(path) if path and ".." not in path.split("/") else path
    problem = path_problem(path)
    if problem:
        raise DiffError(f"line {number}: {problem}")
    return FilePatch(path, "".join(lines), creates=gone[0], deletes=gone[1])


def is_in(taken_out: int | None, put_in: int | None) -> bool:
    """Return True if a patch is in a file, by how many lines its hunks must be moved to take it out or to put it in.

    None means a conflict. Both can work if a file repeats itself: then the nearer place counts, and at the same
    distance the patch is in, so that nothing is ever applied twice.
    """
    if taken_out is None:
        return False
    return put_in is None or taken_out <= put_in


def state(parts: Iterable[tuple[bool, bool, bool]]) -> CowboyState:
    """Return the state of a cowboy by its files, each (in the revision, in the file, applicable)."""
    known = list(parts)
    if all(in_revision for in_revision, _, _ in known):
        return CowboyState.LANDED
    if all(in_file for _, in_file, _ in known):
        return CowboyState.APPLIED
    if all(in_file or applicable for _, in_file, applicable in known):
        return CowboyState.TO_APPLY
    return CowboyState.CONFLICT


def looks_landed(patch: FilePatch, content: str | None) -> bool:
    """Return True if a file has every line that the diff adds and none that it removes, anywhere in the file.

    White space does not count, nor do lines without a letter or digit, nor a removed line that the diff has elsewhere
    too. False if no line is left to compare, or there is no file. This is a reason to ask, not an answer (R16).
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
    """Return the state of a cowboy in a revision, by its files, each (contained, looks landed, applicable) (R16)."""
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
    """Return a line of evidence from a delivered tree; the caller adds the hosts that it is true of."""
    who, why, name = cowboy["who"], cowboy["why"], cowboy["id"]
    since = " (the code around it has changed since)" if surroundings_changed else ""
    return {
        CowboyState.LANDED: f"{name} landed in the merge{since}, skipped ({who})",
        CowboyState.APPLIED: f"{name} is in place: {why} ({who})",
        CowboyState.TO_APPLY: f"{name} will be re-applied: {why} ({who})",
        CowboyState.CONFLICT: f"{name} cannot be applied: {why} ({who})",
    }[how]


def review_sentence(cowboy: Mapping[str, Any], how: CowboyState) -> str:
    """Return a line of evidence on a cowboy in the merged revision, two days before the window (R16)."""
    who, why, name = cowboy["who"], cowboy["why"], cowboy["id"]
    return {
        CowboyState.LANDED: f"{name} landed in the merge, off the list ({who})",
        CowboyState.ANOTHER_FORM: f"{name} looks landed, in another form: ask {who} (until then it is re-applied)",
        CowboyState.TO_APPLY: f"{name} is not in the merge, re-applied by hand: {why} ({who})",
        CowboyState.CONFLICT: (
            f"{name} is not in the merge and CANNOT BE APPLIED to it: {who} makes its diff again ({why})"
        ),
    }[how]
