"""The interface to version controls: for each, one adapter that subclasses every class here.

A branch is named by path or URL, in the way of its version control. Its mainline is the line of first parents: a
revision on it has a number, its place from 1 (the root) up, and every revision has an id. Nothing is read from a commit
message that the branch itself can tell (R10).
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Dict, Mapping, Optional, Pattern, Sequence, Tuple, TypedDict, Union

TIP = -1
Named = Union[int, str]  # a revision: its number on the mainline, TIP, or its id
Numbered = Tuple[Optional[int], str]  # number and id; no number if it was merged and is not on the mainline
Manifest = Dict[str, str]  # path of each file of a revision -> what tells one content from another; no directories


class LogEntry(TypedDict):
    """One revision of a mainline. The first parent is the one on the mainline; the date is ISO 8601 in UTC."""

    revno: int
    revid: str
    parents: list[str]
    committer: str
    date: str
    message: str


class FileChange(TypedDict):
    """A change of a path: added, modified, removed, renamed (the path is then "old => new"), kind changed …"""

    change: str
    path: str


class FileConflict(TypedDict):
    """A path in conflict, and how the version control describes that."""

    path: str
    conflict: str


class VcsError(Exception):
    """A failed command of a version control: its argv, its exit code (127: no such program), its error output."""

    def __init__(self, command: Sequence[object], exit_code: int, stderr: str) -> None:
        """Keep the facts; the text is one line with all three."""
        self.command, self.exit_code, self.stderr = [str(word) for word in command], exit_code, stderr.strip()
        super().__init__(f"{' '.join(self.command)} exited {exit_code}: {self.stderr or 'no message'}")


class MissingRevisionError(VcsError):
    """An error: the branch was read and does not contain the revision."""


class NotABranchError(VcsError):
    """An error: there is no branch at the location."""


class LockedError(VcsError):
    """An error: the repository is locked; `stderr` says by what, since when, and what to do."""


class Vcs(ABC):
    """Reads the branches of one version control. Each method may raise VcsError."""

    name: ClassVar[str]  # as the option `vcs` has it
    title: ClassVar[str]  # as people say it
    clients: ClassVar[tuple[str, ...]]  # names of its program, the first that the host has being the default
    urls: ClassVar[Pattern[str]]  # how a URL begins that can only be one of its branches

    def __init__(self, executable: str | None = None) -> None:
        """Take the client's name or path."""
        self.executable = executable or next(filter(shutil.which, self.clients), self.clients[0])

    @staticmethod
    @abstractmethod
    def is_at(path: Path) -> bool:
        """Return True if a branch of this kind is at a path of this host."""

    @abstractmethod
    def revision_info(self, branch: str, revision: Named = TIP) -> Numbered:
        """Return number and id of a revision. Raises MissingRevisionError."""

    @abstractmethod
    def bringing(self, branch: str, revid: str) -> LogEntry | None:
        """Return the mainline revision that first contains `revid` (itself, if it is on the mainline), or None."""

    @abstractmethod
    def log(self, branch: str, first: Named | None = None, last: Named | None = None) -> list[LogEntry]:
        """Return the mainline from `first` (the root) to `last` (the tip), oldest first.

        Raises MissingRevisionError.
        """

    @abstractmethod
    def changes(self, branch: str, revision: int) -> list[FileChange]:
        """Return what a mainline revision changed against its mainline parent, sorted by path."""

    @abstractmethod
    def changed_in(self, branch: str, first: int, last: int, directory: str) -> list[int]:
        """Return the numbers, from `first` to `last`, of the revisions that changed something in a directory."""

    @abstractmethod
    def export(self, branch: str, directory: str, revision: Named, target: Path) -> None:
        """Write a directory ("" for all) as of a revision into `target`, which is new; empty if there was none.

        The bytes are those that were committed; modes and symbolic links are kept. Raises MissingRevisionError.
        """

    @abstractmethod
    def manifest(self, branch: str, revid: str) -> Manifest:
        """Return the manifest of a revision, which need not be on the mainline."""

    @abstractmethod
    def cat(self, branch: str, revid: str, path: str) -> bytes:
        """Return the content of one file of a revision."""

    def same_content(self, branch: str, revid: str, other: str) -> bool:
        """Return True if two revisions are the same file by file, as after a back-out."""
        return self.manifest(branch, revid) == self.manifest(branch, other)

    @abstractmethod
    def working_tree(self, params: Mapping[str, Any]) -> WorkingTree:
        """Return the working tree that a module's params name."""


