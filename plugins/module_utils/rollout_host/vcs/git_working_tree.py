"""The working tree in which a merge or a back-out is made and from which it is pushed, in git (R10, R17).

The branches are fetched into the tree's repository, as refs/rollout/NAME, and asked there; what is checked out, and its
branch, stay as they are. In check mode that happens in a repository of its own which borrows the tree's objects.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from . import content as contents
from . import git

KEPT = "refs/rollout/"
UNMERGED = {
    "DD": "both deleted", "AU": "added by us", "UD": "deleted by them", "UA": "added by them",
    "DU": "deleted by us", "AA": "both added", "UU": "both modified",
}  # fmt: skip
IN_THE_WAY = "a file that nobody versioned is in the way"
LOCKS = ("index.lock", "HEAD.lock")


class WorkingTree:
    """The tree at `tree`, a clone of `push_to`. `steps` is what was done in it."""

    questions, Error = git, git.GitError

    def __init__(self, params):
        """Take the module's params. Branches are LOCATION or LOCATION#BRANCH."""
        self.tree, self.push_to = params["tree"], params["push_to"]
        self.branches = {"target": self.push_to}
        for name in ("source", "resolution"):
            if params.get(name):
                self.branches[name] = params[name]
        self.executable, self.committer = params["git_executable"], params["committer"]
        self.workdir = self.tree
        self.steps = []
        self._obstacles = []
        self._same = {}  # untracked files that the merge brings too: path -> content

    def _git(self, *argv, ok=(0,), committer=None):
        return git.run(argv, self.workdir, self.executable, committer, ok)

    def is_there(self):
        """Tell whether there is a repository with a working tree."""
        return (Path(self.tree) / ".git").exists()

    def look_at(self, name, scratch=None):
        """Fetch a branch. With `scratch`, a directory, work in a repository there from now on."""
        if scratch and self.workdir == self.tree:
            self._borrow(Path(scratch) / "branch")
        location, reference = git.split(self.branches[name])
        self._git(*self._transfer("fetch", location, "--no-tags"), f"+{reference}:{KEPT}{name}")
        if name == "target" and "fetch" not in self.steps:
            self.steps.append("fetch")

    @staticmethod
    def _transfer(verb, location, *options):
        verb, quiet, *rest = git.transfer(verb, location)
        return [verb, quiet, *options, *rest]

    def _borrow(self, repository):
        """Make a repository that has all objects of the tree's, and its tip."""
        objects = self._git("rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
        tip = self._git("rev-parse", "HEAD").strip()
        repository.mkdir()
        self.workdir = str(repository)
        self._git("init", "-q")
        (repository / ".git/objects/info/alternates").write_text(objects + "\n")
        self._git("update-ref", "HEAD", tip)

    def where(self, name):
        """Return the location of a branch, to ask git."""
        return f"{self.workdir}#{KEPT}{name}" if name in self.branches else self.workdir

    def copy(self, _scratch):
        """Work in a copy: look_at() has made it already."""

    def clear(self):
        """Revert what is not committed. Locks that a killed git left behind go first."""
        control = Path(self._git("rev-parse", "--path-format=absolute", "--git-dir").strip())
        locks = [control / name for name in LOCKS if (control / name).exists()]
        if locks and not self._somebody_works_here():
            for lock in locks:
                lock.unlink()
        self._do("reset", "reset", "-q", "--hard")

    def _somebody_works_here(self):
        """Tell whether a git process of this host is in the tree."""
        here = Path(self.workdir).resolve()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name, cwd = (process / "comm").read_text(), Path(os.readlink(process / "cwd"))
            except OSError:  # it has ended, or is somebody else's
                continue
            if name.startswith("git") and (cwd == here or here in cwd.parents):
                return True
        return False

    def _do(self, step, *argv, named=False):
        """Note what was done. Git asks who it is already when it merges."""
        self._git(*argv, committer=self._who() if named else None)
        self.steps.append(step)

    def advance(self):
        """Bring the tree to the tip of the target, which contains its own. Return what is in the way."""
        tip = KEPT + "target"
        if not self._clear_the_way(tip):
            self._do("fast-forward", "merge", "-q", "--ff-only", tip)
        return self._obstacles

    def _clear_the_way(self, incoming):
        """Look for files that nobody versioned where `incoming` adds some: git overwrites ignored ones without a word.

        Those with the very content that comes (a merge that was killed) make room. Return the conflicts.
        """
        printed = self._git("diff", "-z", "--no-renames", "--diff-filter=A", "--name-only", f"HEAD...{incoming}")
        known = set(self._git("ls-files", "-z").split("\0"))
        self._obstacles = []
        for path in printed.split("\0")[:-1]:
            place = Path(self.workdir) / path
            blocked = next((each for each in place.parents if each.is_symlink() or each.is_file()), None)
            if path in known or not (blocked or os.path.lexists(place)):
                continue
            if place.is_file() and not place.is_symlink() and self._content(incoming, path) == place.read_bytes():
                self._same[path] = place.read_bytes()
                place.unlink()
            elif blocked is None or str(blocked.relative_to(self.workdir)) not in known:
                self._obstacles.append({"path": path, "conflict": f"{IN_THE_WAY}: {path}"})
        return self._obstacles

    def _content(self, revid, path):
        return git.run_bytes(["cat-file", "blob", f"{revid}:{path}"], self.workdir, self.executable)

    def merge(self, _name, revid, step):
        """Merge a revision of the source or the tip of the resolution. Raises GitError on conflicts too."""
        if self._clear_the_way(revid):
            raise git.GitError(["merge", revid], 1, IN_THE_WAY)
        self._do(step, "merge", "-q", "--no-ff", "--no-commit", "--no-stat", revid, named=True)

    def undo(self, record, step):
        """Revert a mainline revision of the tree. Raises GitError on conflicts too."""
        mainline = ["-m", "1"] if len(record["parents"]) > 1 else []
        self._obstacles = []
        before = {path for path in self.listing() if not path.endswith("/")} - set(
            self._git("ls-files", "-z").split("\0")
        )
        comes = self._git(
            "diff", "-z", "--no-renames", "--diff-filter=D", "--name-only", record["parents"][0], record["revid"]
        )
        for path in sorted(before & set(comes.split("\0"))):
            self._obstacles.append({"path": path, "conflict": f"{IN_THE_WAY}: {path}"})
        if self._obstacles:
            raise git.GitError(["revert", record["revid"]], 1, IN_THE_WAY)
        self._do(step, "revert", "--no-commit", *mainline, record["revid"], named=True)

    def conflicts(self):
        """Return the conflicts of the merge, [{path, conflict}]."""
        found = list(self._obstacles)
        for entry in self._git("status", "--porcelain=v2", "-z", "--no-renames").split("\0"):
            if entry.startswith("u "):
                state, path = entry.split(" ", 10)[1], entry.split(" ", 10)[10]
                found.append({"path": path, "conflict": f"{UNMERGED[state]}: {path}"})
        return found

    def commit(self, message):
        """Commit what was merged or undone. Without a committer, who the host's user is to git."""
        self._do("commit", "commit", "-q", "--no-verify", "--cleanup=verbatim", "-m", message, named=True)

    def _who(self):
        if self.committer:
            return self.committer
        argv = [self.executable, "var", "GIT_COMMITTER_IDENT"]
        done = subprocess.run(argv, cwd=self.tree, capture_output=True, text=True, check=False)
        if done.returncode:
            raise git.GitError(argv, done.returncode, done.stderr)
        self.committer = re.sub(r" \d+ [+-]\d{4}$", "", done.stdout.strip())
        return self.committer

    def push(self):
        """Push the tree's tip. Raises GitError if the branch is not where it was fetched."""
        location, reference = git.split(self.push_to)
        if reference == git.HEAD:
            reference = self._head_of(location)
        expected = self._git("rev-parse", KEPT + "target").strip()
        lease = f"--force-with-lease={reference}:{expected}"
        self._do("push", *self._transfer("push", location, lease), f"HEAD:{reference}")

    def _head_of(self, location):
        """Return the reference that HEAD names at a location."""
        _fetch, _quiet, *trusted = git.transfer("fetch", location)
        printed = self._git("ls-remote", "--symref", *trusted, "HEAD")
        return re.match(r"ref: (\S+)\tHEAD", printed).group(1)

    def drop(self, revid):
        """Take the tree back to a revision."""
        self._do("reset --hard", "reset", "-q", "--hard", revid)

    def listing(self):
        """Return every path of the tree, for put_back."""
        return contents.listing(self.workdir, ".git")

    def put_back(self, before):
        """Leave the tree as its tip has it, and what nobody versioned as in `before`, a listing."""
        self._git("reset", "-q", "--hard")
        root = Path(self.workdir)
        for path, content in self._same.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        self._same = {}
        now = self.listing()
        tracked = set(self._git("ls-files", "-z").split("\0"))
        for path in sorted(now - before - tracked, reverse=True):  # what a directory holds sorts behind it
            if not path.endswith("/"):
                (root / path).unlink()
            elif not any((root / path).iterdir()):
                (root / path).rmdir()
        for path in before - now:
            if path.endswith("/"):
                (root / path).mkdir(parents=True, exist_ok=True)

    # -- what to type

    def _clone(self, directory):
        location, reference = git.split(self.push_to)
        branch = [] if reference == git.HEAD else ["-b", reference.replace("refs/heads/", "", 1)]
        return shlex.join([self.executable, "clone", *branch, location, directory])

    def _fetch(self, name, *, tree=None):
        location, reference = git.split(self.branches[name])
        where = ["-C", tree] if tree else []
        return shlex.join([self.executable, *where, "fetch", location, reference])

    def commands(self):
        """Return the commands that the messages name."""
        git, tree = shlex.quote(self.executable), shlex.quote(self.tree)
        fetch = self._fetch("target", tree=self.tree)
        return {
            "make_tree": self._clone(self.tree),
            "see_own": f"{fetch} && {git} -C {tree} log FETCH_HEAD..HEAD",
            "drop_own": f"{fetch} && {git} -C {tree} reset --hard FETCH_HEAD",
            "look_there": self.try_it("target"),
            "see_tip": f"{fetch} && {git} -C {tree} log --first-parent -3 FETCH_HEAD",
            "start_fix": f"{self._clone('fix')} && cd fix",
        }

    def recipe(self, what, _revision, revid):
        """Return the commands with which a developer reproduces the merge and shares what came of it."""
        client, location = shlex.quote(self.executable), shlex.quote(git.split(self.push_to)[0])
        merge = f"{self._fetch('source')} && {client} merge --no-ff {revid}"
        commit = f"{client} commit -a -m {shlex.quote(f'Resolve {what}.')}"
        push = f"{client} push {location} HEAD:refs/heads/BRANCH"
        return {
            "reproduce": f"{self._clone('fix')} && cd fix && {merge}",
            "share": f"{commit} && {push}   (it is then {location}#BRANCH)",
        }

    def undo_recipe(self, record):
        """Return the commands with which a developer reproduces the undoing of a mainline revision."""
        mainline = " -m 1" if len(record["parents"]) > 1 else ""
        revert = f"{shlex.quote(self.executable)} revert{mainline} {record['revid']}"
        return {"reproduce": f"{self._clone('fix')} && cd fix && {revert}"}

    def try_it(self, name):
        """Return the command that reads a branch."""
        location, reference = git.split(self.branches.get(name, self.tree))
        return shlex.join([self.executable, "ls-remote", location, reference])

    def see(self, name, record):
        """Return the command that shows a mainline revision with all that it merged."""
        git, tree = shlex.quote(self.executable), shlex.quote(self.tree)
        return f"{self._fetch(name, tree=self.tree)} && {git} -C {tree} log {record['revid']}^1..{record['revid']}"

    def see_later(self, record):
        """Return the command that shows what came to the target after a revision."""
        git, tree = shlex.quote(self.executable), shlex.quote(self.tree)
        fetch = self._fetch("target", tree=self.tree)
        return f"{fetch} && {git} -C {tree} log --first-parent --stat {record['revid']}..FETCH_HEAD"
