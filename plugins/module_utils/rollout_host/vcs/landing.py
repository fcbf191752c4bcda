"""A landing: commits that a stage makes on a branch and pushes, in any version control, safe to repeat (R10, R17).

A landing is planned as a list of commits on top of the branch's tip. Commits of the list that are in the tree already,
and not pushed, are recognized by content and ancestry and kept; only the rest is made.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Callable, ClassVar, Sequence

from .base import FileConflict, LockedError, LogEntry, VcsError, WorkingTree
from .branches import LOCKED, LandingBranches, LandingError, counted

OWN_REVISIONS = """\
E-own-revisions  {tree} has revisions that {push_to} lacks, and they are not {deed}. Nothing was committed.
  See them:        {see_own}
  If they may go:  {drop_own}
  Then:            {again}"""
NOT_COMMITTED = """\
E-not-committed  {Deed} was not committed: {reason}
                 The tree {tree} is as it was."""
NOT_PUSHED = """\
E-not-pushed  {push_to} did not take {deed}: {reason}
              It is committed in {tree}; the next run only pushes it.
  Look there:  {look_there}
  Then:        {again}"""
MOVED = """\
E-target-moved  Somebody pushed to {push_to} during {deed}.
                Nothing of it was kept; the tree {tree} is as it was.
  Once more:  {again}"""
NOT_VERIFIED = """\
E-not-verified  {push_to} does not have what was made: {deed}.
                made  {made}
                found {found}
  See what it has:  {see_tip}"""


class PlannedCommit(ABC):
    """One commit of a plan."""

    @abstractmethod
    def is_it(self, entry: LogEntry) -> bool:
        """Return True if a revision of the tree is this commit, made before."""

    @abstractmethod
    def make(self) -> None:
        """Make the commit. Raises LandingError."""


class Landing(LandingBranches, ABC):
    """The base of a merge and a merge back-out. `deed` is its name for people, `again` the command that repeats it."""

    again: ClassVar[str]
    conflict_text: ClassVar[str]

    def __init__(self, working: WorkingTree, deed: str) -> None:
        """Keep the working tree in which the landing is made, and `deed`."""
        super().__init__(working)
        self.deed = deed

    @abstractmethod
    def run(self, scratch: Path | None) -> tuple[list[LogEntry], bool]:
        """Land, in `scratch` if given; return (the commits made or found, whether they were made)."""

    @abstractmethod
    def check(self, made: list[LogEntry]) -> None:
        """Raise LandingError unless the commits that are not pushed yet have the content that they should."""

    @abstractmethod
    def more(self, *, made: bool) -> dict[str, Any]:
        """Return additional values for the module's answer."""

    def words(self) -> dict[str, Any]:
        """Return the values for the placeholders in error texts."""
        deed = {"deed": self.deed, "Deed": self.deed[:1].upper() + self.deed[1:], "again": self.again}
        return {**super().words(), **deed}

    def bring_up(self, plan: Sequence[PlannedCommit]) -> tuple[LogEntry, list[LogEntry]]:
        """Update and revert the tree and bring it to the branch's tip; return (that tip, the commits on top of it).

        Commits that are not pushed are kept if they are the beginning of the plan. Raises LandingError if the tree has
        other revisions of its own.
        """
        self.working.clear()
        theirs = self.tip("target")
        ours = self.ask(self.vcs.revision_info, "here")[1]
        if ours == theirs["revid"]:
            return theirs, []
        if self.on("target", ours):
            self.advance()
            return self.tip("here"), []  # with what came meanwhile
        there = self.on("here", theirs["revid"])
        if there is None or (there["revno"], there["revid"]) != (theirs["revno"], theirs["revid"]):
            self.refuse(OWN_REVISIONS)
        own = self.since("here", theirs)
        if len(own) > len(plan) or not all(commit.is_it(entry) for commit, entry in zip(plan, own)):
            self.refuse(OWN_REVISIONS)
        return theirs, own

    def advance(self) -> None:
        """Bring the tree to the tip of the branch. Raises LandingError if unversioned files are in the way."""
        conflicts = self.working.advance()
        if conflicts:
            self.refuse_conflicts(conflicts, "its newer revisions")

    def make(self, deed: Callable[[], None], message: str, incoming: str, **words: str) -> None:
        """Do one deed in the tree and commit it. On conflicts, raises LandingError with the tree as it was.

        `words` fill in its text: how a developer reproduces it.
        """
        working = self.working
        before = working.listing()
        try:
            deed()
        except VcsError:
            conflicts = working.conflicts()
            working.put_back(before)
            if not conflicts:
                raise
            self.refuse_conflicts(conflicts, incoming, **words)
        try:
            working.commit(message)
        except VcsError as error:
            working.put_back(before)
            self.refuse(NOT_COMMITTED, reason=error.stderr)

    def refuse_conflicts(self, conflicts: list[FileConflict], incoming: str, **words: str) -> None:
        """Raise LandingError with the names of the conflicted files."""
        paths = sorted({conflict["path"] for conflict in conflicts})
        words.update(count=counted(paths, "1 file conflicts", "files conflict"), files=", ".join(paths))
        self.refuse(self.conflict_text, facts={"conflicts": conflicts}, incoming=incoming, **words)

    def land(self, plan: Sequence[PlannedCommit], *, push: bool) -> list[LogEntry]:
        """Make the rest of the plan on the branch's tip, check it, push it; return the commits.

        Without `push` they stay in the tree.
        """
        base, own = self.bring_up(plan)
        try:
            for commit in plan[len(own) :]:
                commit.make()
            made = self.since("here", base)
            self.check(made)
        except LandingError:
            self.drop(base)
            raise
        if push:
            self.push(base)
            self.verify(made)
        else:
            self.steps.append("push")
        return made

    def drop(self, base: LogEntry) -> None:
        """Take back commits that are not pushed."""
        if self.ask(self.vcs.revision_info, "here")[1] != base["revid"]:
            before = self.working.listing()
            self.working.drop(base["revid"])
            self.working.put_back(before)

    def push(self, base: LogEntry) -> None:
        """Push the tree's tip, on top of `base`; the branch itself then says whether that worked."""
        try:
            self.working.push()
        except VcsError as error:
            self.look_at("target")
            theirs = self.ask(self.vcs.revision_info, "target")[1]
            if theirs == base["revid"]:
                self.refuse(NOT_PUSHED, reason=error.stderr)
            if theirs != self.ask(self.vcs.revision_info, "here")[1]:
                self.drop(base)
                self.refuse(MOVED)

    def verify(self, made: list[LogEntry]) -> None:
        """Raise LandingError unless the branch has the commits, on its mainline."""
        self.look_at("target")
        found = self.on("target", made[-1]["revid"])
        if found is None or (found["revid"], found["parents"]) != (made[-1]["revid"], made[-1]["parents"]):
            self.refuse(NOT_VERIFIED, made=made[-1]["revid"], found=found and found["revid"])


