"""The merge of one pinned revision into a branch, step by step as the procedure has it (R10), and safe to repeat.

That the branch contains the revision only counts if the content is there too: once a merge was backed out, merging
again brings nothing, in every version control. So the back-out is taken back first, then what is new is merged.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Collection, Iterator, Mapping, NoReturn

from . import content
from .base import LogEntry, Manifest, MissingRevisionError, WorkingTree
from .branches import counted, name_of
from .landing import Landing, PlannedCommit, Undoing

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


class Merging(PlannedCommit):
    """The commit of a plan that is the merge itself."""

    def __init__(self, merge: Merge) -> None:
        """Keep the merge that it makes."""
        self.merge = merge

    def is_it(self, entry: LogEntry) -> bool:
        """Return True if a revision of the tree is a merge, and the first to contain what is merged."""
        first = self.merge.on("here", self.merge.incoming)
        return first is not None and first["revid"] == entry["revid"] and len(entry["parents"]) > 1

    def make(self) -> None:
        """Merge into the tree and commit."""
        merge = self.merge
        name, step, what = "source", f"merge -r {merge.revision}", merge.what
        if merge.resolution:
            name, step = "resolution", f"merge {merge.resolution} ({merge.what}, resolved)"
            what = f"the resolution {merge.resolution}"
        merge.make(lambda: merge.working.merge(name, merge.incoming, step), merge.message, what)


class Merge(Landing):
    """One merge, as the arguments of the module `merge` describe it."""

    again, conflict_text = "./runbook.py run merge", CONFLICT

    def __init__(self, working: WorkingTree, params: Mapping[str, Any]) -> None:
        """Take the working tree and the module's params."""
        self.source: str = params["source"]
        self.revision: int = params["revision"]
        self.pinned: str | None = params["revid"] or None
        self.resolution: str | None = params.get("resolution")
        self.source_name = name_of(self.source)
        self.what = f"{self.source_name} {self.revision}"
        self.message: str = params.get("commit_message") or f"Merge {self.what}."
        super().__init__(working, f"the merge of {self.what}")
        self.revid = self.incoming = self.pinned or ""  # until pin() has found it
        self.beyond: str | None = None
        self.restored: list[tuple[LogEntry, LogEntry]] = []

    def words(self) -> dict[str, Any]:
        """Return the values for the placeholders in error texts."""
        known = {"source": self.source, "resolution": self.resolution or ""}
        names = {"what": self.what, "source_name": self.source_name, "revision": self.revision}
        recipe = self.working.recipe(self.what, self.revision, self.revid)
        return {**super().words(), **{name: shlex.quote(value) for name, value in known.items()}, **names, **recipe}

    def more(self, *, made: bool) -> dict[str, Any]:
        """Return additional values for the module's answer."""
        return {"already_merged": not made, "source_revid": self.revid}

    def pin(self) -> None:
        """Find the ids of the pinned revision and the next one. Raises LandingError if it is not what was pinned."""
        try:
            onward = self.ask(self.vcs.log, "source", self.revision)
        except MissingRevisionError:
            self.refuse(NO_SUCH_REVISION, tip=self.ask(self.vcs.revision_info, "source")[0])
        found = onward[0]["revid"]
        if self.pinned not in (None, found):
            self.refuse(MISMATCH, pinned=self.pinned, found=found)
        self.revid = self.incoming = found
        self.beyond = onward[1]["revid"] if len(onward) > 1 else None

    def merged(self, name: str) -> LogEntry | None:
        """Return the mainline revision of a branch that first contains the pinned one, or None.

        Raises LandingError if the same revision brought more of the source than was pinned (R18).
        """
        entry = self.on(name, self.revid)
        if entry:
            self.refuse_beyond(name, entry["revno"])
        return entry

    def refuse_beyond(self, name: str, upto: int) -> None:
        """Raise LandingError if revision `upto` of a branch has more of the source than was pinned (R18)."""
        more = self.on(name, self.beyond) if self.beyond else None
        if more and more["revno"] <= upto:
            branch = shlex.quote(self.working.branches[name])
            self.refuse(BEYOND, branch=branch, revno=more["revno"], see_it=self.working.see(name, more))

    def run(self, scratch: Path | None) -> tuple[list[LogEntry], bool]:
        """Merge, in `scratch`, a directory, if given."""
        self.look(scratch)
        self.pin()
        entry = self.merged("target")
        self.restored = [] if self.resolution else self.taken_back(entry)
        if entry and not (self.restored or self.to_resolve(entry)):
            return [self.standing(entry)], False
        if self.resolution:
            if self.merged("resolution") is None:
                self.refuse(INCOMPLETE)
            self.incoming = self.ask(self.vcs.revision_info, "resolution")[1]
        if scratch:
            self.working.copy(scratch)
        plan: list[PlannedCommit] = [self.restoring(back_out) for back_out, _brought in self.restored]
        if not entry or self.resolution:
            plan.append(Merging(self))
        return self.land(plan, push=not scratch), True

    def to_resolve(self, entry: LogEntry) -> bool:
        """Return True if content is gone that a developer's resolution, which is not merged yet, should bring back."""
        if not self.resolution or self.on("target", self.ask(self.vcs.revision_info, "resolution")[1]):
            return False
        return bool(self.lost(entry, "target", self.tip("target")))

    def restoring(self, back_out: LogEntry) -> Undoing:
        """Return the commit that takes a back-out back."""
        number = back_out["revno"]
        message = f"[release-critical=pqm][rollback={number}] Take back the back-out, to merge {self.what} again."
        return Undoing(self, back_out, f"take back the back-out {number}", message)

    # -- content

    def taken_back(self, entry: LogEntry | None) -> list[tuple[LogEntry, LogEntry]]:
        """Return (back-out, what it took back) of each merge of the source that was backed out, latest first.

        `entry` is the merge of the pinned revision, or None. Raises LandingError if content of the last merge is gone
        for another reason; content of older merges may be gone by ordinary work.
        """
        out = []
        for place, brought in enumerate(self.merges(entry)):
            lost = self.lost(brought, "target", self.tip("target"))
            if entry and not lost:
                break
            back_out = self.back_out_of(brought) if lost else None
            if back_out:
                out.append((back_out, brought))
            elif lost and place == 0:
                self.refuse_taken_back(brought, lost)
        return out

    def merges(self, entry: LogEntry | None) -> Iterator[LogEntry]:
        """Yield the merges of the source in the target, latest first: `entry` if given, and a few before it."""
        first = max(1, self.revision - SOURCE_REVISIONS + 1)
        candidates = self.ask(self.vcs.log, "source", first, self.revision)
        if entry is None:
            candidates, entry = self.below(candidates, None)
        for _ in range(LOOK_BACK):
            if entry is None or any(each["revid"] == entry["revid"] for each in candidates) or not entry["parents"]:
                return  # from there on both branches are one
            yield entry
            candidates, entry = self.below(candidates, entry["revno"])

    def below(self, candidates: list[LogEntry], limit: int | None) -> tuple[list[LogEntry], LogEntry | None]:
        """Return the candidates that came into the target below revision `limit`, and the merge of the last of them."""
        low, high, found = 0, len(candidates), None
        while low < high:
            middle = (low + high) // 2
            came = self.on("target", candidates[middle]["revid"])
            if came and (limit is None or came["revno"] < limit):
                low, found = middle + 1, came
            else:
                high = middle
        return candidates[:low], found

    def lost(self, brought: LogEntry, name: str, tip: LogEntry) -> list[str]:
        """Return the paths on which a branch, at revision `tip`, lacks what a merge brought."""
        if tip["revid"] == brought["revid"]:
            return []
        change = self.change(name, brought)
        wanted, there = self.manifest("source", self.revid), self.manifest(name, tip["revid"])
        text = self.text(name, before=brought["parents"][0], after=brought["revid"], tip=tip["revid"])
        found = content.gone(change, there, wanted, text)
        return content.gone(change, there, wanted, text, self.moved(name, brought, found, there)) if found else []

    def moved(self, name: str, brought: LogEntry, paths: Collection[str], there: Manifest) -> set[str]:
        """Return those of the paths whose file was renamed after the merge, and exists under the new name."""
        moved: set[str] = set()
        for entry in self.since(name, brought):
            for each in self.ask(self.vcs.changes, name, entry["revno"]):
                old, arrow, new = each["path"].partition(" => ")
                if arrow and old.endswith("/"):
                    moved.update(path for path in paths if path.startswith(old) and new + path[len(old) :] in there)
                elif arrow and new in there:
                    moved.add(old)
        return moved & self.manifest(name, brought["revid"]).keys()

    def back_out_of(self, brought: LogEntry) -> LogEntry | None:
        """Return the last mainline revision that exactly takes a merge back, or None."""
        later = reversed(self.since("target", brought))
        return next((entry for entry in later if self.undoes("target", entry, brought)), None)

    def standing(self, entry: LogEntry) -> LogEntry:
        """Return the revision from which on the target has everything that the pinned one brings.

        That is the merge, or the last revision that took a back-out back: of this merge, or of an earlier one.
        """
        found = self.put_back(entry)
        if found is entry:
            return entry
        return max((self.put_back(brought) for brought in self.merges(entry)), key=lambda each: each["revno"])

    def put_back(self, brought: LogEntry) -> LogEntry:
        """Return the last revision that took a back-out of a merge back; the merge itself if there is none."""
        found, out = brought, None
        for later in self.since("target", brought):
            if out is None and self.undoes("target", later, brought):
                out = later
            elif out is not None and self.undoes("target", later, out):
                found, out = later, None
        return found

    def check(self, made: list[LogEntry]) -> None:
        """Raise LandingError unless everything that was put back is there."""
        for _back_out, brought in self.restored:
            lost = self.lost(brought, "here", made[-1])
            if lost:
                self.refuse_taken_back(brought, lost)

    def refuse_taken_back(self, brought: LogEntry, lost: list[str]) -> NoReturn:
        """Raise LandingError with the names of the files that are gone."""
        self.refuse(
            TAKEN_BACK, count=counted(lost, "1 file"), files=", ".join(lost), revno=brought["revno"],
            see_later=self.working.see_later(brought), facts={"taken_back": lost},
        )  # fmt: skip
