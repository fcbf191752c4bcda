"""Trees of Bazaar: branches with a working tree, which may share a repository in a directory above them."""

from __future__ import annotations

from pathlib import Path
from typing import Collection

from ..vcs.base import FileChange, MissingRevisionError, Numbered, VcsError
from ..vcs.bzr import Bazaar
from .base import AppTree, FoundTree

NOT_IN_REVISION = "is not present in revision"


class BazaarCheckout(AppTree):
    """A branch with a working tree."""

    kind, title, clients = Bazaar.name, Bazaar.title, Bazaar.clients

    def __init__(self, path: Path, executable: str | None = None) -> None:
        """Take the tree's path and the client."""
        super().__init__(path, executable)
        self.bazaar = Bazaar(executable)

    @staticmethod
    def is_at(path: Path) -> bool:
        return (path / ".bzr" / "checkout").is_dir()

    def _do(self, *argv: object, ok: Collection[int] = (0,), cwd: Path | None = None) -> None:
        """Run the client, in the tree unless `cwd` is given."""
        self.bazaar.run(*argv, cwd=cwd or self.path, ok=ok)

    def revision(self) -> Numbered:
        return self.bazaar.tree_revision(self.path)

    def changed(self) -> list[FileChange]:
        return self.bazaar.uncommitted(self.path)

    def unknown(self) -> list[str]:
        return self.bazaar.unknown(self.path)

    def committed(self, path: str, revid: str | None = None) -> bytes | None:
        revision = f"revid:{revid}" if revid else "-1"
        try:
            location = self.bazaar.at(str(self.path)) + "/" + path
            return self.bazaar.run_bytes("cat", "-r", revision, "--", location)
        except VcsError as error:
            if NOT_IN_REVISION in error.stderr:
                return None
            raise

    def holds(self, revid: str) -> None:
        self.bazaar.revision_info(str(self.path), revid)

    def wanted(self, _scratch: Path | None) -> Numbered:
        branch, revision = self.source.branch, self.source.revid or self.source.revno or 0
        if self.is_at(self.path):
            tip = self.bazaar.revision_info(str(self.path))
            if tip[1] == revision:
                return tip
        try:
            return self.bazaar.revision_info(branch, revision)
        except MissingRevisionError:
            see = f"{self.bazaar.executable} log --show-ids -l 5 {branch}"
            self.refuse(self.bazaar.revision_info(branch)[0], see)

    def is_whole(self, found: FoundTree, wanted: Numbered) -> bool:
        """Return True if branch and files are at the revision: an interrupted pull has moved the branch alone."""
        return found["tree"][1] == wanted[1] and found["tree"] == self.bazaar.revision_info(str(self.path))

    def make(self, part: Path, revid: str) -> None:
        store = self.source.store
        if store and not (store / ".bzr" / "repository").is_dir():
            store.mkdir(parents=True, exist_ok=True)
            self._do("init-shared-repository", "-q", "--", store, cwd=store)
        self._do("branch", "-q", "-r", f"revid:{revid}", "--", self.source.branch, part, cwd=part.parent)

    def refresh(self, revid: str, found: FoundTree, *, clean: bool) -> None:
        revert = ["revert", "-q"] + (["--no-backup"] if clean else [])
        tip = self.bazaar.revision_info(str(self.path))
        if found["reverted"]:
            self._do(*revert)
        # Both exit 1 where unversioned files stood in the way; what conflicts is reverted.
        if tip[1] != revid:
            pull = ["pull", "-q", "--overwrite", "-r", f"revid:{revid}", "--", self.source.branch]
            self._do(*pull, ok=(0, 1))
        if found["tree"] != tip:  # an interrupted pull has moved the branch and not the files
            self._do("update", "-q", ok=(0, 1))
        self._do(*revert)
        if clean:
            self._do("clean-tree", "-q", "--unknown", "--force")
