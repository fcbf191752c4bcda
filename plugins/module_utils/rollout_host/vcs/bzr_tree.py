"""The working tree of a landing in Bazaar. Branches are read where they are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Collection

from .base import FileConflict, LogEntry, WorkingTree

if TYPE_CHECKING:
    from .bzr import Bazaar

# How brz names the kinds of conflicts (`brz conflicts`); the path is what a person looks for.
CONFLICTS = [
    re.compile(pattern)
    for pattern in (
        r"^(?:Text|Contents) conflict in (?P<path>.+)$",
        r"^Path conflict: (?P<path>.+) / .+$",
        r"^Conflict adding (?:file|files to|id to) (?P<path>.+?)\.  .+$",
        r"^Conflict because (?P<path>.+) is not versioned, .+$",
        r"^Conflict moving (?P<path>.+) into .+$",
        r"^Conflict: can't delete (?P<path>.+) because .+$",
        r"^Conflict: (?P<path>.+) is not a directory, .+$",
    )
]
MOVED_ASIDE = re.compile(r"\.moved(?=/|$)")


class BazaarTree(WorkingTree):
    """The working tree, a branch of the target."""

    vcs: Bazaar
    marker = ".bzr/branch"

    def look_at(self, name: str, scratch: Path | None = None) -> None:
        """Do nothing: a branch is read where it is, as it is whenever it is asked."""

    def where(self, name: str) -> str:
        return self.branches.get(name, self.workdir)

    def copy(self, scratch: Path) -> None:
        self.workdir = str(scratch / "branch")
        self.vcs.run("branch", "-q", "--", self.tree, self.workdir)

    def _do(self, step: str, *argv: str, ok: Collection[int] = (0,)) -> None:
        self.vcs.run(*argv, cwd=self.workdir, committer=self.committer, ok=ok)
        self.steps.append(step)

    def clear(self) -> None:
        """Revert changes that are not committed, by update and revert."""
        self._do("update", "update", "-q", ok=(0, 1))  # 1: local changes conflict, and are reverted next
        self._do("revert", "revert", "-q")

    def advance(self) -> list[FileConflict]:
        """Pull, and return no conflict: files that are in the way are moved aside."""
        self._do("pull", "pull", "-q", self.push_to)
        return []

    def merge(self, name: str, revid: str, step: str) -> None:
        span = ["-r", "revid:" + revid] if name == "source" else []
        self._do(step, "merge", "-q", *span, self.branches[name])

    def undo(self, entry: LogEntry, step: str) -> None:
        """Merge a mainline revision backwards."""
        self._do(step, "merge", "-q", "-r", f"revid:{entry['revid']}..revid:{entry['parents'][0]}", ".")

    def conflicts(self) -> list[FileConflict]:
        """Return the conflicts in brz's own lines, each with the file that it is about."""
        found: list[FileConflict] = []
        for line in self.vcs.run("conflicts", "-d", self.workdir).splitlines():
            match = next((match for match in (pattern.match(line) for pattern in CONFLICTS) if match), None)
            found.append({"path": match.group("path") if match else line, "conflict": line})
        return found

    def commit(self, message: str) -> None:
        self._do("commit", "commit", "-q", "-m", message)

    def push(self) -> None:
        self._do("push", "push", "-q", "--no-remember", self.push_to)

    def drop(self, revid: str) -> None:
        """Uncommit down to a revision; the files stay as they were committed."""
        self._do("uncommit", "uncommit", "--force", "-q", "-r", "revid:" + revid)

    def put_back(self, before: set[str]) -> None:
        """Leave no conflict, no pending merge, and exactly the paths of `before`.

        A merge moves unversioned files that are in its way to NAME.moved, and `revert` leaves them there.
        """
        self.vcs.run("revert", "--no-backup", "-q", cwd=self.workdir)
        root, now = Path(self.workdir), self.listing()
        lost = before - now
        moved = {path: MOVED_ASIDE.sub("", path) for path in now - before if MOVED_ASIDE.search(path)}
        for path in lost:
            (root / path if path.endswith("/") else (root / path).parent).mkdir(parents=True, exist_ok=True)
        for path, home in sorted(moved.items(), reverse=True):  # what a directory holds sorts behind it
            if home in lost and not home.endswith("/"):
                (root / path).replace(root / home)
            elif home.endswith("/") and not any((root / path).iterdir()):
                (root / path).rmdir()

    # -- what to type

    def _quoted(self) -> tuple[str, str]:
        return shlex.quote(self.vcs.executable), shlex.quote(self.push_to)

    def commands(self) -> dict[str, str]:
        (brz, push_to), tree = self._quoted(), shlex.quote(self.tree)
        return {
            "make_tree": f"{brz} branch {push_to} {tree}",
            "see_own": f"{brz} missing --mine-only -d {tree} {push_to}",
            "drop_own": f"{brz} pull --overwrite -d {tree} {push_to}",
            "look_there": f"{brz} info {push_to}   (a lock that was left behind:  {brz} break-lock {push_to})",
            "see_tip": f"{brz} log --show-ids -l 3 {push_to}",
            "start_fix": f"{brz} branch {push_to} fix && cd fix",
        }

    def recipe(self, what: str, revision: int, _revid: str) -> dict[str, str]:
        (brz, push_to), source = self._quoted(), shlex.quote(self.branches["source"])
        return {
            "reproduce": f"{brz} branch {push_to} fix && cd fix && {brz} merge -r {revision} {source}",
            "share": f"{brz} commit -m {shlex.quote(f'Resolve {what}.')} && {brz} push BRANCH",
        }

    def undo_recipe(self, entry: LogEntry) -> dict[str, str]:
        (brz, push_to), number = self._quoted(), entry["revno"]
        return {"reproduce": f"{brz} branch {push_to} fix && cd fix && {brz} merge -r {number}..{number - 1} ."}

    def try_it(self, name: str) -> str:
        return f"{self._quoted()[0]} revision-info -d {shlex.quote(self.where(name))}"

    def see(self, name: str, entry: LogEntry) -> str:
        return f"{self._quoted()[0]} log -n0 -r {entry['revno']} {shlex.quote(self.branches[name])}"

    def see_later(self, entry: LogEntry) -> str:
        return "{} log -v -r {}.. {}".format(self._quoted()[0], entry["revno"] + 1, self._quoted()[1])
