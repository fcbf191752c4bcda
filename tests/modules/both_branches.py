"""Branches of Bazaar and of git, made by real commits with the same words, so that one table serves both.

A branch is a directory with a working tree, one directory a branch; `at` is how the project calls it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from tests.modules import bzr_branches

Files = Mapping[str, str | None]
WHO = "Jonathan Lange <jml@lab.example>"
GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{role}_NAME": "Jonathan Lange" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "jml@lab.example" for role in ("AUTHOR", "COMMITTER")},
}


class Vcs(ABC):
    """What tests do with branches."""

    kind: str

    @abstractmethod
    def create(self, path: Path, files: Files, message: str) -> str:
        """Make a branch of one revision; its id."""

    @abstractmethod
    def branch(self, source: Path, to: Path) -> Path:
        """Make a branch of another."""

    @abstractmethod
    def commit(self, tree: Path, files: Files, message: str) -> str:
        """Write files (None: delete) and commit; the new revision's id."""

    @abstractmethod
    def merge(self, tree: Path, source: Path, message: str) -> str:
        """Merge the tip of a branch that does not conflict, never as a fast-forward; the new revision's id."""

    @abstractmethod
    def tip(self, path: Path) -> tuple[int, str]:
        """(revno, revid) of a branch's tip."""

    def at(self, path: Path) -> str:
        """The branch as the project names it."""
        return str(path)


class Bzr(Vcs):
    """Bazaar, in process."""

    kind = "bzr"

    def create(self, path: Path, files: Files, message: str) -> str:
        """Make a branch."""
        return bzr_branches.create(path, files, message)

    def branch(self, source: Path, to: Path) -> Path:
        """Make a branch of another."""
        return bzr_branches.branch(source, to)

    def commit(self, tree: Path, files: Files, message: str) -> str:
        """Write and commit."""
        return bzr_branches.commit(tree, files, message)

    def merge(self, tree: Path, source: Path, message: str) -> str:
        """Merge and commit."""
        return bzr_branches.merge(tree, source, message)

    def tip(self, path: Path) -> tuple[int, str]:
        """(revno, revid) of the tip."""
        return bzr_branches.tip(path)


class Git(Vcs):
    """git, by its command line; a branch is called as its directory is."""

    kind = "git"

    def create(self, path: Path, files: Files, message: str) -> str:
        """Make a repository with that branch."""
        path.mkdir(parents=True)
        git(path, "init", "-q", "-b", path.name)
        return self.commit(path, files, message)

    def branch(self, source: Path, to: Path) -> Path:
        """Make a clone, with a branch of its own name."""
        git(source.parent, "clone", "-q", str(source), str(to))
        git(to, "checkout", "-q", "-b", to.name)
        return to

    def commit(self, tree: Path, files: Files, message: str) -> str:
        """Write and commit."""
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "--cleanup=verbatim", "-m", message)
        return self.tip(tree)[1]

    def merge(self, tree: Path, source: Path, message: str) -> str:
        """Merge and commit."""
        git(tree, "fetch", "-q", str(source), source.name)
        git(tree, "merge", "-q", "--no-ff", "-m", message, "FETCH_HEAD")
        return self.tip(tree)[1]

    def tip(self, path: Path) -> tuple[int, str]:
        """(place on the line of first parents, hash) of the tip."""
        return int(git(path, "rev-list", "--first-parent", "--count", "HEAD")), git(path, "rev-parse", "HEAD")

    def at(self, path: Path) -> str:
        """PATH#BRANCH."""
        return f"{path}#{path.name}"


def git(cwd: Path, *argv: str) -> str:
    """Run git, with nothing of the user's configuration; what it printed."""
    env = {**os.environ, **GIT}
    argv = (shutil.which("git") or "git", *argv)
    return subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True, text=True).stdout.strip()


BOTH = (Bzr(), Git())
