"""Whether a later revision of the branch may go out instead of the merge: a fix that landed in RC mode (R11, R13).

Judged by ancestry and content, as the merge itself (R10). What the messages say is believed of one thing only: who
approved what landed in between, as PQM believes it.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ...rollout_core.merge import rc_mode
from ...rollout_core.schema.patches import PatchName
from .merge import BEYOND, Merge

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


class Fix(Merge):
    """One revision of the target, said to have a fix of the merge."""

    again = AGAIN

    def __init__(self, working, params):
        """Take the working tree and the module's params."""
        super().__init__(working, {**params, "resolution": None, "message": None})
        self.told = {}

    def words(self):
        """Return what the texts are filled in with."""
        return {**super().words(), **self.told}

    def judge(self, fixed_in, scratch, approvers):
        """Return (the merge, [(what came after it, why it may go out)], changed schema patches).

        Revisions are log records, patches are paths. Raises LandingError if revision `fixed_in` may not go out.
        """
        self.look(scratch)
        self.pin()
        record = self.merged("target")
        if record is None:
            self.refuse(NOT_MERGED)
        merge = self.standing(record)
        self.told = {"fixed_in": fixed_in, "merge": merge["revno"], "see_later": self.working.see_later(merge)}
        tip = self.ask("revision_info", "target")[0]
        if fixed_in > tip:
            self.refuse(NO_SUCH_REVISION, tip=tip)
        if fixed_in <= merge["revno"]:
            self.refuse(NO_FIX)
        later = [each for each in self.since("target", merge) if each["revno"] <= fixed_in]
        self.refuse_more_of_the_source(fixed_in)
        self.refuse_what_is_gone(later[-1])
        changed = self.changed_patches(merge, later[-1])
        return merge, self.approved(later, approvers), changed

    def refuse_more_of_the_source(self, fixed_in):
        """Raise LandingError if more of the source than was pinned came with what landed since (R18)."""
        more = self.beyond and self.ask("first_containing", "target", self.beyond)
        if more and more[0] <= fixed_in:
            see = self.working.see("target", self.ask("log", "target", str(more[0]))[0])
            self.refuse(BEYOND, branch=self.working.branches["target"], revno=more[0], see_it=see)

    def refuse_what_is_gone(self, last):
        """Raise LandingError if what the merge brought is not there at revision `last`."""
        lost = self.lost(self.merged("target"), "target", last)
        if lost:
            count = "1 file" if len(lost) == 1 else f"{len(lost)} files"
            self.refuse(TAKEN_BACK, count=count, files=", ".join(lost), facts={"taken_back": lost})

    def changed_patches(self, merge, last):
        """Return the paths of the schema patches that changed. Raises LandingError if one came or went (R9, R17)."""
        before, after = self.manifest("target", merge["revid"]), self.manifest("target", last["revid"])
        named = sorted(path for path in {*before, *after} if _is_patch(path) and before.get(path) != after.get(path))
        other = [path for path in named if path not in before or path not in after]
        if other:
            listed = "\n".join(f"  {path} {'comes' if path in after else 'goes'}" for path in other)
            self.refuse(OTHER_PATCHES, listed=listed)
        return named

    def approved(self, later, approvers):
        """Return (record, reason) of each. Raises LandingError that names what RC mode does not let land (R13)."""
        answers = [
            (each, rc_mode.check(each["message"], in_rc_mode=True, approvers=approvers, pinned=self.revision))
            for each in later
        ]
        refused = [each for each, answer in answers if not answer.release_critical]
        if refused:
            count = "1 revision" if len(refused) == 1 else f"{len(refused)} revisions"
            listed = "\n".join(f"  {each['revno']}  {first_line(each)}" for each in refused)
            revnos = [each["revno"] for each in refused]
            self.refuse(NOT_CRITICAL, count=count, listed=listed, facts={"refused": revnos})
        return [(each, answer.reason) for each, answer in answers]


def first_line(record):
    """Return the first line of a revision's message."""
    return record["message"].partition("\n")[0]


def _is_patch(path):
    try:
        PatchName.parse(PurePosixPath(path).name)
    except ValueError:
        return False
    return True
