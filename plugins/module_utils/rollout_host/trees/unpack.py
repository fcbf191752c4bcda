"""Unpacks an archive (tar, or zip: a wheel is one) into a new directory, and nothing outside of it.

Only plain files, directories and links that stay inside are taken. Owners are ignored: the files are the user's who
unpacks, with mode 755 if they were executable, otherwise 644.
"""

from __future__ import annotations

import lzma
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Iterator, NamedTuple

from . import content

UNREADABLE = (  # what the libraries raise for archives that are none, not whole, encrypted …
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError,
    ValueError, KeyError,
)  # fmt: skip
DIRECTORY, OURS = "040000", ".rollout"
LINK_LENGTH = 4096  # bytes of a link's target


class ArchiveError(Exception):
    """An error: the archive cannot be read, or holds what must not be unpacked; the text says which member."""


class Member(NamedTuple):
    """One member: its path, its mode as git writes it, and its content (a link's target), None for a directory."""

    path: str
    mode: str
    size: int
    data: bytes | None


def members(archive: Path, strip: int) -> Iterator[Member]:
    """Yield the members, without `strip` leading directories. Raises ArchiveError at one that must not be unpacked."""
    seen: dict[str, str] = {}
    try:
        for found in _raw(archive):
            path = _inside(found.path, strip)
            if path is None:
                continue
            member = found._replace(path=path)
            _check(member, seen)
            seen[path] = member.mode
            yield member
    except (*UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of the archive
            raise
        raise ArchiveError(f"it is no whole tar or zip archive: {error or type(error).__name__}") from error
    if not seen:
        raise ArchiveError(f"nothing is in it{f' below {strip} leading directories' if strip else ''}")


def unpack(archive: Path, target: Path, strip: int) -> None:
    """Write the members under `target`, an empty directory. Raises ArchiveError; then `target` is to be removed."""
    for member in members(archive, strip):
        write(target, member)
    for folder, folders, names in os.walk(str(target)):
        for link in (Path(folder) / name for name in folders + names):
            # By what is there now: "a/up/.." may lead further than it looks.
            if link.is_symlink() and target.resolve() not in (link.resolve(), *link.resolve().parents):
                raise ArchiveError(f"{link.relative_to(target)} is a link that leads out of the tree")


def write(target: Path, member: Member) -> None:
    """Write one member under `target`, by a rename if something is there."""
    place = target / member.path
    if member.data is None:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    if os.path.lexists(str(new)):
        new.unlink()
    if member.mode == content.LINK:
        new.symlink_to(os.fsdecode(member.data))
    else:
        new.write_bytes(member.data)
        new.chmod(0o755 if member.mode == content.EXECUTABLE else 0o644)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(str(place))
    new.replace(place)


def _inside(name: str, strip: int) -> str | None:
    """Return the path of a member in the tree; None for the root and what lies above it. Raises ArchiveError."""
    if name.startswith("/") or "\0" in name or ".." in name.split("/"):
        raise ArchiveError(f"{name!r} in it leads out of the tree")
    path = posixpath.normpath(name)
    parts = [] if path == "." else path.split("/")
    if parts[strip:] and parts[strip] == OURS:
        raise ArchiveError(f"{name!r} is in it, and {OURS} is where the tree keeps its archive")
    return "/".join(parts[strip:]) or None


def _check(member: Member, seen: dict[str, str]) -> None:
    """Raise ArchiveError for a member that comes twice, lies behind a link or a file, or is a link to outside."""
    before = seen.get(member.path)
    if before is not None and not before == member.mode == DIRECTORY:
        raise ArchiveError(f"{member.path} is in it twice")
    parent = posixpath.dirname(member.path)
    while parent:
        if seen.get(parent, DIRECTORY) != DIRECTORY:
            raise ArchiveError(f"{member.path} lies behind {parent}, which is no directory")
        parent = posixpath.dirname(parent)
    if member.mode == content.LINK:
        target = os.fsdecode(member.data or b"")
        leads = posixpath.normpath(posixpath.join(posixpath.dirname(member.path), target))
        if not target or target.startswith("/") or leads.split("/")[0] == "..":
            raise ArchiveError(f"{member.path} is a link that leads out of the tree: {target!r}")


def _raw(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(str(archive)):
        with zipfile.ZipFile(str(archive)) as opened:
            yield from _zipped(opened)
        return
    with tarfile.open(str(archive), "r:*") as opened_tar:
        yield from _tarred(opened_tar)


def _tarred(opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        if info.isdir():
            yield Member(info.name, DIRECTORY, 0, None)
        elif info.issym():
            yield Member(info.name, content.LINK, 0, os.fsencode(info.linkname))
        elif info.isreg() or info.islnk():
            file = opened.extractfile(info)  # of a hard link, the member that it is a link to
            if file is None:
                raise ArchiveError(f"{info.name} is a link to nothing in it")
            yield Member(info.name, _mode(info.mode), info.size, _all(file, info))
        else:
            raise ArchiveError(f"{info.name} in it is a device or the like")


def _all(file: IO[bytes], info: tarfile.TarInfo) -> bytes:
    data = file.read()
    if info.isreg() and len(data) != info.size:
        raise EOFError(f"{info.name} is cut off")
    return data


def _zipped(opened: zipfile.ZipFile) -> Iterator[Member]:
    for info in opened.infolist():
        mode = info.external_attr >> 16
        if info.is_dir():
            yield Member(info.filename, DIRECTORY, 0, None)
        elif stat.S_ISLNK(mode):
            if info.file_size > LINK_LENGTH:
                raise ArchiveError(f"{info.filename} in it is a link of {info.file_size} bytes")
            yield Member(info.filename, content.LINK, 0, opened.read(info))
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            yield Member(info.filename, _mode(mode), info.file_size, opened.read(info))
        else:
            raise ArchiveError(f"{info.filename} in it is a device or the like")


def _mode(mode: int) -> str:
    return content.EXECUTABLE if mode & stat.S_IXUSR else content.FILE
