"""A branch that PQM guards, as RC mode sees it: where its tip is, and whether it is as before (R13)."""

from __future__ import annotations

from typing import Callable, TypeVar

from ...rollout_core.merge import rc_mode_end
from ..vcs.base import TIP, MissingRevisionError, Vcs, VcsError

Answer = TypeVar("Answer")


class BranchError(Exception):
    """An error: a branch cannot be read; the text is the module's message."""


class GuardedBranch:
    """A branch that PQM guards, read from its public location. Questions raise BranchError if it cannot be read."""

    def __init__(self, name: str, location: str, vcs: Vcs) -> None:
        """Keep name, location and version control; nothing is read yet."""
        self.name, self.location, self.vcs = name, location, vcs

    def tip(self) -> tuple[int, str]:
        """Return number and id of the branch's tip now."""
        revno, revid = self._ask(self.vcs.revision_info, TIP)
        return revno or 0, revid

    def release(self, noted_revid: str | None, tip: tuple[int, str]) -> rc_mode_end.Release:
        """Return whether RC mode may end: the branch's content must equal that of `noted_revid`."""
        noted = self._find(noted_revid) if noted_revid else None
        same, landed = False, []
        if noted is not None and noted != tip:
            same = self._ask(self.vcs.same_content, noted[1], tip[1])
            landed = [] if same else self._ask(self.vcs.log, noted[1], TIP)[1:]
        found = [rc_mode_end.Revision(each["revno"], each["message"].partition("\n")[0]) for each in landed]
        return rc_mode_end.decide(self.name, noted=noted, tip=tip, same_content=same, landed=found)

    def _find(self, revid: str) -> tuple[int, str] | None:
        """Return number and id of a revision if it is on the mainline, else None."""
        try:
            revno, _ = self._ask(self.vcs.revision_info, revid)
        except BranchError as error:
            if isinstance(error.__cause__, MissingRevisionError):
                return None
            raise
        return None if revno is None else (revno, revid)

    def _ask(self, question: Callable[..., Answer], *arguments: object) -> Answer:
        try:
            return question(self.location, *arguments)
        except VcsError as error:
            raise BranchError(f"E-branch  {self.name} cannot be read: {error}.\n  Then:  ./runbook.py run") from error
