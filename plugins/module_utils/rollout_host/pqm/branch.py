"""A branch as RC mode looks at it: where its tip is, and whether it is as it was (R13). Bazaar or git."""

from __future__ import annotations

from typing import Any

from ...rollout_core.merge import rc_mode_end
from ..vcs import bzr, git


class BranchError(Exception):
    """A branch that cannot be read; the text is the module's message."""


class Location:
    """A branch where everybody reads it: its name, URL or path, kind, and client."""

    def __init__(self, name: str, location: str, vcs: str, executable: str | None) -> None:
        """Nothing is read yet."""
        self.name, self.location = name, location
        self.client: Any = {"bzr": _Bazaar, "git": _Git}[vcs](location, executable or {"bzr": "brz", "git": "git"}[vcs])

    def tip(self) -> tuple[int, str]:
        """(revno, revid) of its tip now. Raises BranchError."""
        return self._ask(self.client.tip)

    def release(self, noted_revid: str | None, tip: tuple[int, str]) -> rc_mode_end.Release:
        """Whether it is what it was at the revision noted. Raises BranchError."""
        return self._ask(self._release, noted_revid, tip)

    def _release(self, noted_revid, tip):
        noted = self.client.find(noted_revid) if noted_revid else None
        moved = noted is not None and noted != tip
        same = moved and self.client.same_content(noted[1], tip[1])
        landed = self.client.landed(noted[1]) if moved and not same else []
        return rc_mode_end.decide(self.name, noted=noted, tip=tip, same_content=same, landed=landed)

    def _ask(self, question, *arguments):
        try:
            return question(*arguments)
        except (bzr.BzrError, git.GitError) as error:
            raise BranchError(f"E-branch  {self.name} cannot be read: {error}.\n  Then:  ./runbook.py run") from error


class _Client:
    """What bzr and git answer alike."""

    vcs: Any

    def __init__(self, location, executable):
        self.location, self.executable = location, executable

    def tip(self):
        return self.vcs.revision_info(self.location, "-1", executable=self.executable)

    def find(self, revid):
        """(revno, revid) if it is on the mainline, else None."""
        try:
            revno, _ = self.vcs.revision_info(self.location, "revid:" + revid, executable=self.executable)
        except (bzr.BzrError, git.GitError) as error:
            if error.missing_revision:
                return None
            raise
        return None if revno is None else (revno, revid)

    def landed(self, revid):
        """What came after a revision of the mainline, oldest first."""
        found = self.vcs.log(self.location, f"revid:{revid}..-1", executable=self.executable)[1:]
        return [rc_mode_end.Revision(one["revno"], one["message"].partition("\n")[0]) for one in found]


class _Bazaar(_Client):
    vcs = bzr

    def same_content(self, revid, other):
        span = f"revid:{revid}..revid:{other}"
        argv = ["diff", "-q", "-r", span, "--", bzr.at(self.location)]
        return not bzr.run(argv, executable=self.executable, ok=(0, 1))


class _Git(_Client):
    vcs = git

    def same_content(self, revid, other):
        repository, _ = git.at(self.location, self.executable)
        argv = ["rev-parse", f"{revid}^{{tree}}", f"{other}^{{tree}}"]
        return len(set(git.run(argv, repository, self.executable).split())) == 1
