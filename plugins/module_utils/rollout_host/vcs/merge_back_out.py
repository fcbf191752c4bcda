"""The back-out of one merge from a branch (R17): exactly what the merge brought goes; what landed later stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Mapping

from . import content
from .base import LogEntry, WorkingTree
from .landing import Landing, Undoing

TOOK_BACK = re.compile(r"\[release-critical=pqm\]\[rollback=([0-9]{1,9})\] Take back the back-out, to merge .+ again\.")
NO_SUCH_MERGE = """\
E-no-such-merge  {push_to} has no revision {revno} with the id {revid}{instead}.
                 Nothing was backed out.
  See what it has:  {see_tip}"""
NO_MERGE = """\
E-no-merge  Revision {revno} of {push_to} is no merge. Nothing was backed out.
  See what it has:  {see_tip}"""
CONFLICT = """\
E-back-out-conflict  {target} could not give back {incoming}: {count} ({files}); something later changed the same.
                     Nothing was committed; the tree {tree} is as it was.
  A developer reproduces it:  {reproduce}
  resolves it and lands it as any other revision, with  {message}"""
NOT_AS_BEFORE = """\
E-not-as-before  Without the merge, these files are not as before it: {files}.
                 Nothing of the back-out was kept; the tree {tree} is as it was.
  A developer reproduces it:  {reproduce}"""


class MergeBackOutLanding(Landing):
    """One merge back-out, as the arguments of the module merge_back_out describe it."""

    again, conflict_text = "./runbook.py run", CONFLICT

    def __init__(self, working: WorkingTree, params: Mapping[str, Any]) -> None:
        """Take the working tree and the module's params."""
        self.revno: int = params["revno"]
        self.revid: str = params["revid"]
        super().__init__(working, f"the back-out of revision {self.revno} ({params['what']})")
        self.what, self.reason, self.approver = params["what"], params["reason"], params["approver"]
        self.brought: list[LogEntry] = []  # the latest first: the merge, and what took back-outs back to make it
        self.plan: list[Undoing] = []

    def more(self, *, made: bool) -> dict[str, Any]:
        """Return additional values for the module's answer."""
        return {"already_backed_out": not made}

    def words(self) -> dict[str, Any]:
        """Return the values for the placeholders in error texts."""
        recipe = self.working.undo_recipe(self.brought[0]) if self.brought else {}
        known = {"revno": self.revno, "revid": self.revid, "message": self.message(self.revno)}
        return {**super().words(), **known, **recipe}

    def message(self, revno: int) -> str:
        """Return the commit message of the undoing of one revision."""
        tags = f"[release-critical={self.approver}][rollback={revno}]"
        return f"{tags} Back out the merge of {self.what}: {self.reason}"

    def find(self) -> None:
        """Find the merge on the mainline. Raises LandingError if it is not there."""
        found = self.on("target", self.revid)
        if found is None or found["revno"] != self.revno or found["revid"] != self.revid:
            instead = f", but {found['revno']} with {found['revid']}, which contains it" if found else ""
            self.refuse(NO_SUCH_MERGE, instead=instead)
        if len(found["parents"]) < 2 and not self.takes_back(found):
            self.refuse(NO_MERGE)
        self.brought = [found]
        while self.brought[-1]["revno"] > 1:
            below = self.at("target", self.brought[-1]["revno"] - 1)
            if not self.takes_back(below):
                return
            self.brought.append(below)

    def takes_back(self, entry: LogEntry) -> bool:
        """Return True if a merge made this revision to take a back-out back, by its message and by its content."""
        said = TOOK_BACK.match(entry["message"])
        number = int(said.group(1)) if said else 0
        return 0 < number < entry["revno"] and self.undoes("target", entry, self.at("target", number))

    def run(self, scratch: Path | None) -> tuple[list[LogEntry], bool]:
        """Back out, in `scratch`, a directory, if given."""
        self.look(scratch)
        self.find()
        done = [(entry, self.done(entry)) for entry in self.brought]
        self.plan = [self.undoing(entry) for entry, undone in done if not undone]
        if not self.plan:
            return [max((undone for _, undone in done if undone), key=lambda entry: entry["revno"])], False
        if scratch:
            self.working.copy(scratch)
        return self.land(self.plan, push=not scratch), True

    def undoing(self, entry: LogEntry) -> Undoing:
        """Return the commit that takes one of the revisions back."""
        return Undoing(self, entry, f"back out {entry['revno']}", self.message(entry["revno"]))

    def done(self, brought: LogEntry) -> LogEntry | None:
        """Return the last revision that undid this one; None if there is none, or it was taken back itself."""
        out = None
        for entry in self.since("target", brought):
            if out is None:
                out = entry if self.undoes("target", entry, brought) else None
            elif self.undoes("target", entry, out):
                out = None
        return out

    def check(self, made: list[LogEntry]) -> None:
        """Raise LandingError unless each commit is by content just an undoing that keeps later changes."""
        for entry, commit in zip(made, self.plan):
            if not commit.is_it(entry):
                brought, done = self.change("here", commit.undone), self.change("here", entry)
                paths = {*content.changed(brought), *content.changed(done)}
                other = sorted(path for path in paths if done[1].get(path) != brought[0].get(path))
                self.refuse(NOT_AS_BEFORE, files=", ".join(other))
