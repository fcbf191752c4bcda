"""Imports psycopg, or keeps the reason why it is missing: modules then fail with that reason, before anything else."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

try:
    import psycopg
    from psycopg import generators, sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.pq import ExecStatus
    from psycopg.rows import dict_row

    _IMPORT_ERROR = None
except ImportError as _error:
    _IMPORT_ERROR = str(_error)
    if not TYPE_CHECKING:
        psycopg = generators = sql = conninfo_to_dict = make_conninfo = ExecStatus = dict_row = None

__all__ = [
    "ExecStatus",
    "conninfo_to_dict",
    "dict_row",
    "driver_missing",
    "generators",
    "make_conninfo",
    "psycopg",
    "sql",
]

PACKAGES = {"Debian, Ubuntu": "apt-get install python3-psycopg", "Fedora, EPEL": "dnf install python3-psycopg3"}
_MISSING = """E-no-psycopg  {host}: {python} has no psycopg 3 ({reason}).
  Install it there{packages}.
  Or name another Python of that host:  ansible_python_interpreter in its host_vars"""


def driver_missing() -> str | None:
    """Return the message about psycopg that cannot be imported, with the package to install; None if it is there."""
    if _IMPORT_ERROR is None:
        return None
    packages = "".join(f"\n    {system}:  {command}" for system, command in PACKAGES.items())
    return _MISSING.format(host=platform.node(), python=sys.executable, reason=_IMPORT_ERROR, packages=packages)
