"""The working tree in which a merge or a back-out is made and from which it is pushed, in Bazaar (R10, R17)."""

from __future__ import annotations

import shlex
from pathlib import Path

from . import bzr, bzr_tree


class WorkingTree:
    """The tree at `tree`, a branch of `push_to`. Branches are asked where they are; `steps` is what was done in it."""

    questions, Error = bzr, bzr.BzrError

    def __init__(self, params):
        """Take the module's params."""
        self.tree, self.push_to = params["tree"], params["push_to"]
        self.branches = {"target": self.push_to}
        for name in ("source", "resolution"):
            if params.get(name):
                self.branches[name] = params[name]
        self.executable, self.committer = params["brz_executable"], params["committer"]
        self.workdir = self.tree
        self.steps = []

    def is_there(self):
        """Tell whether there is a branch where the tree should be (brz itself would look further up)."""
        return (Path(self.tree) / ".bzr" / "branch").is_dir()

    def look_at(self, name, scratch=None):
        """Read a branch as it is now: here, whenever it is asked."""

    def where(self, name):
        """Return the location of a branch."""
        return self.branches.get(name, self.workdir)

    def copy(self, scratch):
        """Work in a copy of the branch from now on."""
        self.workdir = str(Path(scratch) / "branch")
        bzr.run(["branch", "-q", "--", self.tree, self.workdir], executable=self.executable)

    def _do(self, step, *argv, ok=(0,)):
        bzr.run(argv, cwd=self.workdir, executable=self.executable, committer=self.committer, ok=ok)
        self.steps.append(step)

    def clear(self):
        """Revert what is not committed."""
        self._do("update", "update", "-q", ok=(0, 1))  # 1: local changes conflict, and are reverted next
        self._do("revert", "revert", "-q")

    def advance(self):
        """Bring the tree to the tip of the target, which contains its own. Nothing can be in the way: it is moved."""
        self._do("pull", "pull", "-q", self.push_to)
        return []

    def merge(self, name, revid, step):
        """Merge a revision of the source or the tip of the resolution. Raises BzrError on conflicts too."""
        span = ["-r", "revid:" + revid] if name == "source" else []
        self._do(step, "merge", "-q", *span, self.branches[name])

    def undo(self, record, step):
        """Merge a mainline revision of the tree backwards. Raises BzrError on conflicts too."""
        self._do(step, "merge", "-q", "-r", f"revid:{record['revid']}..revid:{record['parents'][0]}", ".")

    def conflicts(self):
        """Return the conflicts of the merge, [{path, conflict}]."""
        return bzr_tree.conflicts(self.workdir, executable=self.executable)

    def commit(self, message):
        """Commit what was merged or undone."""
        self._do("commit", "commit", "-q", "-m", message)

    def push(self):
        """Push the tree's tip. Raises BzrError if the branch has more."""
        self._do("push", "push", "-q", "--no-remember", self.push_to)

    def drop(self, revid):
        """Uncommit down to a revision; the files stay as they were committed."""
        self._do("uncommit", "uncommit", "--force", "-q", "-r", "revid:" + revid)

    def listing(self):
        """Return every path of the tree, for put_back."""
        return bzr_tree.listing(self.workdir)

    def put_back(self, before):
        """Leave the tree as its tip has it, and what nobody versioned as in `before`, a listing."""
        bzr_tree.put_back(self.workdir, before, executable=self.executable)

    # -- what to type

    def commands(self):
        """Return the commands that the messages name."""
        brz, tree, push_to = (shlex.quote(word) for word in (self.executable, self.tree, self.push_to))
        return {
            "make_tree": f"{brz} branch {push_to} {tree}",
            "see_own": f"{brz} missing --mine-only -d {tree} {push_to}",
            "drop_own": f"{brz} pull --overwrite -d {tree} {push_to}",
            "look_there": f"{brz} info {push_to}   (a lock that was left behind:  {brz} break-lock {push_to})",
            "see_tip": f"{brz} log --show-ids -l 3 {push_to}",
            "start_fix": f"{brz} branch {push_to} fix && cd fix",
        }

    def recipe(self, what, revision, _revid):
        """Return the commands with which a developer reproduces the merge and shares what came of it."""
        brz, push_to, source = (shlex.quote(word) for word in (self.executable, self.push_to, self.branches["source"]))
        return {
            "reproduce": f"{brz} branch {push_to} fix && cd fix && {brz} merge -r {revision} {source}",
            "share": f"{brz} commit -m {shlex.quote(f'Resolve {what}.')} && {brz} push BRANCH",
        }

    def undo_recipe(self, record):
        """Return the commands with which a developer reproduces the undoing of a mainline revision."""
        brz, push_to = (shlex.quote(word) for word in (self.executable, self.push_to))
        number = record["revno"]
        return {"reproduce": f"{brz} branch {push_to} fix && cd fix && {brz} merge -r {number}..{number - 1} ."}

    def try_it(self, name):
        """Return the command that reads a branch."""
        return f"{shlex.quote(self.executable)} revision-info -d {shlex.quote(self.where(name))}"

    def see(self, name, record):
        """Return the command that shows a mainline revision with all that it merged."""
        return f"{shlex.quote(self.executable)} log -n0 -r {record['revno']} {shlex.quote(self.branches[name])}"

    def see_later(self, record):
        """Return the command that shows what came to the target after a revision."""
        return f"{shlex.quote(self.executable)} log -v -r {record['revno'] + 1}.. {shlex.quote(self.push_to)}"
