"""The back-out of one merge from a branch (R17): exactly what the merge brought goes; what landed later stays."""

from __future__ import annotations

import re

from . import content
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


class BackOut(Landing):
    """One back-out, as the arguments of modules bzr_back_out and git_back_out describe it."""

    again, conflict_text = "./runbook.py run", CONFLICT

    def __init__(self, working, params):
        """Take the working tree and the module's params."""
        super().__init__(working)
        self.revno, self.revid = params["revno"], params["revid"]
        self.deed = f"the back-out of revision {self.revno} ({params['what']})"
        self.what, self.reason, self.approver = params["what"], params["reason"], params["approver"]
        self.brought = []  # log records, the latest first: the merge, and what took back-outs back to make it

    def words(self):
        """Return what the texts are filled in with."""
        recipe = self.working.undo_recipe(self.brought[0]) if self.brought else {}
        return {
            **super().words(),
            "revno": self.revno,
            "revid": self.revid,
            "message": self.message(self.revno),
            **recipe,
        }

    def message(self, revno):
        """Return the commit message of the undoing of one revision."""
        tags = f"[release-critical={self.approver}][rollback={revno}]"
        return f"{tags} Back out the merge of {self.what}: {self.reason}"

    def find(self):
        """Find the merge on the mainline. Raises LandingError if it is not there."""
        found = self.on("target", self.revid)
        if found is None or found["revno"] != self.revno or found["revid"] != self.revid:
            instead = f", but {found['revno']} with {found['revid']}, which contains it" if found else ""
            self.refuse(NO_SUCH_MERGE, instead=instead)
        if len(found["parents"]) < 2 and not self.takes_back(found):
            self.refuse(NO_MERGE)
        self.brought = [found]
        while self.brought[-1]["revno"] > 1:
            below = self.ask("log", "target", str(self.brought[-1]["revno"] - 1))[0]
            if not self.takes_back(below):
                return
            self.brought.append(below)

    def takes_back(self, record):
        """Tell whether a revision is one with which a merge took a back-out back: so it says, and its content too."""
        said = TOOK_BACK.match(record["message"])
        number = int(said.group(1)) if said else 0
        if not 0 < number < record["revno"]:
            return False
        return self.undoes("target", record, self.ask("log", "target", str(number))[0])

    def run(self, scratch):
        """Back out; in `scratch`, a directory, if given. As Merge.run."""
        self.look(scratch)
        self.find()
        done = [self.done(record) for record in self.brought]
        if all(done):
            return [max(done, key=lambda record: record["revno"])], False
        if scratch:
            self.working.copy(scratch)
        plan = [self.undoing(record) for record, undone in zip(self.brought, done) if not undone]
        return self.land(plan, push=not scratch), True

    def undoing(self, record):
        """Return the commit that takes one of the revisions back."""
        return Undoing(self, record, f"back out {record['revno']}", self.message(record["revno"]))

    def done(self, brought):
        """Return the log record of the last undoing of a revision, unless that was taken back itself; else None."""
        out = None
        for record in self.since("target", brought):
            if out is None:
                out = record if self.undoes("target", record, brought) else None
            elif self.undoes("target", record, out):
                out = None
        return out

    def check(self, made, plan):
        """Raise LandingError unless each commit is by content just an undoing: as before, later changes kept."""
        for record, commit in zip(made, plan):
            if not commit.is_it(record):
                brought, done = self.change("here", commit.undone), self.change("here", record)
                paths = {*content.changed(brought), *content.changed(done)}
                other = sorted(path for path in paths if done[1].get(path) != brought[0].get(path))
                self.refuse(NOT_AS_BEFORE, files=", ".join(other))
