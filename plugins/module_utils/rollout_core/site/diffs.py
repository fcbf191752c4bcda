"""Unified diffs, as `brz diff`, `git diff` and others print them: split by file, or refused with the line (R16, R25).

A change that a cowboy cannot carry is never left out: whatever stands outside the hunks is known, is text around the
diff, or is refused.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

CONTROL_DIRECTORIES = (
    ".bzr",
    ".git",
    ".hg",
    ".svn",
    ".rollout",
)  # in any case, at any depth: some file systems know no case
_HUNK = re.compile(r"@@ -([0-9]+)(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_DIGITS = 9  # of a line's number: there is no longer file
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # str.splitlines would also split at form feeds, which source code contains
_NO_FILE = re.compile(r"\t(?:1970-01-01|1969-12-31) ")  # the epoch, in any time zone: the file is not there
NOTHING = "/dev/null"
_GIT = "diff --git "
_PREFIXES = (("a/", "b/"), ("old/", "new/"))  # of git diff and of brz diff; bzr diff has none
_BEGINS = re.compile(r"diff -|Index: |=== (?:added|removed|modified) file ")  # a file's part: hunks must follow
_REFUSED = re.compile(
    r"(?P<binary>GIT binary patch|Binary files .* differ|Files .* differ|Cannot display: file marked as a binary)"
    r"|(?P<rename>rename from |copy from |similarity index |=== renamed )"
    r"|(?P<mode>old mode |new mode |new file mode (?!100644|120000)|=== .* \(properties changed|Property changes on: )"
    r"|(?P<link>(?:new|deleted) file mode 120000|index \S+ 120000|=== \w+ symlink |=== target )"
    r"|(?P<directory>=== (?:removed|modified) directory |Only in .*: |File .* is a .* while file .* is a )"
    r"|(?P<kind>=== (?!(?:added|removed|modified) (?:file|directory) ))"
    r"|(?P<context>\*{15}|@@@ )"
    r"|(?P<ed>[0-9]+(?:,[0-9]+)?[acd][0-9]+(?:,[0-9]+)?\s*$)"
    r"|(?P<coloured>.*\x1b)"
)
_TITLES = {
    "kind": "change of this kind",
    "context": "context or combined diff",
    "ed": "diff that is not unified",
    "coloured": "coloured diff",
    "directory": "change of a directory, or of what is in one only,",
}
_DIRECTORY = re.compile(r"=== added directory '(?P<path>.*)'")


class DiffError(ValueError):
    """A diff that cannot be used; the text says why, and in which line."""


@dataclass(frozen=True)
class FilePatch:
    """The hunks of one diff for one file. ``path`` is relative to the tree and safe to join to it."""

    path: str
    text: str
    creates: bool = False
    deletes: bool = False


def path_problem(path: str) -> str | None:
    """Why ``path`` must not be touched in a tree, or None: it would leave the tree or change its version control."""
    parts = path.split("/")
    if not path or path.startswith(("/", '"')) or "\0" in path:
        return f"{path!r} is not a plain relative path"
    if ".." in parts:
        return f"{path!r} leaves the tree"
    if any(part.lower() in CONTROL_DIRECTORIES for part in parts):
        return f"{path!r} belongs to the version control"
    return None


def parse_diff(text: str) -> tuple[FilePatch, ...]:
    """Split a unified diff into its files.

    Text around the files is passed over. The prefixes of git and brz (``a/``, ``old/``) are taken off, and whatever
    else the two sides are below. Raises DiffError for a path that leaves the tree or is a version control's, a hunk
    that ends early or late, a file without a hunk (an empty one, say), and what a text diff cannot carry (binary,
    renames, modes, links).
    """
    lines = _LINE.findall(text)
    found: list[FilePatch] = []
    begun: int | None = None  # where a file's part begins that has no hunk yet
    below = False  # whether a hunk is all that stands above, in this part
    directories: dict[str, int] = {}
    at = 0
    while at < len(lines):
        if lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            end = _end_of_hunks(lines, at + 2)
            header = lines[begun].rstrip("\r\n") if begun is not None else ""
            found.append(_file_patch(lines[at:end], at + 1, header))
            at, begun, below = end, None, True
            continue
        _refuse(lines[at], at + 1, below=below)
        if _BEGINS.match(lines[at]):
            # "diff" may follow "Index:" and "===": it is the same part
            _refuse_empty(begun if lines[at][:5] != "diff " or begun is None or _is_diff(lines[begun]) else None)
            begun, below = at, False
        elif added := _DIRECTORY.match(lines[at]):
            _refuse_empty(begun)
            directories[added["path"]] = at + 1
            begun, below = None, False
        elif lines[at].rstrip() == "--":  # what follows is a signature
            below = False
        at += 1
    _refuse_empty(begun)
    for path, number in directories.items():
        if not any(patch.creates and patch.path.startswith(path.rstrip("/") + "/") for patch in found):
            raise DiffError(f"line {number}: an empty directory cannot be carried by a cowboy")
    if not found:
        raise DiffError("it changes no file (expected a unified diff)")
    return tuple(found)


def _is_diff(line: str) -> bool:
    return line.startswith("diff ")


def _refuse(line: str, number: int, *, below: bool) -> None:
    """Raise DiffError for a line outside the hunks that tells of a change; `below` a hunk are no other texts."""
    refused = _REFUSED.match(line)
    if refused:
        what = _TITLES.get(str(refused.lastgroup), f"{refused.lastgroup} change")
        raise DiffError(f"line {number}: a {what} cannot be carried by a cowboy")
    if line.startswith("@@"):
        raise DiffError(f"line {number}: a hunk without the lines '---' and '+++' before it")
    if line.startswith("+") or (below and line[:1] in "- \\" and line.strip() not in ("", "--")):
        raise DiffError(f"line {number}: a change that is in no hunk (does the line '@@' count too few?)")


def _refuse_empty(begun: int | None) -> None:
    if begun is not None:
        raise DiffError(f"line {begun + 1}: a file without a hunk, such as an empty one, cannot be carried by a cowboy")


def _end_of_hunks(lines: list[str], at: int) -> int:
    """Index of the first line after the hunks that begin at ``at``. Lines are counted: a hunk may contain '--- '."""
    first = at
    while at < len(lines):
        hunk = _HUNK.match(lines[at])
        if not hunk:
            break
        begin = at
        if any(number and len(number) > _DIGITS for number in hunk.groups()):
            raise DiffError(f"line {begin + 1}: a hunk with a number of more than {_DIGITS} digits")
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


def _file_patch(lines: list[str], number: int, header: str) -> FilePatch:
    """Read the paths of one file's part of a diff, which begins in line ``number``; ``header`` is git's, if any."""
    sides = [line[4:].rstrip("\r\n") for line in lines[:2]]
    names = [side.split("\t")[0].rstrip() for side in sides]
    gone = [name == NOTHING or bool(_NO_FILE.search(side)) for name, side in zip(names, sides)]
    named = [name for name, is_gone in zip(names, gone) if not is_gone] or names
    path = _without_prefix(names, header)[0 if gone[1] else 1]
    if gone[0] and not gone[1] and names[0] != NOTHING and path == names[1] != names[0]:
        raise DiffError(f"line {number}: where {named[0]!r} is to be added is unclear: its two sides are not alike")
    path = posixpath.normpath(path) if path and ".." not in path.split("/") else path
    problem = path_problem(path)
    if problem:
        raise DiffError(f"line {number}: {problem}")
    return FilePatch(path, "".join(lines), creates=gone[0], deletes=gone[1])


def _without_prefix(names: list[str], header: str) -> list[str]:
    """The names as they are in the tree. A file that is on one side only has git's header to tell."""
    own = next((name for name in reversed(names) if name != NOTHING), "")
    if NOTHING in names and header.startswith(_GIT):
        both = header[len(_GIT) :]
        half = len(both) // 2
        if both[:half] == both[half + 1 :]:  # --no-prefix
            return names
        rest = own.partition("/")[2]
        if rest and both.endswith("/" + rest):  # a/ and b/, or i/ and w/, or what --src-prefix says
            return [name if name == NOTHING else rest for name in names]
    for prefixes in _PREFIXES:
        if all(name == NOTHING or name.startswith(prefix) for name, prefix in zip(names, prefixes)):
            return [name if name == NOTHING else name[len(prefix) :] for name, prefix in zip(names, prefixes)]
    rests = [name.partition("/")[2] for name in names]
    if NOTHING not in names and names[0] != names[1] and rests[0] and rests[0] == rests[1]:
        return rests
    return names
