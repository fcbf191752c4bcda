"""The merge of one pinned revision into a branch, step by step as the procedure has it (R10), and safe to repeat."""

from __future__ import annotations

import shlex
from pathlib import Path

from ansible.module_utils import rollout_bzr, rollout_bzr_tree

# What a LOSA reads. Fields are quoted for the shell, so each command can be pasted.
UNREADABLE = """\
E-branch-unreadable  {branch} cannot be read from this host: {reason}
  Try it there:  {brz} revision-info -d {branch}"""
NO_SUCH_REVISION = """\
E-no-such-revision  {what} does not exist; the tip of {source} is {tip}.
  Pin another one:  ./runbook.py run select"""
MISMATCH = """\
E-revision-mismatch  {what} is not the revision that was pinned; {source} was rewritten.
                     pinned {pinned}
                     now    {found}
  Pin it anew:  ./runbook.py run select"""
BEYOND = """\
E-beyond-pinned  {branch} contains more of {source_name} than {revision}: the next one came with its revision {revno}.
                 Only the pinned revision is to be deployed (R18).
  See what is in it:  {brz} log -n0 -r {revno} {branch}"""
INCOMPLETE = """\
E-resolution-incomplete  {resolution} does not contain {what}.
                         Nothing was merged.
  A developer makes one:  {brz} branch {push_to} fix && cd fix && {brz} merge -r {revision} {source}
  Then:                   ./runbook.py run merge --resolution BRANCH"""
NO_TREE = """\
E-no-tree  There is no branch at {tree}.
  Make it:  {brz} branch {push_to} {tree}"""
OWN_REVISIONS = """\
E-own-revisions  {tree} has revisions that {push_to} lacks, and they are not this merge. Nothing was merged.
  See them:          {brz} missing --mine-only -d {tree} {push_to}
  If they may go:    {brz} pull --overwrite -d {tree} {push_to}
  Then merge again:  ./runbook.py run merge"""
CONFLICT = """\
E-merge-conflict  {target} could not take {incoming}: {count} ({files}).
                  Nothing was committed; the tree {tree} is as it was.
  A developer reproduces it:  {brz} branch {push_to} fix && cd fix && {brz} merge -r {revision} {source}
  resolves and shares it:     {brz} commit -m 'Resolve {what}.' && {brz} push BRANCH
  Then:                       ./runbook.py run merge --resolution BRANCH"""
NOT_COMMITTED = """\
E-not-committed  The merge of {what} was not committed: {reason}
                 The tree {tree} is as it was."""
NOT_PUSHED = """\
E-not-pushed  {push_to} did not take the merge of {what}: {reason}
              It is committed in {tree}; the next run only pushes it.
  If a lock was left behind:  {brz} break-lock {push_to}
  Then:                       ./runbook.py run merge"""
MOVED = """\
E-target-moved  Somebody pushed to {push_to} while {what} was merged.
                Nothing of the merge was kept; the tree {tree} is as it was.
  Merge again:  ./runbook.py run merge"""
NOT_VERIFIED = """\
E-not-verified  {push_to} does not have the merge that was made of {what}.
                made  {made}
                found {found}
  See what it has:  {brz} log --show-ids -l 3 {push_to}"""


class MergeError(Exception):
    """The merge cannot go on; the text says what happened, where, and what to type next. `facts` go into the result."""

    def __init__(self, text, **facts):
        """Keep the facts beside the text."""
        super().__init__(text)
        self.facts = facts


def name_of(branch):
    """Return what people call a branch: "db-stable" for lp:~launchpad-pqm/launchpad/db-stable."""
    return branch.rstrip("/").replace(":", "/").rpartition("/")[2]


