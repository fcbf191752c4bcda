"""Trees of git: a checkout for each revision, all of which borrow their objects from one store on the host.

The store is a bare repository, `.store.git` beside the trees. A checkout has the bytes that were committed, whatever
attributes say, and can be renamed and removed like any directory. A revision that git would not bring whole is refused:
one with submodules, or with files that a filter such as Git LFS keeps elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..vcs import git_client, git_locks
from ..vcs.base import FileChange, MissingRevisionError, Numbered, VcsError
from ..vcs.git import HASH, Git
from . import content
from .base import AppTree, FoundTree, TreeError, unreadable

STORE = ".store.git"
BROUGHT, KEPT = "refs/rollout/brought", "refs/rollout/trees/"
AS_COMMITTED = "* -text -eol -ident -filter -working-tree-encoding\n"
SUBMODULE, MISSING, SHORT_DIGEST = "160000", 128, 40
LOCKS = 20  # that one command may find, one after the other
# What a checkout may have been configured to that would make it another one.
WHOLE = ["-c", "core.sparseCheckout=false", "-c", "core.fileMode=true", "-c", "core.symlinks=true"]
NOT_WHOLE = """\
E-tree-not-whole  {revid} cannot be brought by git alone: {what}.
  Deliver that service from an archive (kind: archive) which has them."""


class GitCheckout(AppTree):
    """A directory with a repository of its own, whose HEAD is the revision, on no branch."""

    kind, title, clients = Git.name, Git.title, Git.clients

    def __init__(self, path: Path, executable: str | None = None) -> None:
        """Take the tree's path and the client."""
        super().__init__(path, executable)
        self.git = Git(executable)

    @staticmethod
    def is_at(path: Path) -> bool:
        return (path / ".git").is_dir()

    def _run(self, repository: Path, *argv: object) -> bytes:
        """Run git in a repository; return its output. A lock that a killed git left there is removed first."""
        for _ in range(LOCKS):
            try:
                return self.git.run_bytes([*WHOLE, *argv], repository)
            except VcsError as error:
                inside = [each.resolve() for each in (repository / ".git", repository) if each.is_dir()]
                git_locks.clear(error, str(repository), inside[:1])
        return self.git.run_bytes([*WHOLE, *argv], repository)

    def _line(self, repository: Path, *argv: object) -> str:
        return self._run(repository, *argv).decode().strip()

    # -- the tree that is there

    def revision(self) -> Numbered:
        try:
            revid = self._line(self.path, "rev-parse", "-q", "--verify", "HEAD^{commit}")
        except VcsError as error:
            raise unreadable(self.path, f"it has no revision that git can read. {error.stderr}".strip()) from error
        return int(self._line(self.path, "rev-list", "--first-parent", "--count", "HEAD")), revid

    def changed(self) -> list[FileChange]:
        entries = self._entries(self.path, "HEAD")
        digest = _digest(max((len(entry[1]) for entry in entries.values()), default=SHORT_DIGEST))
        found = content.differences(self.path, entries, digest)
        staged = _names(self._run(self.path, "ls-files", "-z")) - set(entries)
        found += [{"change": "added", "path": path} for path in staged]
        return sorted(found, key=lambda change: change["path"])

    def unknown(self) -> list[str]:
        others = ["ls-files", "-z", "--others", "--exclude-standard", "--directory", "--no-empty-directory"]
        return sorted(_names(self._run(self.path, *others)))

    def committed(self, path: str, revid: str | None = None) -> bytes | None:
        name = f"{revid or 'HEAD'}:{path}"
        try:
            if self._line(self.path, "cat-file", "-t", name) != "blob":
                return None
        except VcsError as error:
            if error.exit_code == MISSING:
                return None
            raise
        return self._run(self.path, "cat-file", "blob", name)

    def holds(self, revid: str) -> None:
        if not HASH.fullmatch(revid):
            raise unreadable(self.path, f"{revid} is no full hash of git")
        self._run(self.path, "cat-file", "-e", revid + "^{commit}")

    def _entries(self, repository: Path, revid: str) -> dict[str, content.Entry]:
        """Return mode and digest of every file of a revision."""
        found = self.git.files(str(repository), revid)
        return {path: (entry.split()[0], entry.split()[2]) for path, entry in found}

    # -- the revision that is wanted

    def wanted(self, scratch: Path | None) -> Numbered:
        """Return the revision, after the branch has been fetched unless the tree is at it."""
        branch, asked = self.source.branch, self.source.revid or self.source.revno or 0
        if self.is_at(self.path) and self._line(self.path, "rev-parse", "HEAD") == asked:
            return self.revision()
        into = self._store(scratch)
        location, reference = git_client.split(branch)
        self._run(into, *git_client.transfer("fetch", location, "--no-tags"), f"+{reference}:{BROUGHT}")
        fetched = f"{into}#{BROUGHT}"
        try:
            found = self.git.revision_info(fetched, asked)
        except MissingRevisionError:
            see = f"{self.git.executable} ls-remote {location} {reference}"
            self.refuse(self.git.revision_info(fetched)[1], see)
        self._check_whole(into, found[1])
        return found

    def _store(self, scratch: Path | None) -> Path:
        """Return the repository to fetch into; with `scratch`, one in there that borrows from it."""
        store = (self.source.store or self.path.parent) / STORE
        if scratch:
            return self._new(scratch / "repository", store, "--bare")
        if not (store / "HEAD").exists():
            store.mkdir(parents=True, exist_ok=True)
            self._run(store, "init", "-q", "--bare", "--template=", ".")
        return store

    def _new(self, repository: Path, store: Path, *options: str) -> Path:
        """Make a repository that borrows the objects of the store."""
        repository.mkdir()
        self._run(repository, "init", "-q", "--template=", *options, ".")
        if (store / "objects").is_dir():
            directory = repository if options else repository / ".git"
            _borrow(directory, store)
        return repository

    def _check_whole(self, repository: Path, revid: str) -> None:
        """Raise TreeError for a revision of which git alone would bring only a part."""
        entries = self._entries(repository, revid)
        modules = [path for path, entry in entries.items() if entry[0] == SUBMODULE]
        if modules:
            raise TreeError(NOT_WHOLE.format(revid=revid, what=f"{', '.join(modules[:3])} is a submodule"))
        for path, entry in entries.items():
            if path.rpartition("/")[2] == ".gitattributes" and entry[0] != SUBMODULE:
                lines = self._run(repository, "cat-file", "blob", entry[1]).decode("utf-8", "replace").splitlines()
                filtered = [line for line in lines if " filter=" in line.replace("\t", " ") and line.lstrip()[0] != "#"]
                if filtered:
                    what = f"{path} has {filtered[0].strip()!r}: such files are not in the repository as they should be"
                    raise TreeError(NOT_WHOLE.format(revid=revid, what=what))

    # -- deeds

    def make(self, part: Path, revid: str) -> None:
        self._new(part, self._keep(revid))
        self._check_out(part, revid)

    def _keep(self, revid: str) -> Path:
        """Return the store, in which nobody's `git gc` takes the revision from now on."""
        store = self._store(None)
        self._run(store, "update-ref", KEPT + revid, revid)
        return store

    def refresh(self, revid: str, found: FoundTree, *, clean: bool) -> None:
        _borrow(self.path / ".git", self._keep(revid))
        if not clean:
            comes = set(self._entries(self.path, revid))
            in_the_way = comes - _names(self._run(self.path, "ls-files", "-z"))
            for path in {each["path"] for each in found["reverted"]} | in_the_way:
                self.keep_copy(path)
        if found["reverted"]:
            self._run(self.path, "read-tree", "HEAD")  # forgets what files were like, so that each is written anew
        self._check_out(self.path, revid)
        if clean:
            self._run(self.path, "clean", "-ffdq")

    def _check_out(self, tree: Path, revid: str) -> None:
        """Make index and files those of the revision, then HEAD: only that says it is there."""
        (tree / ".git" / "info").mkdir(exist_ok=True)
        (tree / ".git" / "info" / "attributes").write_text(AS_COMMITTED, encoding="utf-8")
        self._run(tree, "read-tree", "--reset", "-u", revid)
        self._run(tree, "update-ref", "--no-deref", "HEAD", revid)


def _borrow(repository: Path, store: Path) -> None:
    """Let a repository use the objects of the store too."""
    place, line = repository / "objects" / "info" / "alternates", str((store / "objects").resolve())
    known = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
    if line not in known:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(each + "\n" for each in [*known, line]), encoding="utf-8")


def _names(printed: bytes) -> set[str]:
    return {os.fsdecode(name) for name in printed.split(b"\0")[:-1]}


def _digest(length: int) -> content.Digest:
    """Return the function that gives git's digest, of so many characters, of a file's content."""
    kind = "sha256" if length > SHORT_DIGEST else "sha1"
    return lambda data: hashlib.new(kind, b"blob %d\0" % len(data) + data).hexdigest()
