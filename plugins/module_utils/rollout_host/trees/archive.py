"""Trees of an archive that the site has packed: brought by path or URL, known by its SHA-256, unpacked beside.

A tree keeps its archive and what it is in `.rollout/`, so that it can tell later, with nobody's help, whether its files
are those of the archive.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, Iterator

from ansible.module_utils.urls import ConnectionError as AnsibleConnectionError
from ansible.module_utils.urls import open_url

from .. import whole_file
from ..vcs.base import FileChange, Numbered, VcsError
from . import content, unpack
from .base import AppTree, FoundTree, TreeError, unreadable

OURS, ARCHIVE, RECORD = unpack.OURS, "archive", "tree.json"
URL, WEB = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://"), ("https://", "http://")
SECRET = re.compile(r"[A-Za-z]+://[^/]*@")
SHA256 = re.compile(r"[0-9a-f]{64}")
COMPILED = re.compile(r"(^|/)(__pycache__/|[^/]*\.pyc$)")  # Python makes them in any tree that it is started in
FULL = (errno.ENOSPC, errno.EDQUOT)
BLOCK, PATIENCE = 1 << 20, 60  # bytes, and seconds without a byte
UNREACHABLE = """\
E-archive-unreachable  {archive} cannot be read from this host: {why}. {path} is as it was.
  Try it there:  {try_it}"""
WRONG_SUM = """\
E-archive-checksum  {archive} is not the one that was asked for. {path} is as it was.
  its SHA-256  {found}
  expected     {wanted}"""
NOT_UNPACKED = """\
E-archive-refused  {archive} was not unpacked: {why}. {path} is as it was.
  Pack it again (tar with gz, bz2 or xz; zip), then:  ./runbook.py run"""
NO_ROOM = "it unpacks to {size} MB, and the disk has {free} MB free"


class UnpackedArchive(AppTree):
    """A directory with the files of an archive."""

    kind, title, clients = "archive", "archive", ()

    @staticmethod
    def is_at(path: Path) -> bool:
        return (path / OURS / ARCHIVE).is_file()

    def _record(self) -> dict[str, object]:
        """Return what the tree is: revno, revid, sha256 and strip."""
        try:
            found = whole_file.read_object(self.path / OURS / RECORD)
        except (OSError, ValueError) as error:
            raise unreadable(self.path, f"it was not brought whole: {error}") from error
        if not {"revno", "revid", "sha256", "strip"} <= set(found):
            raise unreadable(self.path, f"{OURS}/{RECORD} does not say what it is")
        return found

    def revision(self) -> Numbered:
        found = self._record()
        number = found["revno"]
        return number if isinstance(number, int) else None, str(found["revid"])

    def look(self, *, clean: bool) -> FoundTree:
        """Return what is there; a tree that was not brought whole is at no revision."""
        try:
            return super().look(clean=clean)
        except VcsError:
            return {"tree": (None, ""), "reverted": [], "removed": []}

    def _members(self) -> Iterator[unpack.Member]:
        """Yield what its archive holds; it must still be the one that was brought."""
        record, archive = self._record(), self.path / OURS / ARCHIVE
        if sum_of(archive) != record["sha256"]:
            raise unreadable(archive, f"its SHA-256 is not {record['sha256']} any more")
        try:
            yield from unpack.members(archive, int(str(record["strip"])))
        except unpack.ArchiveError as error:
            raise unreadable(archive, str(error)) from error

    def _manifest(self) -> tuple[dict[str, content.Entry], frozenset[str]]:
        """Return mode and digest of each file, and the directories."""
        files, directories = {}, set()
        for member in self._members():
            if member.data is None:
                directories.add(member.path)
            else:
                files[member.path] = (member.mode, _digest(member.data))
        return files, frozenset(directories)

    def changed(self) -> list[FileChange]:
        return content.differences(self.path, self._manifest()[0], _digest)

    def unknown(self) -> list[str]:
        """Return the paths that the archive does not have; what Python compiles is ignored."""
        files, directories = self._manifest()
        known = directories | {OURS, f"{OURS}/{ARCHIVE}", f"{OURS}/{RECORD}"}
        return sorted(
            path for path in content.beyond(self.path, files, known) if path not in known and not COMPILED.search(path)
        )

    def committed(self, path: str, revid: str | None = None) -> bytes | None:
        if revid:
            self.holds(revid)
        members = self._members()
        return next((each.data for each in members if each.path == path and each.mode != content.LINK), None)

    def holds(self, revid: str) -> None:
        if self.revision()[1] != revid:
            raise unreadable(self.path, f"an archive knows one revision, and this is {self.revision()[1]}")

    # -- the revision that is wanted

    def wanted(self, _scratch: Path | None) -> Numbered:
        """Return the revision as it was named: an archive is known by its sum."""
        return self.source.revno, str(self.source.revid)

    def is_whole(self, found: FoundTree, wanted: Numbered) -> bool:
        """Return True if the tree is that revision, from the archive with that sum."""
        record = self._record() if (self.path / OURS / RECORD).exists() else {}
        summed = self.source.sha256 or record.get("sha256")  # a command's delivery has none that was given
        given = (summed, self.source.strip)
        return found["tree"][1] == wanted[1] and (record.get("sha256"), record.get("strip")) == given

    # -- deeds

    def make(self, part: Path, revid: str) -> None:
        part.mkdir()
        self._write_record(part, revid, self._fill(part, revid))

    def refresh(self, revid: str, found: FoundTree, *, clean: bool) -> None:
        """Unpack beside, then put each file in its place; the record comes last."""
        fresh = self.path.with_name(f".{self.path.name}.part")
        if fresh.exists():
            shutil.rmtree(str(fresh))
        try:
            fresh.mkdir()
            summed = self._fill(fresh, revid)
            self._replace(fresh / OURS / ARCHIVE, found, clean=clean)
            self._write_record(self.path, revid, summed)
            for path in self.unknown() if clean else ():
                _remove(self.path, path.rstrip("/"))
        finally:
            shutil.rmtree(str(fresh), ignore_errors=True)

    def _fill(self, tree: Path, _revid: str) -> str:
        """Bring the archive into an empty directory, and unpack it; return its SHA-256."""
        (tree / OURS).mkdir()
        self._bring(tree / OURS / ARCHIVE)
        self._unpack(tree / OURS / ARCHIVE, tree, self.source.archive)
        return self.source.sha256

    def _replace(self, archive: Path, found: FoundTree, *, clean: bool) -> None:
        """Make the tree's files those of an archive that was unpacked once already."""
        try:
            before = set(self._manifest()[0])
        except VcsError:  # it was not brought whole
            before = set()
        reverted = {each["path"] for each in found["reverted"]}
        with suppress(FileNotFoundError):
            (self.path / OURS / RECORD).unlink()  # from here on it is not whole
        now = set()
        for member in unpack.members(archive, self.source.strip):
            now.add(member.path)
            if not clean and (member.path in reverted or member.path not in before):
                self.keep_copy(member.path)
            _clear_parents(self.path, member.path)
            unpack.write(self.path, member)
        for path in sorted(before - now, reverse=True):
            if not clean and path in reverted:
                self.keep_copy(path)
            _remove(self.path, path)
        archive.replace(self.path / OURS / ARCHIVE)

    def _write_record(self, tree: Path, revid: str, summed: str) -> None:
        known = {"revno": self.source.revno, "revid": revid, "sha256": summed, "strip": self.source.strip}
        new = tree / OURS / f".{RECORD}.new"
        new.write_text(json.dumps(known) + "\n", encoding="utf-8")
        new.replace(tree / OURS / RECORD)

    def _refuse(self, text: str, **words: object) -> TreeError:
        """Return the error with one of the texts above filled in."""
        return TreeError(text.format(archive=self.source.archive, path=self.path, **words))

    def _bring(self, target: Path) -> None:
        """Copy the archive to a file of this host. Raises TreeError unless its sum is the given one."""
        summed = hashlib.sha256()
        try:
            with self._open() as stream, target.open("wb") as file:
                for block in iter(lambda: stream.read(BLOCK), b""):
                    summed.update(block)
                    file.write(block)
        except (OSError, HTTPException, AnsibleConnectionError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            remote = self.source.archive.startswith(WEB)
            try_it = f"curl -fLO {self.source.archive}" if remote else f"ls -l {self.source.archive}"
            raise self._refuse(UNREACHABLE, why=str(error), try_it=try_it) from error
        if summed.hexdigest() != self.source.sha256:
            raise self._refuse(WRONG_SUM, found=summed.hexdigest(), wanted=self.source.sha256)

    def _open(self) -> IO[bytes]:
        archive = self.source.archive
        if archive.startswith(WEB):
            stream: IO[bytes] = open_url(archive, timeout=PATIENCE)  # certificates are checked; ~/.netrc counts
            return stream
        return Path(archive[len("file://") :] if archive.startswith("file://") else archive).expanduser().open("rb")

    def _unpack(self, archive: Path, target: Path, named: str) -> None:
        """Unpack an archive, called `named` in messages. Raises TreeError if it must not be unpacked."""
        try:
            size = sum(member.size for member in unpack.members(archive, self.source.strip))
            free = shutil.disk_usage(str(target)).free
            if size >= free:
                raise unpack.ArchiveError(NO_ROOM.format(size=size // 10**6, free=free // 10**6))
            unpack.unpack(archive, target, self.source.strip)
        except unpack.ArchiveError as error:
            raise TreeError(NOT_UNPACKED.format(archive=named, path=self.path, why=error)) from error


def problem(archive: str, sha256: str) -> str | None:
    """Return what is wrong with the two options, for a message; None if nothing is."""
    if not archive or archive.startswith("-"):
        return f"archive is {archive!r}; a path or URL was expected"
    if SECRET.match(archive):
        return "archive has a name or password in it; ~/.netrc of the host is the place for them"
    if URL.match(archive) and not archive.startswith((*WEB, "file://")):
        return f"archive is {archive!r}; https, http, file or a path was expected"
    if not SHA256.fullmatch(sha256):
        return f"sha256 is {sha256!r}; 64 hexadecimal digits (lower case) were expected"
    return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    summed = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(BLOCK), b""):
            summed.update(block)
    return summed.hexdigest()


def _clear_parents(root: Path, path: str) -> None:
    """Remove a file or link that stands where a member needs a directory."""
    for parent in reversed(Path(path).parents):
        if parent.parts and os.path.lexists(str(root / parent)):
            place = root / parent
            if place.is_symlink() or not place.is_dir():
                place.unlink()


def _remove(root: Path, path: str) -> None:
    """Remove a file, link or directory of the tree, and the directories that are empty then."""
    place = root / path
    if any((root / parent).is_symlink() for parent in Path(path).parents):
        return  # it is no more where the tree had it
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(str(place))
    elif os.path.lexists(str(place)):
        place.unlink()
    for parent in Path(path).parents:
        if not parent.parts:
            break
        with suppress(OSError):
            (root / parent).rmdir()