class WorkingTree(ABC):
    """The tree in which a merge or a merge back-out is made and from which it is pushed (R10, R17).

    Its branches are `target` (which it is a tree of), and `source` and `resolution` if the module has them. `steps`
    lists what was done in it. Methods that change it raise VcsError if they fail, on conflicts too.
    """

    marker: ClassVar[str]  # what is in it, inside the version control's own directory

    def __init__(self, vcs: Vcs, params: Mapping[str, Any]) -> None:
        """Take the module's params."""
        self.vcs = vcs
        self.tree: str = params["tree"]
        self.push_to: str = params["push_to"]
        self.committer: str | None = params.get("committer")
        named = {"target": self.push_to, "source": params.get("source"), "resolution": params.get("resolution")}
        self.branches: dict[str, str] = {name: branch for name, branch in named.items() if branch}
        self.workdir: str = self.tree
        self.steps: list[str] = []

    def is_there(self) -> bool:
        """Return True if there is such a tree (a client would take one further up for it)."""
        return (Path(self.tree) / self.marker).exists()

    def listing(self) -> set[str]:
        """Return every path of the tree, relative; directories end in "/". For put_back."""
        found: set[str] = set()
        for folder, directories, names in os.walk(self.workdir):
            inside = Path(folder).relative_to(self.workdir)
            if inside == Path():
                directories[:] = [name for name in directories if name != Path(self.marker).parts[0]]
            links = [name for name in directories if (Path(folder) / name).is_symlink()]
            found.update(str(inside / name) for name in names + links)
            found.update(str(inside / name) + "/" for name in directories if name not in links)
        return found

    # -- questions about its branches

    @abstractmethod
    def look_at(self, name: str, scratch: Path | None = None) -> None:
        """Read a branch as it is now. With `scratch`, a directory, the tree itself is not touched from now on."""

    @abstractmethod
    def where(self, name: str) -> str:
        """Return the location at which to read a branch; `here` is the tree's own."""

    # -- deeds

    @abstractmethod
    def copy(self, scratch: Path) -> None:
        """Work in a copy of the tree from now on."""

    @abstractmethod
    def clear(self) -> None:
        """Revert changes that are not committed."""

    @abstractmethod
    def advance(self) -> list[FileConflict]:
        """Bring the tree to the tip of the target, which contains the tree's own; return what is in the way."""

    @abstractmethod
    def merge(self, name: str, revid: str, step: str) -> None:
        """Merge a revision of the source, or the tip of the resolution, without a commit."""

    @abstractmethod
    def undo(self, entry: LogEntry, step: str) -> None:
        """Take a mainline revision of the tree back, without a commit."""

    @abstractmethod
    def conflicts(self) -> list[FileConflict]:
        """Return the conflicts of the merge or the undoing."""

    @abstractmethod
    def commit(self, message: str) -> None:
        """Commit the merge or the undoing."""

    @abstractmethod
    def push(self) -> None:
        """Push the tree's tip to the target, unless the target has newer revisions."""

    @abstractmethod
    def drop(self, revid: str) -> None:
        """Take the tree back to a revision."""

    @abstractmethod
    def put_back(self, before: set[str]) -> None:
        """Restore the tree to its tip, and unversioned files to `before`, a listing()."""

    # -- what to type

    @abstractmethod
    def commands(self) -> dict[str, str]:
        """Return the commands that messages name: make_tree, see_own, drop_own, look_there, see_tip, start_fix."""

    @abstractmethod
    def recipe(self, what: str, revision: int, revid: str) -> dict[str, str]:
        """Return the commands with which a developer reproduces the merge, and shares the result."""

    @abstractmethod
    def undo_recipe(self, entry: LogEntry) -> dict[str, str]:
        """Return the commands with which a developer reproduces the undoing of a mainline revision."""

    @abstractmethod
    def try_it(self, name: str) -> str:
        """Return the command that reads a branch."""

    @abstractmethod
    def see(self, name: str, entry: LogEntry) -> str:
        """Return the command that shows a mainline revision with everything that it merged."""

    @abstractmethod
    def see_later(self, entry: LogEntry) -> str:
        """Return the command that shows what came to the target after a revision."""
