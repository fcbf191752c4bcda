"""What the system refuses, in a sentence for people: which file, why, what to type."""

from __future__ import annotations

import errno
import shlex
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_ALLOWED = (errno.EACCES, errno.EPERM)


def system_error(error: OSError, path: Path | str | None = None) -> str:
    """Return the message for an error of the system; `path` is the file that it is about, if the error does not say."""
    named = error.filename if error.filename is not None else path
    where = str(named) if named is not None else "a file"
    why = error.strerror or str(error)
    there = shlex.quote(str(_existing(where)))
    if error.errno in FULL:
        return f"E-disk-full  {where} could not be written: {why}.\n  Make room:  df -h {there}"
    if error.errno == errno.EROFS:
        return f"E-read-only  {where} could not be written: {why}.\n  Look:  findmnt --target {there}"
    if error.errno in NOT_ALLOWED:
        return f"E-not-allowed  {where}: {why}.\n  Look:  id; ls -ld {there}"
    return f"E-system  {where}: {why}.\n  Look:  ls -ld {there}"


def _existing(where: str) -> Path:
    """Return the path, or what there is of the directories above it."""
    path = Path(where)
    return next((each for each in (path, *path.parents) if each.exists()), Path())
