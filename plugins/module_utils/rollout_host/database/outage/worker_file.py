"""The outage's worker as one file on the database host, `~/.rollout/outage-DIGEST.pyz`: its path and its commands.

`bundle` makes it. An Ansible module's own files are gone when the module ends, so what lives longer (worker,
guardian), and what a person types when there is no Ansible, is in a file of its own.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

PATTERN = "outage-*.pyz"


def latest(state_directory: str | Path) -> Path | None:
    """Return the worker file that was written last; None if there is none."""
    found = [path for path in Path(state_directory).expanduser().glob(PATTERN) if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def command(pyz: Path, *arguments: str) -> list[str]:
    """Return the argv that runs the worker file, with our own interpreter: that one has psycopg."""
    return [sys.executable, str(pyz), *arguments]


def opening_command(state_directory: str | Path, database: str) -> str | None:
    """Return the shell command that ends the outage of a database on this host; None without a worker file."""
    pyz = latest(state_directory)
    return shlex.join(command(pyz, "open", database)) if pyz else None
