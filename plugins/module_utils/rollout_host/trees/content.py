"""Compares the files of a tree with what its revision says, byte for byte, whatever a client remembers of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Callable, Iterator, Mapping, Tuple

from ..vcs.base import FileChange

FILE, EXECUTABLE, LINK = "100644", "100755", "120000"
Entry = Tuple[str, str]  # mode (one of these) and digest of the content, or of a link's target
Digest = Callable[[bytes], str]


def differences(root: Path, manifest: Mapping[str, Entry], digest: Digest) -> list[FileChange]:
    """Return how the files under `root` differ from a manifest, sorted by path. Further files are not looked at."""
    parents = {parent for path in manifest for parent in PurePosixPath(path).parents if parent.parts}
    links = {str(parent) for parent in parents if (root / parent).is_symlink()}
    found: list[FileChange] = []
    for path, entry in sorted(manifest.items()):
        behind_link = any(str(parent) in links for parent in PurePosixPath(path).parents)
        now = None if behind_link else entry_of(root / path, digest)
        if now is None:
            found.append({"change": "removed", "path": path})
        elif now != entry:
            kind = "kind changed" if (now[0] == LINK) != (entry[0] == LINK) else "modified"
            found.append({"change": kind, "path": path})
    return found


def entry_of(path: Path, digest: Digest) -> Entry | None:
    """Return mode and digest of what is at a path; None unless it is a plain file or a symbolic link."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(mode):
        return LINK, digest(os.fsencode(os.readlink(path)))
    if not stat.S_ISREG(mode):
        return None
    return EXECUTABLE if mode & stat.S_IXUSR else FILE, digest(path.read_bytes())


def beyond(root: Path, manifest: Mapping[str, Entry], directories: frozenset[str]) -> Iterator[str]:
    """Yield the paths under `root` that a manifest does not have; a directory that is not known is one path."""
    known = directories | {str(parent) for path in manifest for parent in PurePosixPath(path).parents}
    for folder, folders, names in os.walk(str(root)):
        inside = Path(folder).relative_to(root)
        for name in [*folders]:
            path = str(inside / name)
            if path not in known or (root / path).is_symlink():
                folders.remove(name)
                if path not in manifest:
                    yield path + ("" if (root / path).is_symlink() else "/")
        yield from (str(inside / name) for name in names if str(inside / name) not in manifest)
