"""Cowboys on a host: they are tried with GNU patch on scratch copies, in the order of their list (R16, R25)."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from ...rollout_core.site import cowboys as core
from ..trees import kinds
from ..trees.base import AppTree, TreeError
from ..vcs.base import VcsError

NO_TREE = "no tree of Bazaar, git or an archive"
MOVED = re.compile(rb"offset (-?\d+) lines?")


class CowboyError(Exception):
    """An error that stops all cowboys of this host; the text is the module's message."""


class Part(NamedTuple):
    """One cowboy's patch for one file; `path` is relative to the tree."""

    cowboy: str
    path: str
    patch: core.FilePatch


class Patched(NamedTuple):
    """One file after GNU patch: its content (None: no file) and how far (lines) hunks moved, None for a conflict."""

    content: bytes | None
    offset: int | None
    rejected: str = ""


class Trial(NamedTuple):
    """The result of the whole list for one file; nothing is written yet. Contents are bytes, None for no file."""

    before: bytes | None
    applied: bytes | None
    removed: bytes | None
    found: dict[Part, tuple[bool, bool, bool]]  # in the revision, in the file, applicable
    conflicts: dict[Part, str]  # the reason, or the rejected hunks
    surroundings_changed: set[Part]  # landed, but lines next to it are no longer as in the diff


def split(cowboys: Sequence[Mapping[str, Any]], diffs: dict[str, str]) -> list[Part]:
    """Return every cowboy's diff split by file, in the order of the list. Raises CowboyError for an unusable one."""
    parts = []
    for cowboy in cowboys:
        if cowboy["diff"] not in diffs:
            raise CowboyError("E-cowboy-diff  The text of {diff} ({id}, {who}) was not given.".format(**cowboy))
        try:
            patches = core.parse_diff(diffs[cowboy["diff"]])
        except core.DiffError as error:
            raise CowboyError(
                "E-cowboy-diff  {diff} ({id}, {who}) cannot be used: {0}. Nothing was changed.\n"
                "  Make it again, in the tree, as a unified diff:  brz diff FILE > {diff}   (or git diff FILE)".format(
                    error, **cowboy
                )
            ) from error
        parts += [Part(cowboy["id"], posixpath.normpath(cowboy["tree"] + "/" + patch.path), patch) for patch in patches]
    return parts


def opened(path: Path, params: Mapping[str, Any], comes_with: str = "./runbook.py run") -> AppTree:
    """Return the tree at a path, of whatever kind. Raises CowboyError if there is none."""
    if not path.is_dir():
        raise CowboyError(f"E-cowboy-tree  There is no tree {path}. It comes with:  {comes_with}")
    try:
        return kinds.found(path, params)
    except TreeError as error:
        raise CowboyError(f"E-cowboy-tree  {path} cannot say what has landed in it: it is {NO_TREE}.") from error


def try_all(tree: AppTree, parts: list[Part]) -> dict[str, Trial]:
    """Try the parts on the tree's files; return the results by path. Raises CowboyError for a path not safe to use."""
    by_path = _by_path(parts)
    for path in by_path:
        _check_inside(tree.path, path)
    return {
        path: _try_on(read(tree.path / path), here, partial(_committed, tree, path)) for path, here in by_path.items()
    }


def in_revision(tree: AppTree, revision: str, parts: list[Part]) -> dict[str, Trial]:
    """Try the parts on the files of a revision (its id), whatever the tree's own files hold; return results by path.

    Raises CowboyError if there is no such revision.
    """
    try:
        tree.holds(revision)
    except VcsError as error:
        raise CowboyError(
            f"E-cowboy-tree  {tree.path} cannot say what is in revision {revision}: {error}\n"
            "  The revision comes with:  ./runbook.py run qastaging"
        ) from error
    contents = {path: _committed(tree, path, revision) for path in _by_path(parts)}
    by_path = _by_path(parts).items()
    return {path: _try_on(contents[path], here, partial(contents.get, path)) for path, here in by_path}