class Undoing(PlannedCommit):
    """A commit that takes back one mainline revision of the target."""

    def __init__(self, landing: Landing, undone: LogEntry, step: str, message: str) -> None:
        """Take the revision to undo, and the commit's `step` and `message`."""
        self.landing, self.undone, self.step, self.message = landing, undone, step, message

    def is_it(self, entry: LogEntry) -> bool:
        """Return True if a revision of the tree undoes just that revision."""
        return self.landing.undoes("here", entry, self.undone)

    def make(self) -> None:
        """Undo the revision and commit."""
        working = self.landing.working
        incoming = f"the undoing of revision {self.undone['revno']}"
        recipe = working.undo_recipe(self.undone)
        self.landing.make(lambda: working.undo(self.undone, self.step), self.message, incoming, **recipe)


def answer(landing: Landing, made: list[LogEntry], *, changed: bool, check: bool) -> dict[str, Any]:
    """Return the module's result: the last of the commits made or found, and what all of them changed."""
    last, tried = made[-1], check and changed
    where = "here" if tried else "target"
    return {
        "changed": changed,
        "revno": last["revno"],
        "revid": None if tried else last["revid"],
        "parents": last["parents"],
        "files": [file for entry in made for file in landing.ask(landing.vcs.changes, where, entry["revno"])],
        "conflicts": [],
        "steps": landing.steps if changed else [],
        **landing.more(made=changed),
    }


def carry_out(module: Any, landing: Landing) -> None:
    """Run a landing for its module, answer, and end. Check mode does all but the push, in a temporary copy."""
    try:
        with tempfile.TemporaryDirectory(dir=module.tmpdir, prefix="rollout-pqm-") as scratch:
            made, changed = landing.run(Path(scratch) if module.check_mode else None)
            result = answer(landing, made, changed=changed, check=module.check_mode)
    except LandingError as error:
        module.fail_json(msg=str(error), steps=landing.steps, **{"conflicts": [], **error.facts})
    except LockedError as error:
        module.fail_json(msg=LOCKED.format(reason=error.stderr), steps=landing.steps, conflicts=[])
    except VcsError as error:
        module.fail_json(msg=f"E-{landing.vcs.name}  {error}", steps=landing.steps, conflicts=[])
    if module._diff and changed:
        result["diff"] = {"prepared": "".join("{change:<10}{path}\n".format(**entry) for entry in result["files"])}
    module.exit_json(**result)
