"""Real Bazaar branches for tests, made in-process (a commit takes milliseconds).

Modules are tried on them through the command line client, as on a host.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import breezy
import breezy.bzr  # registers the formats
from breezy.controldir import ControlDir, format_registry
from breezy.workingtree import WorkingTree

from tests.modules import warm_bazaar
from tests.modules.warm_bazaar import BRZ

breezy.initialize(setup_ui=False)

kind, client = "bzr", BRZ
DEVELOPER = "Jonathan Lange <jml@lab.example>"
ENVIRONMENT = {**os.environ, "BRZ_EMAIL": DEVELOPER}


def create(path: Path, files: Mapping[str, str | None], message: str = "Start.") -> str:
    """Make a branch with a working tree and one revision; return its id."""
    warm_bazaar.load()
    path.mkdir(parents=True)
    ControlDir.create_standalone_workingtree(str(path), format=format_registry.make_controldir("2a"))
    return commit(path, files, message)


def commit(tree: Path, files: Mapping[str, str | None], message: str) -> str:
    """Write the files (None: delete) into the tree and commit everything; return the new revision's id."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    working = WorkingTree.open(str(tree))
    working.smart_add([str(tree)])
    return working.commit(message, committer=DEVELOPER).decode()


def branch(source: Path, to: Path) -> Path:
    """Make a branch, with a working tree, of another."""
    ControlDir.open(str(source)).sprout(str(to))
    return to


def pull(tree: Path, source: Path) -> None:
    """Bring a tree to the tip of the branch that it is behind."""
    WorkingTree.open(str(tree)).pull(WorkingTree.open(str(source)).branch)


def move_branch_only(tree: Path, source: Path) -> None:
    """Bring a tree's branch, and not its files, to the tip of another: where an interrupted pull leaves it."""
    target = ControlDir.open(str(tree)).open_branch()
    target.pull(ControlDir.open(str(source)).open_branch())


def merge(tree: Path, source: Path, message: str) -> str:
    """Merge the tip of a branch that does not conflict and commit; return the new revision's id."""
    working = WorkingTree.open(str(tree))
    with working.lock_write():
        conflicts = working.merge_from_branch(WorkingTree.open(str(source)).branch)
        assert not conflicts, conflicts
        return working.commit(message, committer=DEVELOPER).decode()


def merge_revision(tree: Path, source: Path, revno: int, message: str) -> None:
    """Merge a revision that is not the tip, as people do, and commit."""
    subprocess.run([BRZ, "merge", "-q", "-r", str(revno), str(source)], cwd=tree, capture_output=True, check=True)
    commit(tree, {}, message)


def push(tree: Path, to: Path) -> None:
    """Land what a tree has on another."""
    ControlDir.open(str(to)).open_branch().pull(ControlDir.open(str(tree)).open_branch())
    WorkingTree.open(str(to)).update()


def revision(path: Path, revno: int) -> str:
    """Return the id of a mainline revision."""
    return str(ControlDir.open(str(path)).open_branch().get_rev_id(revno).decode())


def at(path: Path) -> str:
    """Return what the project calls a branch."""
    return str(path)


def back_out(tree: Path, revno: int, message: str) -> str:
    """Merge a mainline revision backwards and commit; return the new revision's id."""
    argv = [BRZ, "merge", "-q", "-r", f"{revno}..{revno - 1}", "."]
    subprocess.run(argv, cwd=tree, capture_output=True, check=True)
    return commit(tree, {}, message)


def status(tree: Path) -> str:
    """Return what is not committed, and unknown files."""
    return subprocess.run([BRZ, "status", "-S", str(tree)], capture_output=True, text=True, check=True).stdout


def tip(path: Path) -> tuple[int, str]:
    """Return (revno, revid) of a branch's tip."""
    revno, revid = ControlDir.open(str(path)).open_branch().last_revision_info()
    return revno, revid.decode()


def parents(path: Path, revid: str) -> list[str]:
    """Return the parents of a revision."""
    repository = ControlDir.open(str(path)).open_branch().repository
    return [parent.decode() for parent in repository.get_revision(revid.encode()).parent_ids]


def message(path: Path, revid: str) -> str:
    """Return the commit message of a revision."""
    return str(ControlDir.open(str(path)).open_branch().repository.get_revision(revid.encode()).message)


def contents(tree: Path) -> dict[str, str]:
    """Return every file of the tree that is not Bazaar's own, by relative path: what "as it was" means."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and ".bzr" not in path.relative_to(tree).parts)
    return {str(path.relative_to(tree)): path.read_text() for path in files}
