"""The interface to trees: for each kind, one adapter that subclasses AppTree.

A tree is a directory of this host with the files of one revision, and with what tells which one. It is brought to a
directory beside its place and renamed, so there is never half a tree to switch to.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple, NoReturn, Sequence, TypedDict

from ..vcs.base import FileChange, Numbered, VcsError

NO_SUCH_REVISION = """\
E-no-such-revision  {where} does not contain {wanted}; its tip is {tip}.
  See what it has:  {see}"""


class TreeError(Exception):
    """An error: a tree cannot be brought to its revision; the text says why and what to type next."""


class Source(NamedTuple):
    """Where a revision comes from, as the module's options name it."""

    revid: str | None = None
    revno: int | None = None
    branch: str = ""  # path or URL, of a version control
    store: Path | None = None  # directory for what several trees share
    archive: str = ""  # path or URL
    sha256: str = ""
    strip: int = 0  # leading directories to leave out
    deliver: Sequence[str] = ()  # argv of the site's own that fills {directory}
    version: Sequence[str] = ()  # argv that prints the revision that is in it

    @property
    def named(self) -> str:
        """What was asked for, for a message."""
        return self.revid or f"revision {self.revno}"


class FoundTree(TypedDict):
    """A tree as it was found: the revision of its files, and what differs from that."""

    tree: Numbered
    reverted: list[FileChange]
    removed: list[str]


class AppTree(ABC):
    """A tree at a path. Each method may raise VcsError."""

    kind: ClassVar[str]  # as the option `kind` has it
    title: ClassVar[str]  # as people say it
    clients: ClassVar[tuple[str, ...]]  # names of its program, the first that is found being the default

    def __init__(self, path: Path, executable: str | None = None) -> None:
        """Take the tree's path, and its client's name or path."""
        self.path, self.executable = path, executable
        self.source = Source()

    @staticmethod
    @abstractmethod
    def is_at(path: Path) -> bool:
        """Return True if a tree of this kind is at a path."""

    # -- questions about the tree that is there

    @abstractmethod
    def revision(self) -> Numbered:
        """Return number and id of the revision that its files are at."""

    @abstractmethod
    def changed(self) -> list[FileChange]:
        """Return what differs from that revision, sorted by path."""

    @abstractmethod
    def unknown(self) -> list[str]:
        """Return the paths that are neither of the revision nor ignored, sorted; directories end in "/"."""

    @abstractmethod
    def committed(self, path: str, revid: str | None = None) -> bytes | None:
        """Return the content of a file in a revision (its own by default); None if it is not there."""

    @abstractmethod
    def holds(self, revid: str) -> None:
        """Raise VcsError unless the tree can tell what a revision contains."""

    def look(self, *, clean: bool) -> FoundTree:
        """Return the tree as it is; unknown files are looked for if they are to be removed (`clean`)."""
        removed = self.unknown() if clean else []
        return {"tree": self.revision(), "reverted": self.changed(), "removed": removed}

    # -- the revision that is wanted

    @abstractmethod
    def wanted(self, scratch: Path | None) -> Numbered:
        """Return the revision that `source` names, by reading where it comes from.

        With `scratch`, a directory, nothing else is written. Raises TreeError if it is not there.
        """

    def is_whole(self, found: FoundTree, wanted: Numbered) -> bool:
        """Return True if the tree that was found came whole to the wanted revision."""
        return found["tree"][1] == wanted[1]

    @abstractmethod
    def make(self, part: Path, revid: str) -> None:
        """Make a tree of the revision in a new directory."""

    @abstractmethod
    def refresh(self, revid: str, found: FoundTree, *, clean: bool) -> None:
        """Bring the tree to the revision, and revert whatever differs; without `clean`, keep copies of that."""

    def create(self, revid: str) -> None:
        """Make the tree beside its place and rename it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{self.path.name}.part")
        if part.exists():  # a run before this one was interrupted
            shutil.rmtree(str(part))
        try:
            self.make(part, revid)
        except BaseException:
            shutil.rmtree(str(part), ignore_errors=True)  # the disk may be full
            raise
        part.rename(self.path)

    def refuse(self, tip: object, see: str) -> NoReturn:
        """Raise TreeError: the revision is not where it should come from."""
        words = {"where": self.source.branch, "wanted": self.source.named, "tip": tip, "see": see}
        raise TreeError(NO_SUCH_REVISION.format(**words))

    def keep_copy(self, path: str) -> None:
        """Copy a file of the tree beside itself, as PATH.~1~ (or a higher number), before it is overwritten."""
        place, number = self.path / path, 1
        if not place.is_file() or place.is_symlink():
            return
        while (kept := place.with_name(f"{place.name}.~{number}~")).exists():
            number += 1
        shutil.copy2(str(place), str(kept))


def unreadable(path: Path, why: str) -> VcsError:
    """Return the error of a tree that cannot tell its revision."""
    return VcsError(["read", path], 1, why)
