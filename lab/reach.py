"""Lets the system user that PostgreSQL runs as pass through root's directories, and takes it back (only ever as root).

A parent directory that others cannot enter gets o+x, nothing more: entering, not listing. Which ones got it stands in
the record file of the servers they were opened for; when those stop, the directories are closed again, unless a server
of the same system user that is still running (of another lab, or of another checkout) has to pass through them: then
its record takes them over.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

RECORD = "opened_directories.json"


@contextmanager
def opened(user: str | None, paths: list[Path], record: Path) -> Iterator[None]:
    """Open every parent of `paths` that others cannot enter, and keep all open while the block starts servers.

    `user` None (we are not root): nothing is done. What is opened is added to `record` first, so that a crash can be
    undone.
    """
    if user is None:
        yield
        return
    with _one_at_a_time():
        shut = sorted(
            {parent for path in paths for parent in path.resolve().parents if not _mode(parent) & stat.S_IXOTH}
        )
        _write(record, sorted({*_read(record), *shut}))
        for directory in shut:
            directory.chmod(_mode(directory) | stat.S_IXOTH)
        yield


def close(user: str | None, record: Path) -> None:
    """Take o+x away again from the directories in `record`; those that a running server needs go into its record."""
    if user is None or not record.exists():
        return
    with _one_at_a_time():
        others = _running(user)
        for directory in _read(record):
            heir = next((heir for used, heir in others if directory in used.parents and heir != record), None)
            if heir is not None:
                _write(heir, sorted({*_read(heir), directory}))
            elif directory.exists():
                directory.chmod(_mode(directory) & ~stat.S_IXOTH)
        record.unlink()


def _running(user: str) -> list[tuple[Path, Path]]:
    """Return, for each postmaster of `user`, what it needs (data directory, binary) and the record of its servers."""
    found = []
    for process in psutil.process_iter(["username", "name"]):
        if process.info["username"] != user or process.info["name"] != "postgres":
            continue
        try:
            data, binary = Path(process.cwd()), Path(process.exe())
        except psutil.Error:
            continue
        if (data / "postmaster.pid").exists():  # DIRECTORY/primary/data, see lab/postgres.py
            found += [(path, data.parents[1] / RECORD) for path in (data, binary)]
    return found


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the one lock of all checkouts on this machine, which share parent directories; it is on `/` itself."""
    descriptor = os.open("/", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mode(directory: Path) -> int:
    return stat.S_IMODE(directory.stat().st_mode)


def _read(record: Path) -> list[Path]:
    return [Path(name) for name in json.loads(record.read_text())] if record.exists() else []


def _write(record: Path, directories: list[Path]) -> None:
    record.write_text(json.dumps([str(directory) for directory in directories], indent=1) + "\n")
