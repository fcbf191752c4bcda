"""Judges what a merge brought, and whether a branch still has it, by content, never by ancestry or by a message.

After a back-out, a merged revision is an ancestor of the branch, and merging it again brings nothing: the patch file
stays missing, silently. So contents are compared file by file. A *change* is a pair of manifests, before and after;
`text(path, side)` returns the bytes of a file where a three-way merge must look into it.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Collection, Tuple

from .base import Manifest

Change = Tuple[Manifest, Manifest]
Text = Callable[[str, str], bytes]
CLEAN, CONFLICTS = 0, 1


def changed(change: Change) -> list[str]:
    """Return the sorted paths that a change touched; a renamed file is there under both names."""
    before, after = change
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def merge3(mine: bytes, base: bytes, other: bytes) -> bytes | None:
    """Return the three-way merge of three texts (bytes), or None if they conflict. GNU diff3 does it."""
    with tempfile.TemporaryDirectory(prefix="rollout-content-") as scratch:
        files = [Path(scratch) / name for name in ("mine", "base", "other")]
        argv = ["diff3", "-m", *map(str, files)]
        for file, text in zip(files, (mine, base, other)):
            file.write_bytes(text)
        done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode not in (CLEAN, CONFLICTS):  # of a binary file it merges nothing
        return None
    return done.stdout if done.returncode == CLEAN else None


def gone(brought: Change, tip: Manifest, wanted: Manifest, text: Text, moved: Collection[str] = ()) -> list[str]:
    """Return the paths on which `tip` lacks what a merge brought and the merged branch (`wanted`) still has.

    `brought` is the merge's change against its mainline parent. A path is gone when the file is again as before the
    merge, or when a three-way merge would bring the change once more; not when something later was made of the file:
    changed in the same place, removed by the merged branch itself, or renamed (`moved`, the old paths).
    `text(path, side)` reads side "before", "after" or "tip".
    """
    before, after = brought
    return [
        path
        for path in changed(brought)
        if path not in moved
        and tip.get(path) not in (after.get(path), wanted.get(path))
        and _lacks(path, before, after, tip, text)
    ]


def _lacks(path: str, before: Manifest, after: Manifest, tip: Manifest, text: Text) -> bool:
    if tip.get(path) == before.get(path):
        return True
    if not (path in before and path in after and path in tip):
        return False  # another file stands there now, or the one that was changed is gone
    again = merge3(text(path, "tip"), text(path, "before"), text(path, "after"))
    return again is not None and again != text(path, "tip")


def undoes(done: Change, undone: Change, text: Text) -> bool:
    """Return True if a change (`done`) does exactly what taking another one back (`undone`) does to the files.

    `text(path, side)` reads side "was" and "is" of `done`, "before" and "after" of `undone`.
    """
    (was, is_), (before, after) = done, undone
    paths = changed(undone)
    if set(changed(done)) - set(paths) or not changed(done):
        return False
    return all(_undone(path, (was, is_), (before, after), text) for path in paths)


def _undone(path: str, done: Change, undone: Change, text: Text) -> bool:
    (was, is_), (before, after) = done, undone
    if was.get(path) in (after.get(path), before.get(path)):
        return is_.get(path) == before.get(path)
    if not all(path in manifest for manifest in (was, is_, before, after)):
        return False
    return merge3(text(path, "was"), text(path, "after"), text(path, "before")) == text(path, "is")
