"""Claims in the state directory of the database host: `claims.json`, private, replaced whole, one writer at a time."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Sequence

from .. import whole_file

NAME, LOCK = "claims.json", "claims.lock"
LOCK_SECONDS = 10.0  # a claim is written in no time: who waits longer waits for something that hangs
Records = List[Mapping[str, Any]]


class ClaimsError(Exception):
    """Claims that cannot be read or written; the text is the module's message."""


class UnwritableError(ClaimsError):
    """Claims that cannot be written."""


def read(directory: Path) -> Records:
    """Return the claims that are kept there; none before there was one. Raises ClaimsError."""
    path = directory / NAME
    try:
        kept = whole_file.read_object(path)["claims"]
        if not isinstance(kept, list) or not all(isinstance(record, dict) for record in kept):
            raise TypeError("no list of claims")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"E-claim-unreadable  {path} on {os.uname().nodename} cannot be read: {error}."
        remedy = f"Once no rollout of this service is open anywhere:  rm {path}"
        raise ClaimsError(f"{said}\n  It says which rollout has this service.  {remedy}") from error
    return kept


def write(directory: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Keep these claims. Raises UnwritableError."""
    try:
        whole_file.replace(directory / NAME, (json.dumps({"claims": records}, indent=1) + "\n").encode())
    except OSError as error:
        raise _unwritable(directory, error) from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let nobody else write claims meanwhile; makes the directory. Raises ClaimsError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        _take(handle, directory)
        yield
    finally:
        os.close(handle)


def _take(handle: int, directory: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                path = directory / LOCK
                said = f"E-claim-locked  Somebody on {os.uname().nodename} has held {path} for {LOCK_SECONDS:.0f} s."
                raise ClaimsError(f"{said}\n  See who:  fuser -v {path}") from None
            time.sleep(0.05)
        else:
            return


def _unwritable(directory: Path, error: OSError) -> UnwritableError:
    said = f"E-claim-unwritable  {directory} on {os.uname().nodename} cannot be written: {error.strerror}."
    return UnwritableError(
        f"{said}\n  The claim on this service is kept there.  See:  df {directory}; ls -ld {directory}"
    )
