"""What the runbook writes is for its user alone: records have names, answers and what servers said in them.

Every command but those of the lab begins with this umask; what others are to read says so where it is written.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

UMASK = 0o077
USERS_UMASK = "ROLLOUT_UMASK"  # in the environment: what it was before, which playbooks have
DIRECTORY = 0o700
FILE = 0o600
FOR_OTHERS = 0o644  # pages and calendars that a person named
PASSING = 0o711  # servers of a lab are other users', who pass through
MADE = ("ansible", "cp", "tmp")  # before Ansible makes them
OURS = (*MADE, "cache", "doctor", "rollouts", "unexpected")  # what else is in var/ is of labs and tests


def begin(var: Path) -> None:
    """Make what this process writes its user's alone, and take `var` away from others."""
    os.environ[USERS_UMASK] = f"{os.umask(UMASK):04o}"
    with suppress(OSError):
        for name in MADE:
            (var / name).mkdir(mode=DIRECTORY, parents=True, exist_ok=True)
    close(var)


def close(var: Path) -> None:
    """Take the directory `var` and ours in it away from others: an earlier version, or `make`, left them open.

    What is not ours, or is none, is left alone.
    """
    with suppress(OSError):
        inside = {entry.name for entry in os.scandir(var) if entry.is_dir(follow_symlinks=False)}
        for name in inside & set(OURS):
            _shut(var / name, DIRECTORY)
        _shut(var, PASSING if inside - set(OURS) else DIRECTORY)


def _shut(directory: Path, at_most: int) -> None:
    found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid() and mode & ~at_most:
        directory.chmod(mode & at_most)
