"""Writes files that are on disk, whole or not at all, once the call returns."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rollout.private import FILE


def write_whole(path: Path, content: str | bytes, mode: int = FILE) -> None:
    """Put the content in the file's place by one rename, with the mode that the file had, or else this one.

    Raises OSError.
    """
    path = path.resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else mode
    made = draft(path, content, mode)
    try:
        made.replace(path)
    except BaseException:
        with suppress(OSError):
            made.unlink()
        raise
    sync_directory(path.parent)


def create_whole(path: Path, content: str | bytes) -> bool:
    """Make the file with this content; one that is there already stays as it is. Raises OSError.

    Returns True if it was made: of several that try at once, one makes it.
    """
    made = draft(path, content, FILE)
    try:
        os.link(made, path)
    except FileExistsError:
        return False
    finally:
        made.unlink()
    sync_directory(path.parent)
    return True


def draft(path: Path, content: str | bytes, mode: int) -> Path:
    """Return a new file beside the path that holds the content, on disk. Raises OSError, and leaves nothing then."""
    with _about(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
                file.flush()
                sync(file.fileno())
            Path(name).chmod(mode)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    return Path(name)


def append(path: Path, line: str) -> None:
    """Add the line to the file; it is on disk when this returns. Raises OSError, and the file is as it was then.

    If not even that can be had, what is left of the line has no end, and whoever reads it next takes it for torn.
    """
    with _about(path):
        created = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE)
        try:
            before = os.fstat(descriptor).st_size
            try:
                _write(descriptor, line.encode("utf-8"))
                sync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, before)
                if created:
                    path.unlink()
                raise
        finally:
            os.close(descriptor)
        if created:
            sync_directory(path.parent)


def _write(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


@contextmanager
def _about(path: Path) -> Iterator[None]:
    """Have an error of the system name the file that was to be written, not a draft of it or none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, FILE)


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
