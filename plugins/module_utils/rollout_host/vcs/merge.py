"""The merge of one pinned revision into a branch, step by step as the procedure has it (R10), and safe to repeat.

That the branch contains the revision is believed only when the content is there too: once a merge was backed out,
merging again brings nothing, in Bazaar and in git. So the back-out is taken back first, then what is new is merged.
"""

from __future__ import annotations

import shlex

from . import content
from .landing import Landing, Undoing, carry_out, name_of

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
  See what is in it:  {see_it}"""
INCOMPLETE = """\
E-resolution-incomplete  {resolution} does not contain {what}.
                         Nothing was merged.
  A developer makes one:  {reproduce}
  Then:                   ./runbook.py run merge --resolution BRANCH"""
CONFLICT = """\
E-merge-conflict  {target} could not take {incoming}: {count} ({files}).
                  Nothing was committed; the tree {tree} is as it was.
  A developer reproduces it:  {reproduce}
  resolves and shares it:     {share}
  Then:                       ./runbook.py run merge --resolution BRANCH"""
TAKEN_BACK = """\
E-taken-back  {push_to} contains {what} or what came before it by ancestry only: {count} that its revision {revno}
              brought (a merge from {source_name}) are not there any more: {files}.
              No single later revision just backs it out, so it is not put back by itself. Nothing was committed.
  See what came later:      {see_later}
  If it is to be there:     a developer puts it back: {start_fix}
  Then:                     ./runbook.py run merge --resolution BRANCH
  If it is to stay out:     take it out of {source_name} too, then  ./runbook.py run select"""
LOOK_BACK = 3  # merges of the source, before the one to be made, whose content is looked for
SOURCE_REVISIONS = 256  # revisions of the source among which they are found


class Merging:
    """The commit of a plan that is the merge itself."""

    def __init__(self, merge):
        """Take the merge that it is of."""
        self.merge = merge

    def is_it(self, record):
        """Tell whether a revision of the tree is this merge, made before."""
        first = self.merge.on("here", self.merge.incoming)
        return first is not None and first["revid"] == record["revid"] and len(record["parents"]) > 1

    def make(self):
        """Make it."""
        self.merge.make_merge()


class Merge(Landing):
    """One merge, as the arguments of modules bzr_merge and git_merge describe it."""

    again, conflict_text = "./runbook.py run merge", CONFLICT

    def __init__(self, working, params):
        """Take the working tree and the module's params."""
        super().__init__(working)
        self.source, self.revision, self.revid = params["source"], params["revision"], params["revid"] or None
        self.resolution = params["resolution"]
        self.source_name = name_of(self.source)
        self.what = f"{self.source_name} {self.revision}"
        self.deed = f"the merge of {self.what}"
        self.message = params["message"] or f"Merge {self.what}."
        self.beyond, self.incoming = None, None
        self.restored = []

    def words(self):
        """Return what the texts are filled in with."""
        known = {"source": self.source, "resolution": self.resolution or ""}
        names = {"what": self.what, "source_name": self.source_name, "revision": self.revision}
        recipe = self.working.recipe(self.what, self.revision, self.revid)
        return {**super().words(), **{name: shlex.quote(value) for name, value in known.items()}, **names, **recipe}

    def pin(self):
        """Find the pinned revision's id and that of the next one. Raises LandingError unless it is what was pinned."""
        try:
            onward = self.ask("log", "source", f"{self.revision}..")
        except self.working.Error:
            self.refuse(NO_SUCH_REVISION, tip=self.ask("revision_info", "source")[0])
        found = onward[0]["revid"]
        if self.revid not in (None, found):
            self.refuse(MISMATCH, pinned=self.revid, found=found)
        self.revid = self.incoming = found
        self.beyond = onward[1]["revid"] if len(onward) > 1 else None

    def merged(self, name):
        """Return the log record of the mainline revision that first contains the pinned one, or None.

        Raises LandingError if the same revision brought more of the source than was pinned (R18).
        """
        record = self.on(name, self.revid)
        if record is None:
            return None
        more = self.beyond and self.ask("first_containing", name, self.beyond)
        if more and more[0] <= record["revno"]:
            branch = self.working.branches[name]
            self.refuse(
                BEYOND, branch=shlex.quote(branch), revno=record["revno"], see_it=self.working.see(name, record)
            )
        return record

    def run(self, scratch):
        """Merge; in `scratch`, a directory, if given. Return (log records of what was made or found, whether made)."""
        self.look(scratch)
        self.pin()
        record = self.merged("target")
        out = [] if self.resolution else self.taken_back(record)
        if record and not (out or self.to_resolve(record)):
            return [self.standing(record)], False
        if self.resolution:
            if self.merged("resolution") is None:
                self.refuse(INCOMPLETE)
            self.incoming = self.ask("revision_info", "resolution")[1]
        if scratch:
            self.working.copy(scratch)
        self.restored = out
        plan = [self.restoring(back_out) for back_out, _brought in out]
        if not record or self.resolution:
            plan.append(Merging(self))
        return self.land(plan, push=not scratch), True

    def to_resolve(self, record):
        """Tell whether content is gone that a developer's resolution, not merged yet, is to bring back."""
        if not self.resolution or self.on("target", self.ask("revision_info", "resolution")[1]):
            return False
        return bool(self.lost(record, "target", self.ask("log", "target", "-1")[0]))

    def restoring(self, back_out):
        """Return the commit that takes a back-out back."""
        number = back_out["revno"]
        message = f"[release-critical=pqm][rollback={number}] Take back the back-out, to merge {self.what} again."
        return Undoing(self, back_out, f"take back the back-out {number}", message)

    def make_merge(self):
        """Merge into the tree and commit."""
        if self.resolution:
            step, incoming = f"merge {self.resolution} ({self.what}, resolved)", f"the resolution {self.resolution}"
            self.make(lambda: self.working.merge("resolution", self.incoming, step), self.message, incoming)
        else:
            self.make(
                lambda: self.working.merge("source", self.revid, f"merge -r {self.revision}"), self.message, self.what
            )

    # -- content

    def taken_back(self, record):
        """Return (the back-out, what it took back) of each merge of the source that was backed out, latest first.

        `record` is the merge of the pinned revision, or None. Raises LandingError if something else took content of the
        last merge away; of older ones that is ordinary work.
        """
        out = []
        for place, brought in enumerate(self.merges(record)):
            lost = self.lost(brought, "target", self.ask("log", "target", "-1")[0])
            if record and not lost:
                break
            back_out = self.back_out_of(brought) if lost else None
            if back_out:
                out.append((back_out, brought))
            elif lost and place == 0:
                self.refuse_taken_back(brought, lost)
        return out

    def merges(self, record):
        """Yield the merges of the source in the target, latest first: `record` if given, and a few before it."""
        first = max(1, self.revision - SOURCE_REVISIONS + 1)
        candidates = self.ask("log", "source", f"{first}..{self.revision}")
        if record is None:
            candidates, record = self.below(candidates, None)
        for _ in range(LOOK_BACK):
            if record is None or any(each["revid"] == record["revid"] for each in candidates) or not record["parents"]:
                return  # from there on both branches are one
            yield record
            candidates, record = self.below(candidates, record["revno"])

    def below(self, candidates, limit):
        """Return the candidates that came to the target below revision number `limit`, and the merge of their last."""
        low, high, found = 0, len(candidates), None
        while low < high:
            middle = (low + high) // 2
            came = self.ask("first_containing", "target", candidates[middle]["revid"])
            if came and (limit is None or came[0] < limit):
                low, found = middle + 1, came
            else:
                high = middle
        return candidates[:low], self.ask("log", "target", str(found[0]))[0] if found else None

    def lost(self, brought, name, tip):
        """Return the paths on which a branch, at revision `tip`, lacks what a merge brought (log records)."""
        if tip["revid"] == brought["revid"]:
            return []
        change = self.change(name, brought)
        wanted, there = self.manifest("source", self.revid), self.manifest(name, tip["revid"])
        revids = {"before": brought["parents"][0], "after": brought["revid"], "tip": tip["revid"]}

        def lost(moved=()):
            return content.gone(
                change, there, wanted, lambda path, side: self.ask("cat", name, revids[side], path), moved
            )

        found = lost()
        return lost(self.moved(name, brought, found, there)) if found else []

    def moved(self, name, brought, paths, there):
        """Return those of the paths whose file was renamed after the merge, and is there under the new name."""
        moved = set()
        for record in self.since(name, brought):
            for entry in self.ask("changes", name, str(record["revno"])):
                old, arrow, new = entry["path"].partition(" => ")
                if arrow and old.endswith("/"):
                    moved.update(path for path in paths if path.startswith(old) and new + path[len(old) :] in there)
                elif arrow and new in there:
                    moved.add(old)
        return moved & self.manifest(name, brought["revid"]).keys()

    def back_out_of(self, brought):
        """Return the log record of the last mainline revision that just takes a merge back, or None."""
        for record in reversed(self.since("target", brought)):
            if self.undoes("target", record, brought):
                return record
        return None

    def standing(self, record):
        """Return the log record of the revision from which on the target has all that the pinned one brings.

        That is the merge, or the last revision that took a back-out back: its own, or one of a merge before it.
        """
        found = self.put_back(record)
        if found is record:
            return record
        return max((self.put_back(brought) for brought in self.merges(record)), key=lambda each: each["revno"])

    def put_back(self, brought):
        """Return the log record of the last revision that took a back-out of a merge back; the merge's without one."""
        found, out = brought, None
        for later in self.since("target", brought):
            if out is None and self.undoes("target", later, brought):
                out = later
            elif out is not None and self.undoes("target", later, out):
                found, out = later, None
        return found

    def check(self, made, _plan):
        """Raise LandingError unless all that was put back is there."""
        for _back_out, brought in self.restored:
            lost = self.lost(brought, "here", made[-1])
            if lost:
                self.refuse_taken_back(brought, lost)

    def refuse_taken_back(self, brought, lost):
        """Raise LandingError with the names of the files that are not there any more."""
        count = "1 file" if len(lost) == 1 else f"{len(lost)} files"
        self.refuse(
            TAKEN_BACK, count=count, files=", ".join(lost), revno=brought["revno"],
            see_later=self.working.see_later(brought), facts={"taken_back": lost},
        )  # fmt: skip


ARGUMENTS = {
    "tree": {"type": "path", "required": True},
    "source": {"type": "str", "required": True},
    "revision": {"type": "int", "required": True},
    "revid": {"type": "str"},
    "push_to": {"type": "str", "required": True},
    "message": {"type": "str"},
    "committer": {"type": "str"},
    "resolution": {"type": "str"},
}


def merge(module, working_tree):
    """Merge for a module, in a working tree of this class, answer, and end."""
    if module.params["revision"] < 1:
        found = module.params["revision"]
        module.fail_json(msg=f"E-bad-revision  revision is {found}; a revision number from 1 was expected.")
    landing = Merge(working_tree(module.params), module.params)
    carry_out(module, landing, lambda changed: {"already_merged": not changed, "source_revid": landing.revid})
