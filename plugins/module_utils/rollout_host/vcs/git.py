"""Git branches through the command line client.

A branch is named LOCATION or LOCATION#BRANCH; without a branch it is the one that HEAD names there. LOCATION is the
path of a repository on this host (with a working tree or bare), which is read where it is, or a URL (ssh://, file://,
git://, https://, or HOST:PATH). A URL is fetched into a bare copy in a temporary directory, which the process keeps and
brings up to date at each question. After "#" may also stand the full name of a reference, "refs/…".

The mainline is the line of first parents; a revision's id is the full hash.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Collection, Iterator, Mapping, Sequence

from . import git_client
from .base import (
    TIP,
    FileChange,
    LogEntry,
    Manifest,
    MissingRevisionError,
    Named,
    NotABranchError,
    Numbered,
    Vcs,
    VcsError,
)
from .git_tree import GitTree

NOTHING_THERE = re.compile(r"does not appear to be a git repository|couldn't find remote ref|not found|does not exist")
LAST = 253402300799  # the last second that has a date; a commit may say any
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
FORMAT = "%H%x00%P%x00%cn <%ce>%x00%ct%x00%B"
CHANGES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "kind changed"}
REVISION, LINK, EXECUTABLE = "^{commit}", "120000", "100755"


class Git(Vcs):
    """Reads git branches."""

    name, title, clients = "git", "git", ("git",)
    urls = re.compile(r"git(\+\w+)?:|[\w.+-]+@[\w.-]+:|https?://[\w.-]*\bgit\b|[^#]*\.git/?(#|$)")

    def __init__(self, executable: str | None = None) -> None:
        """Take the client's name or path."""
        super().__init__(executable)
        self._copies: dict[str, str] = {}  # LOCATION -> bare repository in a temporary directory

    def run(self, argv: Collection[object], cwd: str | Path | None, **how: Any) -> str:
        """Run the client and return what it printed, as text; otherwise as run_bytes."""
        return self.run_bytes(argv, cwd, **how).decode("utf-8", "replace")

    def run_bytes(
        self,
        argv: Collection[object],
        cwd: str | Path | None,
        committer: str | None = None,
        ok: Collection[int] = (0,),
    ) -> bytes:
        """Run the client and return what it printed, as bytes. Raises VcsError on an exit code not in `ok`."""
        return git_client.run(self.executable, argv, cwd, committer, ok)

    @staticmethod
    def is_at(path: Path) -> bool:
        return (path / ".git").exists() or ((path / "objects").is_dir() and (path / "HEAD").is_file())

    def at(self, branch: str) -> tuple[str, str]:
        """Return (repository on this host, hash of the tip) of a branch.

        Raises NotABranchError, and VcsError for a shallow clone: what it says of numbers and of what contains what
        would be wrong.
        """
        location, reference = git_client.split(branch)
        if git_client.is_url(location):
            repository, reference = self._fetched(location, reference), "FETCH_HEAD"
        elif self.is_at(Path(location)):
            repository = location
        else:
            raise NotABranchError(["open", branch], 128, f"There is no branch at {branch}")
        found = self.run(["rev-parse", "-q", "--verify", reference + REVISION], repository, ok=(0, 1, 128))
        if not found:
            raise NotABranchError(["open", branch], 128, f"There is no branch at {branch}")
        if self.run(["rev-parse", "--is-shallow-repository"], repository).strip() == "true":
            said = (
                f"{location} is a shallow clone: its history is cut off, so nobody can tell the numbers of revisions. "
                f"Get the rest of it, in that repository:  git fetch --unshallow"
            )
            raise VcsError(["open", branch], 128, said)
        return repository, found.strip()

    def _fetched(self, location: str, reference: str) -> str:
        """Return the bare copy of a URL's repository, with FETCH_HEAD at the branch's present tip."""
        if location not in self._copies:
            copy = tempfile.mkdtemp(prefix="rollout-git-")
            atexit.register(shutil.rmtree, copy, ignore_errors=True)
            self.run(["init", "-q", "--bare", "."], copy)
            self._copies[location] = copy
        keep = f"+{reference}:refs/copied/{reference}"
        try:
            # A shallow one is fetched as it is: `at` says so. Without the option git leaves it out, and exits 0.
            self.run([*git_client.transfer("fetch", location, "--update-shallow"), keep], self._copies[location])
        except VcsError as error:
            if NOTHING_THERE.search(error.stderr):
                said = f"There is no branch at {location}: {error.stderr}"
                raise NotABranchError(error.command, 128, said) from error
            raise
        return self._copies[location]

    # -- which revision

    def _yes(self, argv: Sequence[str], repository: str) -> bool:
        """Return True if a command's exit code says yes (0), False for no (1). Raises VcsError for any other."""
        try:
            self.run(argv, repository)
        except VcsError as error:
            if error.exit_code == 1:
                return False
            raise
        return True

    def _count(self, repository: str, tip: str) -> int:
        return int(self.run(["rev-list", "--first-parent", "--count", tip], repository))

    def _hash(self, branch: str, repository: str, tip: str, revision: Named) -> str:
        """Return the hash of a revision on the branch. Raises MissingRevisionError."""
        if revision == TIP:
            return tip
        if isinstance(revision, int):
            below = self._count(repository, tip) - revision
            if revision > 0 and below >= 0:
                return self.run(["rev-list", "--first-parent", "-1", f"--skip={below}", tip], repository).strip()
        elif HASH.fullmatch(revision):
            try:
                if self._yes(["merge-base", "--is-ancestor", revision, tip], repository):
                    return revision
            except VcsError as error:
                if error.exit_code != 128:  # not even in the repository
                    raise
        argv = [self.executable, "rev-parse", str(revision)]
        raise MissingRevisionError(argv, 128, f"{branch} has no revision {revision}")

    def _number(self, repository: str, tip: str, revid: str) -> int | None:
        """Return the number of a revision that the tip contains; None if it is not on the mainline."""
        if revid == tip:
            return self._count(repository, tip)
        above = self.run(["rev-list", "--first-parent", tip, "^" + revid], repository).split()
        # The line goes through it if the revision below the last one above it is it.
        below = self.run(["rev-parse", "-q", "--verify", above[-1] + "^1"], repository, ok=(0, 1)).strip()
        return self._count(repository, revid) if below == revid else None

    def revision_info(self, branch: str, revision: Named = TIP) -> Numbered:
        repository, tip = self.at(branch)
        found = self._hash(branch, repository, tip, revision)
        return self._number(repository, tip, found), found

    def bringing(self, branch: str, revid: str) -> LogEntry | None:
        repository, tip = self.at(branch)
        try:
            wanted = self._hash(branch, repository, tip, revid)
        except MissingRevisionError:
            return None
        line = self.run(["rev-list", "--first-parent", "--reverse", tip], repository).split()
        low, high = 0, len(line) - 1  # what one contains, all above it contain
        if wanted in line:
            low = high = line.index(wanted)
        while low < high:
            middle = (low + high) // 2
            contained = self._yes(["merge-base", "--is-ancestor", wanted, line[middle]], repository)
            low, high = (low, middle) if contained else (middle + 1, high)
        return self._entries(repository, low + 1, "-1", line[low])[0]

    # -- what it holds

    def _span(self, branch: str, repository: str, tip: str, ends: Sequence[Named | None]) -> list[str]:
        """Return rev-list's arguments for a part of the mainline: the hash of its last revision, and where to end."""
        first, last = ends
        end = self._hash(branch, repository, tip, TIP if last is None else last)
        if first is None:
            return [end]
        start = self._hash(branch, repository, tip, first)
        return [end, *(f"^{parent}" for parent in self._parents(repository, start)[:1])]

    def _parents(self, repository: str, revid: str) -> list[str]:
        return self.run(["rev-list", "-1", "--parents", revid], repository).split()[1:]

    def log(self, branch: str, first: Named | None = None, last: Named | None = None) -> list[LogEntry]:
        repository, tip = self.at(branch)
        span = self._span(branch, repository, tip, (first, last))
        number = self._number(repository, tip, span[0])
        if number is None:  # it was merged: no line of first parents leads to it
            raise MissingRevisionError(
                [self.executable, "log", *span], 128, f"{branch} has no revision {last} of its own"
            )
        return self._entries(repository, number, *span)

    def _entries(self, repository: str, number: int, *argv: str) -> list[LogEntry]:
        """Return the entries that `git log` prints; `number` is that of the last."""
        log = ["log", "-z", "--first-parent", "--encoding=UTF-8", "--format=" + FORMAT, *argv, "--"]
        fields = self.run(log, repository).split("\0")[:-1]
        found: list[LogEntry] = []
        for below, place in enumerate(range(0, len(fields), 5)):
            revid, parents, committer, seconds, message = fields[place : place + 5]
            found.append(
                {
                    "revno": number - below,
                    "revid": revid,
                    "parents": parents.split(),
                    "committer": committer,
                    "date": datetime.fromtimestamp(min(int(seconds), LAST), timezone.utc).isoformat(),
                    "message": message.strip(),
                }
            )
        return found[::-1]

    def changed_in(self, branch: str, first: int, last: int, directory: str) -> list[int]:
        repository, tip = self.at(branch)
        line = ["rev-list", "--first-parent", "--reverse", *self._span(branch, repository, tip, (first, last))]
        changed = set(self.run([*line, "--", directory], repository).split())
        return [first + place for place, each in enumerate(self.run(line, repository).split()) if each in changed]

    def changes(self, branch: str, revision: int) -> list[FileChange]:
        """Return what a revision changed; directories are not named."""
        repository, tip = self.at(branch)
        revid = self._hash(branch, repository, tip, revision)
        parent = self._parents(repository, revid)[:1]
        ends = [*parent, revid] if parent else ["--root", "--no-commit-id", revid]
        printed = self.run(["diff-tree", "-r", "-z", "-M", "--name-status", *ends], repository)
        words = iter(printed.split("\0")[:-1])
        found: list[FileChange] = []
        for status in words:
            path = next(words)
            if status[0] == "R":
                path = f"{path} => {next(words)}"
            found.append({"change": CHANGES[status[0]], "path": path})
        return sorted(found, key=lambda entry: entry["path"])

    def export(self, branch: str, directory: str, revision: Named, target: Path) -> None:
        """Write a directory as of a revision into `target`, whatever attributes say."""
        repository, tip = self.at(branch)
        inside = Path(directory.strip("/"))
        target.mkdir(parents=True)
        for name, entry in self.files(repository, self._hash(branch, repository, tip, revision)):
            mode, kind, blob = entry.split()
            if kind == "blob" and inside in (Path(), *Path(name).parents):
                path = target / Path(name).relative_to(inside)
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, mode, self.run_bytes(["cat-file", "blob", blob], repository))

    def files(self, repository: str, revid: str) -> Iterator[tuple[str, str]]:
        """Yield (path, "MODE KIND HASH") of everything in a revision."""
        printed = self.run_bytes(["ls-tree", "-r", "-z", "--full-tree", revid], repository)
        for line in printed.split(b"\0")[:-1]:
            entry, _, name = line.partition(b"\t")
            yield os.fsdecode(name), entry.decode()

    def manifest(self, branch: str, revid: str) -> Manifest:
        """Return {path: mode, kind and hash}."""
        return dict(self.files(self.at(branch)[0], revid))

    def cat(self, branch: str, revid: str, path: str) -> bytes:
        return self.run_bytes(["cat-file", "blob", f"{revid}:{path}"], self.at(branch)[0])

    def working_tree(self, params: Mapping[str, Any]) -> GitTree:
        return GitTree(self, params)


def _write(path: Path, mode: str, content: bytes) -> None:
    if mode == LINK:
        path.symlink_to(os.fsdecode(content))
    else:
        path.write_bytes(content)
        path.chmod(0o755 if mode == EXECUTABLE else 0o644)
