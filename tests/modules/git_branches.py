"""Real git repositories for tests, with the same words as bzr_branches.

A branch is a repository of its own, devel/ or db-stable/ with a working tree, whose HEAD is the branch of that name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

GIT = shutil.which("git") or "git"
kind, client = "git", GIT
DEVELOPER = "Jonathan Lange <jml@lab.example>"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    **{f"GIT_{role}_NAME": "Jonathan Lange" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "jml@lab.example" for role in ("AUTHOR", "COMMITTER")},
}


def git(repository: Path, *argv: str) -> str:
    """Run git in a repository and return what it printed."""
    command = [GIT, *argv]
    return subprocess.run(command, cwd=repository, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout


def create(path: Path, files: Mapping[str, str | None], message: str = "Start.") -> str:
    """Make a repository with one revision; return its hash."""
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", path.name)
    git(path, "config", "receive.denyCurrentBranch", "updateInstead")
    return commit(path, files, message)


def commit(tree: Path, files: Mapping[str, str | None], message: str) -> str:
    """Write the files (None: delete) into the tree and commit everything; return the new revision's hash."""
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)
    return tip(tree)[1]


def branch(source: Path, to: Path) -> Path:
    """Make a repository of another, at its tip."""
    git(source.parent, "clone", "-q", str(source), str(to))
    if source.name != to.name:
        git(to, "branch", "-q", "-m", to.name)
    git(to, "config", "receive.denyCurrentBranch", "updateInstead")
    return to


def pull(tree: Path, source: Path) -> None:
    """Bring a tree to the tip of the branch that it is behind."""
    git(tree, "pull", "-q", "--ff-only", str(source), "HEAD")


def merge(tree: Path, source: Path, message: str) -> str:
    """Merge the tip of a branch that does not conflict and commit; return the new revision's hash."""
    git(tree, "fetch", "-q", str(source), "HEAD")
    git(tree, "merge", "-q", "--no-ff", "-m", message, "FETCH_HEAD")
    return tip(tree)[1]


def merge_revision(tree: Path, source: Path, revno: int, message: str) -> None:
    """Merge a revision that is not the tip, as people do, and commit."""
    git(tree, "fetch", "-q", str(source), "HEAD")
    git(tree, "merge", "-q", "--no-ff", "-m", message, revision(source, revno))


def push(tree: Path, to: Path) -> None:
    """Land what a tree has on another."""
    git(tree, "push", "-q", str(to), f"HEAD:{to.name}")


def revision(path: Path, revno: int) -> str:
    """Return the hash of a mainline revision."""
    return git(path, "rev-list", "--first-parent", "--reverse", "HEAD").split()[revno - 1]


def at(path: Path) -> str:
    """Return what the project calls a branch."""
    return f"{path}#{path.name}"


def back_out(tree: Path, revno: int, message: str) -> str:
    """Take a mainline revision back and commit; return the new revision's hash."""
    revid = revision(tree, revno)
    mainline = ["-m", "1"] if len(parents(tree, revid)) > 1 else []
    git(tree, "revert", "--no-commit", *mainline, revid)
    git(tree, "commit", "-q", "-m", message)
    return tip(tree)[1]


def tip(path: Path) -> tuple[int, str]:
    """Return (position on the line of first parents, hash) of a branch's tip."""
    return int(git(path, "rev-list", "--first-parent", "--count", "HEAD")), git(path, "rev-parse", "HEAD").strip()


def parents(path: Path, revid: str) -> list[str]:
    """Return the parents of a revision."""
    return git(path, "show", "-s", "--format=%P", revid).split()


def message(path: Path, revid: str) -> str:
    """Return the commit message of a revision."""
    return git(path, "show", "-s", "--format=%B", revid).strip()


def contents(tree: Path) -> dict[str, str]:
    """Return every file of the tree that is not git's own, by relative path."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and ".git" not in path.relative_to(tree).parts)
    return {str(path.relative_to(tree)): path.read_text() for path in files}


def status(tree: Path) -> str:
    """Return what is not committed, and an operation that is under way."""
    return git(tree, "status", "--porcelain=v2", "--ignored") + " ".join(
        sorted(path.name for path in (tree / ".git").glob("*_HEAD") if path.name not in ("FETCH_HEAD", "ORIG_HEAD"))
    )
