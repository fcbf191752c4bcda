"""Writes files so that a reader, or the host after a loss of power, finds the old or the new one, whole; reads them."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any


def replace(path: Path, content: bytes, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write a file with this content to `path` by one rename. Raises OSError, and then the old file is as it was.

    The new file has the mode and, if we are allowed to, the owner of the old one; without an old one it has `mode`.
    `durable`: once this returns, the file survives a loss of power.
    """
    new = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(content)
            _take_after(path, file.fileno(), mode)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    if durable:
        sync(path.parent)


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file that may have blanks behind it. Raises OSError, and ValueError for no object."""
    return object_of(path.read_bytes())


def object_of(content: bytes) -> dict[str, Any]:
    """Return the JSON object that the content is, whatever it is. Raises ValueError for anything else."""
    try:
        found = json.loads(content.rstrip(b"\0 "))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def private_directory(directory: Path) -> Path:
    """Make the directory if it is not there, see to it that it is for its user alone, and return it. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o077:  # made by an earlier version, or by hand
        with suppress(PermissionError):  # somebody else's, who knows why
            directory.chmod(0o700)
    return directory


def sync(directory: Path) -> None:
    """Make the renames in a directory durable. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _take_after(path: Path, handle: int, mode: int) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(handle, mode)
        return
    with suppress(PermissionError):  # only root may; otherwise it is ours anyway
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, old.st_mode & 0o7777)