def unlisted(path: Path, params: Mapping[str, Any], parts: list[Part]) -> list[str] | None:
    """Return the versioned files of a tree with a change by hand that the parts do not explain, sorted (R16).

    None if what is there is no tree of ours: nobody can tell what was changed in it.
    """
    try:
        tree = kinds.found(path, params)
    except TreeError:
        return None
    try:
        changed = [each["path"] for each in tree.changed() if not each["path"].endswith("/")]
    except VcsError as error:
        raise CowboyError(f"E-cowboy-tree  {tree.path} cannot say what was changed in it: {error}") from error
    by_path = _by_path(parts)
    return sorted(
        path
        for path in changed
        if _take_out(read(tree.path / path), by_path.get(path, []))[0] != _committed(tree, path)
    )


def describe_conflicts(cowboys: Sequence[Mapping[str, Any]], trials: dict[str, Trial]) -> str:
    """Return for a person: the cowboy, who to ask, the file, the reason or the rejected hunks."""
    by_id = {cowboy["id"]: cowboy for cowboy in cowboys}
    lines = []
    for trial in trials.values():
        for part, reason in trial.conflicts.items():
            lines.append("  {id} ({who}, {diff}) on {path}:".format(path=part.path, **by_id[part.cowboy]))
            lines += ["      " + line for line in reason.splitlines()]
    return "\n".join(lines)


def options() -> dict[str, Any]:
    """Return the options of one cowboy, as the modules document them."""
    cowboy: dict[str, Any] = {name: {"type": "str", "required": True} for name in core.REQUIRED}
    cowboy.update(bug={"type": "int"}, tree={"type": "str", "default": "."}, hosts={"type": "list", "elements": "str"})
    return cowboy


