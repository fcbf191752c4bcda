"""Files that are on disk, whole or not at all, once they are said to be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rollout.private import FILE


def write_whole(path: Path, content: str | bytes, mode: int = FILE) -> None:
    """Put the content in the file's place by one rename, with the mode that the file had, or else this one.

    Raises OSError.
    """
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else mode
    draft(path, content, mode).replace(path)
    sync_directory(path.parent)


def create_whole(path: Path, content: str | bytes) -> None:
    """Make the file with this content; one that is there already stays as it is. Raises OSError."""
    made = draft(path, content, FILE)
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
    with open(path, "a", encoding="utf-8", opener=_for_us_alone) as file:
        file.write(line)
        file.flush()
        sync(file.fileno())
    if created:
        sync_directory(path.parent)


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, FILE)


def sync_directory(directory: Path) -> None:
    """Have the directory's entries on disk: a file that is new there, or has another name."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(descriptor: int) -> None:
    """Have what was written to the file on disk."""
    os.fsync(descriptor)
