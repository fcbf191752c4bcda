"""Builds the lab's Bazaar branches and the hosts' trees by real commits from lab/data, whose README explains them.

A file of `lab/data/history/BRANCH/` is one revision: headers (From, Date, Merge: BRANCH, Schema: PATCH), an empty line,
the commit message, and a diff as `brz diff` prints it. Dates, committers and ids are fixed: every lab has the same
revisions.

Run as `python -m lab.bazaar DIRECTORY NETWORK` with a HOME of its own, where Bazaar reads its configuration and logs.
"""

import email
import hashlib
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import breezy
import breezy.bzr
from breezy import osutils
from breezy.add import AddAction
from breezy.branch import Branch
from breezy.commit import NullCommitReporter
from breezy.config import extract_email_address
from breezy.controldir import ControlDir, format_registry
from breezy.workingtree import WorkingTree

from lab.layout import APP_HOSTS, DATA, TREE_HOSTS, Lab
from lab.production import copy_status, cowboys_on

COMMITTER = "Launchpad Patch Queue Manager <launchpad@pqm.example.com>"
FORMAT = format_registry.make_controldir("2a")
SCHEMA = "database/schema"
BASELINE = "launchpad-2208-00-0.sql"
IMPORT = "[rs=lifeless][no-qa] The tree that was imported."
IMPORTED = ("lifeless <lifeless@example.com>", "2026-10-01 08:00:00+00:00")
BRANCH_POINT = 7  # db-stable is devel up to here and its own from there on


class StableIds(AddAction):
    """Gives a new file an id made from its path, where Bazaar would give it a random one."""

    def __call__(self, _inventory: object, _parent: object, path: str, _kind: str) -> bytes:
        """Return the file id."""
        return path.replace("/", "_").encode() + b"-lab"


def commit(tree: WorkingTree, message: str, author: str, date: str) -> None:
    """Commit everything in the tree, with a revision id made from what is committed when by whom."""
    tree.smart_add([tree.basedir], action=StableIds())
    timestamp = datetime.fromisoformat(date).timestamp()
    digest = hashlib.sha1(f"{tree.branch.nick}{author}{message}".encode(), usedforsecurity=False).hexdigest()[:16]
    revid = f"{extract_email_address(COMMITTER)}-{osutils.compact_date(timestamp)}-{digest}".encode()
    fixed = {"committer": COMMITTER, "timestamp": timestamp, "timezone": 0, "rev_id": revid}
    tree.commit(message, authors=[author], allow_pointless=False, reporter=NullCommitReporter(), **fixed)


def replay(tree: WorkingTree, file: Path) -> None:
    """Make the revision that `file` describes."""
    revision = email.message_from_string(file.read_text(encoding="utf-8"))
    message, diff_follows, diff = str(revision.get_payload()).partition("\n=== ")
    if revision["Merge"]:
        tree.merge_from_branch(Branch.open(str(Path(tree.basedir).parent / revision["Merge"])))
    if diff_follows:
        patch(Path(tree.basedir), diff)
    if revision["Schema"]:
        name = Path(revision["Schema"])
        for file_name in (str(name), f"{name.stem}.undo.sql"):
            shutil.copy(DATA / "schema" / file_name, Path(tree.basedir) / SCHEMA)
    commit(tree, message.strip(), revision["From"], revision["Date"])


def patch(tree: Path, diff: str) -> None:
    """Apply a diff. Raises subprocess.CalledProcessError if it does not fit exactly."""
    argv = ["patch", "--strip=1", "--fuzz=0", "--quiet", "--no-backup-if-mismatch"]
    subprocess.run(argv, input=diff, text=True, cwd=tree, check=True)


def build_branches(directory: Path) -> None:
    """Make `devel` and `db-stable` in `directory`, without working trees, as on a server."""
    shutil.copytree(DATA / "tree", directory / "devel")
    shutil.copy(DATA / "schema" / BASELINE, directory / "devel" / SCHEMA)
    devel = ControlDir.create_standalone_workingtree(str(directory / "devel"), FORMAT)
    devel.set_root_id(b"root-lab")
    commit(devel, IMPORT, *IMPORTED)
    for file in sorted((DATA / "history" / "devel").iterdir()):
        replay(devel, file)
    branch_point = devel.branch.get_rev_id(BRANCH_POINT)
    devel.branch.controldir.sprout(str(directory / "db-stable"), revision_id=branch_point, source_branch=devel.branch)
    for file in sorted((DATA / "history" / "db-stable").iterdir()):
        replay(WorkingTree.open(str(directory / "db-stable")), file)
    for name in ("devel", "db-stable"):
        WorkingTree.open(str(directory / name)).controldir.destroy_workingtree()


def build_trees(lab: Lab) -> None:
    """Give the hosts the trees that a rollout finds there, at devel's tip, with cowboys in those that serve."""
    devel = Branch.open(str(lab.bazaar / "devel"))
    tree_of(lab, devel, lab.home("prae") / "archives" / "rocketfuel" / "launchpad" / "devel")
    tree_of(lab, devel, lab.home("sourcherry") / "launchpad")
    for host in TREE_HOSTS:
        trees = lab.home(host) / "srv" / "launchpad"
        trees.mkdir(parents=True)
        shared = ControlDir.create(str(trees), FORMAT).create_repository(shared=True)
        shared.set_make_working_trees(True)
        name = f"r{devel.revno()}"
        tree_of(lab, devel, trees / name)
        (trees / "current").symlink_to(name)
    for host in APP_HOSTS:
        for cowboy in cowboys_on(host):
            patch(lab.home(host) / "srv" / "launchpad" / "current", cowboy.read_text(encoding="utf-8"))
    copy_status(lab, devel.revno(), devel.last_revision().decode())


def tree_of(lab: Lab, devel: Branch, directory: Path) -> None:
    """Make a tree of branch devel in `directory`, as if it had come from the Bazaar server."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    branch = devel.controldir.sprout(str(directory), source_branch=devel).open_branch()
    branch.set_parent(lab.bazaar_url + "devel")
    branch.set_push_location(lab.bazaar_url + "devel")


def main() -> None:
    """Build the branches and trees of the lab."""
    lab = Lab(Path(sys.argv[1]), sys.argv[2])
    lab.bazaar.mkdir()
    with breezy.initialize():
        build_branches(lab.bazaar)
        build_trees(lab)


if __name__ == "__main__":
    main()