def sound(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cowboys of a module's parameters, without options not given. Raises CowboyError for a bad list."""
    given = [{name: value for name, value in one.items() if value is not None} for one in listed]
    problems = core.problems(given)
    if problems:
        raise CowboyError("E-cowboy-list  The list of cowboys is not sound:\n  " + "\n  ".join(problems))
    return given


def _by_path(parts: list[Part]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for part in parts:
        found.setdefault(part.path, []).append(part)
    return found


def _try_on(content: bytes | None, parts: list[Part], committed: Callable[[], bytes | None]) -> Trial:
    """Take out every part that is in, then put all in, so that two cowboys in one file do not disturb each other."""
    stripped, there = _take_out(content, parts)
    applied, conflicts = (content, {}) if there == set(parts) else _put_in(stripped, parts)
    in_revision = committed() if there or conflicts else None  # not asked otherwise, for it costs a process
    landed = there if not there or in_revision == content else there & _take_out(in_revision, parts)[1]
    removed = content if there == landed else _put_in(stripped, [part for part in parts if part in landed])[0]
    # What cannot be applied may have landed, and its neighbourhood changed since: then all of its own lines are there.
    surroundings_changed = {
        part for part in conflicts if attempt(in_revision, part.patch, reverse=True, fuzz=2).offset is not None
    }
    known = {part: reason for part, reason in conflicts.items() if part not in surroundings_changed}
    landed, there = landed | surroundings_changed, there | surroundings_changed
    found = {part: (part in landed, part in there, part not in conflicts) for part in parts}
    return Trial(content, applied, removed, found, known, surroundings_changed)


def _take_out(content: bytes | None, parts: list[Part]) -> tuple[bytes | None, set[Part]]:
    """Return the content without the parts that are in it, and those; the last goes first: it may rest on others."""
    there = set()
    for part in reversed(parts):
        taken_out = attempt(content, part.patch, reverse=True)
        if taken_out.offset is not None and core.is_in(taken_out.offset, attempt(content, part.patch).offset):
            there.add(part)
            content = taken_out.content
    return content, there


def _put_in(content: bytes | None, parts: list[Part]) -> tuple[bytes | None, dict[Part, str]]:
    """Return the content with the parts put in, and the conflicts, which are left out of it."""
    conflicts = {}
    for part in parts:
        put_in = attempt(content, part.patch)
        if put_in.offset is None:
            conflicts[part] = put_in.rejected
        else:
            content = put_in.content
    return content, conflicts


def attempt(content: bytes | None, patch: core.FilePatch, *, reverse: bool = False, fuzz: int = 0) -> Patched:
    """Let GNU patch put one file's hunks into `content`, or take them out; the diff does not choose the file.

    `fuzz` is the number of lines at either end of a hunk's context that need not fit.
    """
    creates, deletes = (patch.deletes, patch.creates) if reverse else (patch.creates, patch.deletes)
    if (content is None) != creates:
        return Patched(None, None, "the file is there already" if creates else "there is no such file in the tree")
    with tempfile.TemporaryDirectory(prefix="cowboy-") as scratch:
        old, new, diff_file, rejected_file = (Path(scratch, name) for name in ("old", "new", "diff", "rejected"))
        old.write_bytes(content or b"")
        diff_file.write_bytes(patch.text.encode("utf-8", "surrogateescape"))
        argv = ["patch", "--force", f"--fuzz={fuzz}", "--reject-format=unified", f"--output={new}"]
        argv += [f"--reject-file={rejected_file}", *(["--reverse"] if reverse else []), str(old), str(diff_file)]
        try:
            done = subprocess.run(argv, capture_output=True, check=False, env=dict(os.environ, LC_ALL="C"))
        except FileNotFoundError as error:
            raise CowboyError("E-cowboy-patch  There is no GNU patch here:  apt install patch") from error
        if done.returncode > 1:
            printed = (done.stderr + done.stdout).decode("utf-8", "replace").strip()
            raise CowboyError(f"E-cowboy-patch  patch cannot read the hunks for {patch.path}: {printed}")
        result = read(new) or b""
        if done.returncode == 1:
            return Patched(None, None, (read(rejected_file) or done.stdout).decode("utf-8", "replace").rstrip("\n"))
        if deletes and result:
            return Patched(None, None, "the file has more in it than the diff takes away")
        return Patched(None if deletes else result, sum(abs(int(lines)) for lines in MOVED.findall(done.stdout)))


def _check_inside(tree: Path, path: str) -> None:
    """Raise CowboyError for a path that a symbolic link leads out of the tree, and for one that is no plain file."""
    full = tree / path
    if full.is_symlink() or tree not in full.resolve().parents:
        raise CowboyError(f"E-cowboy-diff  {path} in {tree} is a symbolic link or behind one that leaves the tree.")
    if full.exists() and not full.is_file():
        raise CowboyError(f"E-cowboy-diff  {full} is not a plain file.")


def _committed(tree: AppTree, path: str, revision: str | None = None) -> bytes | None:
    """Return the content of a file in a revision of the tree (by default the last); None if it is not there."""
    try:
        return tree.committed(path, revision)
    except VcsError as error:
        raise CowboyError(f"E-cowboy-tree  {tree.path} cannot say what has landed in it: {error}") from error


def install(module: Any, path: Path, content: bytes | None) -> None:
    """Replace one file's content by a rename, with the mode and owner that it had."""
    if content is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=str(path.parent), prefix=".cowboy-", delete=False) as stream:
        stream.write(content)
    module.atomic_move(stream.name, str(path))


def diff(path: str, before: bytes | None, after: bytes | None) -> dict[str, str]:
    """Return one file's change in the form that `--diff` shows."""
    old, new = ((content or b"").decode("utf-8", "replace") for content in (before, after))
    return {"before_header": path, "after_header": path, "before": old, "after": new}


def read(path: Path) -> bytes | None:
    """Return the content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
