"""The working tree of a landing in git.

The branches are fetched into the tree's repository, as refs/rollout/NAME, and read there; what is checked out, and its
branch, stay as they are. In check mode that happens in a repository of its own which borrows the tree's objects.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from . import git_locks
from .base import FileConflict, LogEntry, VcsError, WorkingTree
from .git_client import HEAD, split, transfer

if TYPE_CHECKING:
    from .git import Git

KEPT = "refs/rollout/"
UNMERGED = {
    "DD": "both deleted", "AU": "added by us", "UD": "deleted by them", "UA": "added by them",
    "DU": "deleted by us", "AA": "both added", "UU": "both modified",
}  # fmt: skip
IN_THE_WAY = "a file that nobody versioned is in the way"
LOCKS = 20  # that one command may find, one after the other


class GitTree(WorkingTree):
    """The working tree, a clone of the target. Branches are LOCATION or LOCATION#BRANCH."""

    vcs: Git
    marker = ".git"

    def __init__(self, vcs: Git, params: Mapping[str, Any]) -> None:
        """Take the module's params."""
        super().__init__(vcs, params)
        self._obstacles: list[FileConflict] = []
        self._same: dict[str, bytes] = {}  # untracked files that the merge brings too: path -> content

    def _git(self, *argv: str, committer: str | None = None) -> str:
        """Run git in the tree; return its output. A lock that a killed git left there is removed first."""
        for _ in range(LOCKS):
            try:
                return self.vcs.run(argv, self.workdir, committer=committer)
            except VcsError as error:
                git_locks.clear(error, self.workdir, self._repository())
        return self.vcs.run(argv, self.workdir, committer=committer)

    def _repository(self) -> list[Path]:
        """Return the directories of the tree's repository."""
        where = ["rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir"]
        return [Path(line).resolve() for line in self.vcs.run(where, self.workdir).splitlines()]

    def _paths(self, *argv: str) -> set[str]:
        """Return the paths that git prints with -z."""
        return set(self._git(*argv).split("\0")[:-1])

    def look_at(self, name: str, scratch: Path | None = None) -> None:
        """Fetch a branch. With `scratch`, a directory, work in a repository there from now on."""
        if scratch and self.workdir == self.tree:
            self._borrow(scratch / "branch")
        location, reference = split(self.branches[name])
        self._git(*transfer("fetch", location, "--no-tags"), f"+{reference}:{KEPT}{name}")
        if name == "target" and "fetch" not in self.steps:
            self.steps.append("fetch")

    def _borrow(self, repository: Path) -> None:
        """Make a repository with the tree's tip that shares the tree's objects."""
        objects = self._git("rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
        tip = self._git("rev-parse", "HEAD").strip()
        repository.mkdir()
        self.workdir = str(repository)
        self._git("init", "-q")
        (repository / ".git/objects/info/alternates").write_text(objects + "\n")
        self._git("update-ref", "HEAD", tip)

    def where(self, name: str) -> str:
        return f"{self.workdir}#{KEPT}{name}" if name in self.branches else self.workdir

    def copy(self, scratch: Path) -> None:
        """Do nothing: look_at() has made the copy already."""

    def clear(self) -> None:
        """Revert changes that are not committed."""
        self._do("reset", "reset", "-q", "--hard")

    def _do(self, step: str, *argv: str, named: bool = False) -> None:
        """Run git and add `step` to the steps. With `named` it gets a committer, which git needs even to merge."""
        self._git(*argv, committer=self._who() if named else None)
        self.steps.append(step)

    def advance(self) -> list[FileConflict]:
        tip = KEPT + "target"
        if not self._clear_the_way(tip):
            self._do("fast-forward", "merge", "-q", "--ff-only", tip)
        return self._obstacles

    def _clear_the_way(self, incoming: str) -> list[FileConflict]:
        """Return the unversioned files in the way of `incoming`: git overwrites ignored files without a word.

        Those that have the very content that comes (after a killed merge) are removed instead.
        """
        comes = self._paths("diff", "-z", "--no-renames", "--diff-filter=A", "--name-only", f"HEAD...{incoming}")
        known = self._paths("ls-files", "-z")
        self._obstacles = []
        for path in sorted(comes):
            place = Path(self.workdir) / path
            blocked = next((each for each in place.parents if each.is_symlink() or each.is_file()), None)
            if path in known or not (blocked or os.path.lexists(place)):
                continue
            content = place.read_bytes() if place.is_file() and not place.is_symlink() else None
            if content is not None and content == self.vcs.cat(self.workdir, incoming, path):
                self._same[path] = content
                place.unlink()
            elif blocked is None or str(blocked.relative_to(self.workdir)) not in known:
                self._obstacles.append({"path": path, "conflict": f"{IN_THE_WAY}: {path}"})
        return self._obstacles

    def merge(self, _name: str, revid: str, step: str) -> None:
        """Merge a revision, never as a fast-forward."""
        if self._clear_the_way(revid):
            raise VcsError(["merge", revid], 1, IN_THE_WAY)
        self._do(step, "merge", "-q", "--no-ff", "--no-commit", "--no-stat", revid, named=True)

    def undo(self, entry: LogEntry, step: str) -> None:
        """Revert a mainline revision."""
        mainline = ["-m", "1"] if len(entry["parents"]) > 1 else []
        ends = (entry["parents"][0], entry["revid"])
        comes = self._paths("diff", "-z", "--no-renames", "--diff-filter=D", "--name-only", *ends)
        blocked = comes & (self.listing() - self._paths("ls-files", "-z"))
        self._obstacles = [{"path": path, "conflict": f"{IN_THE_WAY}: {path}"} for path in sorted(blocked)]
        if self._obstacles:
            raise VcsError(["revert", entry["revid"]], 1, IN_THE_WAY)
        self._do(step, "revert", "--no-commit", *mainline, entry["revid"], named=True)

    def conflicts(self) -> list[FileConflict]:
        """Return the conflicts, in the words of `git status`."""
        found = list(self._obstacles)
        for line in self._git("status", "--porcelain=v2", "-z", "--no-renames").split("\0"):
            if line.startswith("u "):
                state, path = line.split(" ", 10)[1], line.split(" ", 10)[10]
                found.append({"path": path, "conflict": f"{UNMERGED[state]}: {path}"})
        return found

    def commit(self, message: str) -> None:
        """Commit the merge or the undoing, by the committer, or else by the host's user as git knows it."""
        self._do("commit", "commit", "-q", "--no-verify", "--cleanup=verbatim", "-m", message, named=True)

    def _who(self) -> str:
        if not self.committer:
            argv = [self.vcs.executable, "var", "GIT_COMMITTER_IDENT"]  # here the user's configuration counts
            done = subprocess.run(argv, cwd=self.tree, capture_output=True, text=True, check=False)
            if done.returncode:
                raise VcsError(argv, done.returncode, done.stderr)
            self.committer = re.sub(r" \d+ [+-]\d{4}$", "", done.stdout.strip())
        return self.committer

    def push(self) -> None:
        """Push the tree's tip, unless the branch has moved since it was fetched."""
        location, reference = split(self.push_to)
        if reference == HEAD:
            reference = self._head_of(location)
        expected = self._git("rev-parse", KEPT + "target").strip()
        lease = f"--force-with-lease={reference}:{expected}"
        self._do("push", *transfer("push", location, lease), f"HEAD:{reference}")

    def _head_of(self, location: str) -> str:
        """Return the reference that HEAD names at a location."""
        printed = self._git(*transfer("ls-remote", location, "--symref"), "HEAD")
        return printed.partition("ref: ")[2].partition("\t")[0]

    def drop(self, revid: str) -> None:
        self._do("reset --hard", "reset", "-q", "--hard", revid)

    def put_back(self, before: set[str]) -> None:
        self._git("reset", "-q", "--hard")
        root = Path(self.workdir)
        for path, content in self._same.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        self._same = {}
        now = self.listing()
        tracked = self._paths("ls-files", "-z")
        for path in sorted(now - before - tracked, reverse=True):  # what a directory holds sorts behind it
            if not path.endswith("/"):
                (root / path).unlink()
            elif not any((root / path).iterdir()):
                (root / path).rmdir()
        for path in before - now:
            if path.endswith("/"):
                (root / path).mkdir(parents=True, exist_ok=True)

    # -- what to type

    def _clone(self, directory: str) -> str:
        location, reference = split(self.push_to)
        branch = [] if reference == HEAD else ["-b", reference.replace("refs/heads/", "", 1)]
        return shlex.join([self.vcs.executable, "clone", *branch, location, directory])

    def _fetch(self, name: str, *where: str) -> str:
        return shlex.join([self.vcs.executable, *where, "fetch", *split(self.branches[name])])

    def _see(self, name: str, *argv: str) -> str:
        """Return the commands that fetch a branch and show something of it."""
        there = shlex.join([self.vcs.executable, "-C", self.tree])
        return f"{self._fetch(name, '-C', self.tree)} && {there} {' '.join(argv)}"

    def commands(self) -> dict[str, str]:
        return {
            "make_tree": self._clone(self.tree),
            "see_own": self._see("target", "log", "FETCH_HEAD..HEAD"),
            "drop_own": self._see("target", "reset", "--hard", "FETCH_HEAD"),
            "look_there": self.try_it("target"),
            "see_tip": self._see("target", "log", "--first-parent", "-3", "FETCH_HEAD"),
            "start_fix": f"{self._clone('fix')} && cd fix",
        }

    def recipe(self, what: str, _revision: int, revid: str) -> dict[str, str]:
        client, location = shlex.quote(self.vcs.executable), shlex.quote(split(self.push_to)[0])
        merge = f"{self._fetch('source')} && {client} merge --no-ff {revid}"
        commit = f"{client} commit -a -m {shlex.quote(f'Resolve {what}.')}"
        push = f"{client} push {location} HEAD:refs/heads/BRANCH"
        return {
            "reproduce": f"{self._clone('fix')} && cd fix && {merge}",
            "share": f"{commit} && {push}   (it is then {location}#BRANCH)",
        }

    def undo_recipe(self, entry: LogEntry) -> dict[str, str]:
        mainline = ["-m", "1"] if len(entry["parents"]) > 1 else []
        revert = shlex.join([self.vcs.executable, "revert", *mainline, entry["revid"]])
        return {"reproduce": f"{self._clone('fix')} && cd fix && {revert}"}

    def try_it(self, name: str) -> str:
        return shlex.join([self.vcs.executable, "ls-remote", *split(self.branches.get(name, self.tree))])

    def see(self, name: str, entry: LogEntry) -> str:
        return self._see(name, "log", f"{entry['revid']}^1..{entry['revid']}")

    def see_later(self, entry: LogEntry) -> str:
        return self._see("target", "log", "--first-parent", "--stat", f"{entry['revid']}..FETCH_HEAD")
