"""Real Bazaar branches for tests, made in-process (a commit takes milliseconds) and shaped like the site's own.

`site(root)` makes what the merge of R10 needs: `devel` and `db-stable`, grown apart from a common start, and `pqm`,
PQM's tree of devel. Modules are then tried on them through the command line client, as on a host.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import breezy
import breezy.bzr  # registers the formats
from breezy.controldir import ControlDir, format_registry
from breezy.workingtree import WorkingTree

breezy.initialize(setup_ui=False)

BRZ = str(Path(sys.executable).with_name("brz"))
DEVELOPER = "Jonathan Lange <jml@lab.example>"
SECURITY = "[public.person]\ntype=group\n"


def create(path: Path, files: Mapping[str, str | None], message: str = "Start.") -> str:
    """Make a branch with a working tree and one revision; return its id."""
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


def back_out(tree: Path, revno: int, message: str) -> str:
    """Merge a mainline revision backwards and commit; return the new revision's id."""
    argv = [BRZ, "merge", "-q", "-r", f"{revno}..{revno - 1}", "."]
    subprocess.run(argv, cwd=tree, capture_output=True, check=True)
    return commit(tree, {}, message)


def status(tree: Path) -> str:
    """Return what is not committed."""
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


def patch(number: str) -> dict[str, str]:
    """Return a schema patch, as files."""
    table = "t" + number.replace("-", "_")
    return {f"database/schema/patch-{number}.sql": f"CREATE TABLE {table} (id serial);\n"}


@dataclass(frozen=True)
class Site:
    """The branches of a site. db_stable's revisions 2, 3 and 4 are not in devel; revision 4 changes lib/lp/app.py."""

    devel: Path
    db_stable: Path
    pqm: Path


def site(root: Path) -> Site:
    """Make the site's branches in a directory: devel at revision 2, db-stable at revision 4, pqm as devel."""
    devel, db_stable = root / "devel", root / "db-stable"
    start = {"lib/lp/app.py": "one\ntwo\nthree\n", "database/schema/security.cfg": SECURITY, "README": "A service.\n"}
    create(devel, start)
    branch(devel, db_stable)
    commit(db_stable, patch("2208-30-0"), "[r=stub][bug=1] Add a table.")
    commit(db_stable, patch("2208-31-0"), "[r=stub][bug=2] Add another.")
    commit(db_stable, {"lib/lp/app.py": "one\ntwo of db-stable\nthree\n"}, "[r=stub][bug=3] Use them.")
    commit(devel, {"docroot/style.css": "body {}\n"}, "[r=jml][bug=4] Style.")
    return Site(devel, db_stable, branch(devel, root / "pqm"))
