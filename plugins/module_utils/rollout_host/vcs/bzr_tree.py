"""Working trees of Bazaar branches on a host: what they are at, what differs, what conflicts, and putting them back."""

from __future__ import annotations

import re
from pathlib import Path

from . import bzr, content

# How brz names the kinds of conflicts (`brz conflicts`); the path is what a person looks for.
CONFLICTS = [
    re.compile(pattern)
    for pattern in (
        r"^(?:Text|Contents) conflict in (?P<path>.+)$",
        r"^Path conflict: (?P<path>.+) / .+$",
        r"^Conflict adding (?:file|files to|id to) (?P<path>.+?)\.  .+$",
        r"^Conflict because (?P<path>.+) is not versioned, .+$",
        r"^Conflict moving (?P<path>.+) into .+$",
        r"^Conflict: can't delete (?P<path>.+) because .+$",
        r"^Conflict: (?P<path>.+) is not a directory, .+$",
    )
]
MOVED_ASIDE = re.compile(r"\.moved(?=/|$)")


def conflicts(tree, executable="brz"):
    """Return the tree's conflicts as [{path, conflict}]; `conflict` is brz's own line, `path` the file it is about."""
    lines = bzr.run(["conflicts", "-d", tree], executable=executable).splitlines()
    found = []
    for line in lines:
        match = next((match for match in (pattern.match(line) for pattern in CONFLICTS) if match), None)
        found.append({"path": match.group("path") if match else line, "conflict": line})
    return found


def uncommitted(tree, executable="brz"):
    """Return what differs from the tree's revision, as bzr.changes does; conflicts and pending merges count."""
    return bzr.delta(bzr.run(["status", "--versioned", "--", tree], executable=executable))


def uncommitted_files(tree, executable="brz"):
    """Return the same without conflicts and pending merges: what a commit would record."""
    printed = bzr.run(["status", "--versioned", "--no-pending", "--", tree], executable=executable)
    return [entry for entry in bzr.delta(printed) if entry["change"] != "conflicts"]


def unknown(tree, executable="brz"):
    """Return the paths of the files that are neither versioned nor ignored."""
    return sorted(bzr.run(["ls", "--unknown", "--recursive"], cwd=tree, executable=executable).splitlines())


def tree_revision(tree, executable="brz"):
    """Return (revno, revid) that the files of the tree are at, which its branch may have left behind."""
    revno, revid = bzr.run(["revision-info", "--tree", "-d", tree], executable=executable).split()
    return (int(revno) if revno.isdigit() else None), revid


def listing(tree):
    """Return the set of all paths below the tree, relative; directories end in "/". Bazaar's own files are left out."""
    return content.listing(tree, ".bzr")


def put_back(tree, before, executable="brz"):
    """Undo a merge that was not committed: no conflict, no pending merge, and every path as in `before`, a listing().

    A merge moves unversioned files that stand in its way to NAME.moved, and `revert` leaves them there.
    """
    bzr.run(["revert", "--no-backup", "-q"], cwd=tree, executable=executable)
    root, now = Path(tree), listing(tree)
    lost = before - now
    moved = {path: MOVED_ASIDE.sub("", path) for path in now - before if MOVED_ASIDE.search(path)}
    for path in lost:
        (root / path if path.endswith("/") else (root / path).parent).mkdir(parents=True, exist_ok=True)
    for path, home in sorted(moved.items(), reverse=True):  # what a directory holds sorts behind it
        if home in lost and not home.endswith("/"):
            (root / path).replace(root / home)
        elif home.endswith("/") and not any((root / path).iterdir()):
            (root / path).rmdir()
