"""Writes files that are on disk, whole or not at all, once the call returns."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Put the content in the file's place by one rename, with the mode that the file had. Raises OSError."""
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    draft(path, content, mode).replace(path)
    sync_directory(path.parent)


def create_whole(path: Path, content: str | bytes) -> None:
    """Make the file with this content; one that is there already stays as it is. Raises OSError."""
    made = draft(path, content, 0o644)
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    finally:
        made.unlink()
    sync_directory(path.parent)


def draft(path: Path, content: str | bytes, mode: int) -> Path:
    """Return a new file beside the path that holds the content, on disk. Raises OSError."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)
        file.flush()
        sync(file.fileno())
    Path(name).chmod(mode)
    return Path(name)


def append(path: Path, line: str) -> None:
    """Add the line to the file; it is on disk when this returns. Raises OSError."""
    created = not path.exists()
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        sync(file.fileno())
    if created:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Force a directory's entries to disk, so that a new or renamed file stays after a crash."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(descriptor: int) -> None:
    """Force what was written to a file to disk."""
    os.fsync(descriptor)