class Merge:
    """One merge, as the arguments of module bzr_merge describe it. `workdir` is the tree it is made in."""

    def __init__(self, params):
        """Take the module's params."""
        self.tree, self.source, self.revision = params["tree"], params["source"], params["revision"]
        self.push_to, self.resolution, self.revid = params["push_to"], params["resolution"], params["revid"] or None
        self.brz, self.committer = params["brz_executable"], params["committer"]
        self.what = f"{name_of(self.source)} {self.revision}"
        self.message = params["message"] or f"Merge {self.what}."
        self.workdir = self.tree
        self.beyond = None
        self.steps = []

    def refuse(self, text, *, facts=None, **words):
        """Raise MergeError with one of the texts above filled in."""
        known = {
            "brz": self.brz, "tree": self.tree, "push_to": self.push_to, "source": self.source,
            "resolution": self.resolution or "",
        }  # fmt: skip
        quoted = {name: shlex.quote(value) for name, value in known.items()}
        names = {"what": self.what, "source_name": name_of(self.source), "target": name_of(self.push_to)}
        raise MergeError(text.format(revision=self.revision, **{**quoted, **names, **words}), **(facts or {}))

    def ask(self, question, branch, *arguments):
        """Ask rollout_bzr about a branch. Raises MergeError if it cannot be read, BzrError if it lacks the revision."""
        try:
            return question(branch, *arguments, executable=self.brz)
        except rollout_bzr.BzrError as error:
            if error.missing_revision:
                raise
            return self.refuse(UNREADABLE, branch=shlex.quote(branch), reason=error.stderr)

    def do(self, step, *argv, ok=(0,)):
        """Run the client in the tree and note the step."""
        rollout_bzr.run(argv, cwd=self.workdir, executable=self.brz, committer=self.committer, ok=ok)
        self.steps.append(step)

    def pin(self):
        """Find the pinned revision's id and that of the next one. Raises MergeError unless it is what was pinned."""
        try:
            onward = self.ask(rollout_bzr.log, self.source, f"{self.revision}..")
        except rollout_bzr.BzrError:
            self.refuse(NO_SUCH_REVISION, tip=self.ask(rollout_bzr.revision_info, self.source)[0])
        found = onward[0]["revid"]
        if self.revid not in (None, found):
            self.refuse(MISMATCH, pinned=self.revid, found=found)
        self.revid = found
        self.beyond = onward[1]["revid"] if len(onward) > 1 else None

    def merged(self, branch):
        """Return the log record of the mainline revision that first contains the pinned one, or None.

        Raises MergeError if the same revision brought more of the source than was pinned (R18).
        """
        try:
            record = self.ask(rollout_bzr.log, branch, f"mainline:revid:{self.revid}")[0]
        except rollout_bzr.BzrError:
            return None
        more = self.beyond and self.ask(rollout_bzr.first_containing, branch, self.beyond)
        if more and more[0] <= record["revno"]:
            self.refuse(BEYOND, branch=shlex.quote(branch), revno=record["revno"])
        return record

    def check_resolution(self):
        """Raise MergeError unless the resolution contains the pinned revision, and nothing of the source beyond it."""
        if self.resolution and self.merged(self.resolution) is None:
            self.refuse(INCOMPLETE)

    def check_tree(self):
        """Raise MergeError if there is no branch where the tree should be (brz itself would look further up)."""
        if not (Path(self.tree) / ".bzr" / "branch").is_dir():
            self.refuse(NO_TREE)

    def bring_up(self):
        """Update and revert the tree and bring it to the tip of `push_to`; return that tip's revid and `unpushed`.

        `unpushed` is the log record of the merge if it was committed and not pushed: it stays on top of the tip; else
        None. Raises MergeError on other revisions of its own.
        """
        self.do("update", "update", "-q", ok=(0, 1))  # 1: local changes conflict, and are reverted next
        self.do("revert", "revert", "-q")
        _revno, theirs = self.ask(rollout_bzr.revision_info, self.push_to)
        _revno, ours = self.ask(rollout_bzr.revision_info, self.workdir)
        if ours == theirs:
            return theirs, None
        if self.ask(rollout_bzr.first_containing, self.push_to, ours):
            self.do("pull", "pull", "-q", self.push_to)
            return theirs, None
        unpushed = self.merged(self.workdir)
        if not (unpushed and unpushed["revid"] == ours and unpushed["parents"][0] == theirs):
            self.refuse(OWN_REVISIONS)
        return theirs, unpushed

    def merge_and_commit(self, *, commit):
        """Merge into the tree and commit, or put it back. Raises MergeError, with the tree as it was, on conflicts."""
        before = rollout_bzr_tree.listing(self.workdir)
        try:
            if self.resolution:
                self.do(f"merge {self.resolution} ({self.what}, resolved)", "merge", "-q", self.resolution)
            else:
                self.do(f"merge -r {self.revision}", "merge", "-q", "-r", f"revid:{self.revid}", self.source)
        except rollout_bzr.BzrError:
            conflicts = rollout_bzr_tree.conflicts(self.workdir, executable=self.brz)
            self.put_back(before)
            if not conflicts:
                raise
            self.refuse_conflicts(conflicts)
        if not commit:
            return
        try:
            self.do("commit", "commit", "-q", "-m", self.message)
        except rollout_bzr.BzrError as error:
            self.put_back(before)
            self.refuse(NOT_COMMITTED, reason=error.stderr)

    def refuse_conflicts(self, conflicts):
        """Raise MergeError with the names of the conflicted files."""
        paths = sorted({conflict["path"] for conflict in conflicts})
        self.refuse(
            CONFLICT,
            incoming=f"the resolution {self.resolution}" if self.resolution else self.what,
            count="1 file conflicts" if len(paths) == 1 else f"{len(paths)} files conflict",
            files=", ".join(paths),
            facts={"conflicts": conflicts},
        )

    def put_back(self, before):
        """Leave the tree as it was before the merge."""
        rollout_bzr_tree.put_back(self.workdir, before, executable=self.brz)

    def push(self, base):
        """Push the tree's tip, which stands on revid `base`. What counts is what the branch says afterwards."""
        try:
            self.do("push", "push", "-q", "--no-remember", self.push_to)
        except rollout_bzr.BzrError as error:
            theirs = self.ask(rollout_bzr.revision_info, self.push_to)[1]
            ours = self.ask(rollout_bzr.revision_info, self.workdir)[1]
            if theirs == base:
                self.refuse(NOT_PUSHED, reason=error.stderr)
            if theirs != ours:
                before = rollout_bzr_tree.listing(self.workdir)
                self.do("uncommit", "uncommit", "--force", "-q")
                self.put_back(before)
                self.refuse(MOVED)

    def verify(self, base):
        """Return the log record of the merge as `push_to` has it. Raises MergeError unless it is what was made."""
        made = self.ask(rollout_bzr.log, self.workdir, "-1")[0]
        found = self.merged(self.push_to)
        if found is None or found["parents"] != made["parents"] or found["parents"][0] != base:
            self.refuse(NOT_VERIFIED, made=made["revid"], found=found and found["revid"])
        return found
