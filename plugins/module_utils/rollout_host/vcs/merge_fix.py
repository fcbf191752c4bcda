"""Judges whether a later revision may go out instead of the merge: a fix that landed in RC mode (R11, R13).

By ancestry and content, as for the merge itself (R10). Messages count for one thing only: who approved what landed in
between, as for PQM.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Mapping

from ...rollout_core.merge import rc_mode
from ...rollout_core.schema.patches import PatchName
from .base import LogEntry, WorkingTree
from .branches import counted
from .merge import Merge

AGAIN = "./runbook.py run merge --fixed-in REVNO"
NOT_MERGED = """\
E-not-merged  {push_to} does not contain {what}: there is nothing to be fixed yet.
  Merge it:  ./runbook.py run merge"""
NO_SUCH_REVISION = """\
E-no-such-revision  {push_to} has no revision {fixed_in}; its tip is {tip}.
  Then:  {again}"""
NO_FIX = """\
E-not-after-merge  Revision {fixed_in} of {push_to} does not come after the merge of {what}, which is {merge}.
  See what came after it:  {see_later}
  Then:                    {again}
  Without a fix:           ./runbook.py run merge --fixed-in 0"""
NOT_CRITICAL = """\
E-not-release-critical  {count} after the merge of {what} ({merge}) up to {fixed_in} of {target} may not go out (R13):
{listed}
  See them:                         {see_later}
  Take a revision below them:       {again}
  Or begin anew, and merge on top:  ./runbook.py plan new"""
TAKEN_BACK = """\
E-taken-back  At revision {fixed_in}, {target} lacks {count} that the merge of {what} ({merge}) brought: {files}.
  See what came after it:  {see_later}
  Take a later revision, in which it is there again:  {again}"""
OTHER_PATCHES = """\
E-other-patches  Between the merge of {what} ({merge}) and {fixed_in} of {target} the schema patches change:
{listed}
  Only what was pinned is applied. Land them on {source_name} instead, and choose anew:  ./runbook.py run select
  Or take a revision without that:  {again}"""


class MergeFix(Merge):
    """A revision of the target that is said to have a fix of the merge."""

    again = AGAIN

    def __init__(self, working: WorkingTree, params: Mapping[str, Any]) -> None:
        """Take the working tree and the module's params."""
        super().__init__(working, params)
        self.told: dict[str, Any] = {}

    def words(self) -> dict[str, Any]:
        """Return the values for the placeholders in error texts."""
        return {**super().words(), **self.told}

    def judge(
        self, fixed_in: int, scratch: Path, approvers: Mapping[str, str]
    ) -> tuple[LogEntry, list[tuple[LogEntry, str]], list[str]]:
        """Return (the merge, [(a revision after it, why it may go out)], changed schema patches).

        Patches are paths. Raises LandingError if revision `fixed_in` may not go out.
        """
        self.look(scratch)
        self.pin()
        entry = self.merged("target")
        if entry is None:
            self.refuse(NOT_MERGED)
        merge = self.standing(entry)
        self.told = {"fixed_in": fixed_in, "merge": merge["revno"], "see_later": self.working.see_later(merge)}
        tip = self.tip("target")["revno"]
        if fixed_in > tip:
            self.refuse(NO_SUCH_REVISION, tip=tip)
        if fixed_in <= merge["revno"]:
            self.refuse(NO_FIX)
        later = [each for each in self.since("target", merge) if each["revno"] <= fixed_in]
        self.refuse_beyond("target", fixed_in)
        self.refuse_what_is_gone(entry, later[-1])
        changed = self.changed_patches(merge, later[-1])
        return merge, self.approved(later, approvers), changed

    def refuse_what_is_gone(self, brought: LogEntry, last: LogEntry) -> None:
        """Raise LandingError if something that the merge brought is gone at revision `last`."""
        lost = self.lost(brought, "target", last)
        if lost:
            self.refuse(TAKEN_BACK, count=counted(lost, "1 file"), files=", ".join(lost), facts={"taken_back": lost})

    def changed_patches(self, merge: LogEntry, last: LogEntry) -> list[str]:
        """Return the paths of changed schema patches. Raises LandingError if one was added or removed (R9, R17)."""
        before, after = self.manifest("target", merge["revid"]), self.manifest("target", last["revid"])
        named = sorted(path for path in {*before, *after} if _is_patch(path) and before.get(path) != after.get(path))
        other = [path for path in named if path not in before or path not in after]
        if other:
            listed = "\n".join(f"  {path} {'comes' if path in after else 'goes'}" for path in other)
            self.refuse(OTHER_PATCHES, listed=listed)
        return named

    def approved(self, later: list[LogEntry], approvers: Mapping[str, str]) -> list[tuple[LogEntry, str]]:
        """Return (revision, reason) of each. Raises LandingError for revisions that RC mode does not let land (R13)."""
        answers = [
            (each, rc_mode.check(each["message"], in_rc_mode=True, approvers=approvers, pinned=self.revision))
            for each in later
        ]
        refused = [each for each, answer in answers if not answer.release_critical]
        if refused:
            listed = "\n".join(f"  {each['revno']}  {first_line(each)}" for each in refused)
            revnos = [each["revno"] for each in refused]
            count = counted(refused, "1 revision")
            self.refuse(NOT_CRITICAL, count=count, listed=listed, facts={"refused": revnos})
        return [(each, answer.reason) for each, answer in answers]


def first_line(entry: LogEntry) -> str:
    """Return the first line of a revision's message."""
    return entry["message"].partition("\n")[0]


def _is_patch(path: str) -> bool:
    try:
        PatchName.parse(PurePosixPath(path).name)
    except ValueError:
        return False
    return True
