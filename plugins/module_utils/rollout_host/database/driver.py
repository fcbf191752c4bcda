"""Imports psycopg, or keeps the reason why it is missing: modules then fail with that reason, before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import psycopg
    from psycopg import generators, sql
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from psycopg.pq import ExecStatus
    from psycopg.rows import dict_row

    PSYCOPG_IMPORT_ERROR = None
except ImportError as _error:
    PSYCOPG_IMPORT_ERROR = str(_error)
    if not TYPE_CHECKING:
        psycopg = generators = sql = conninfo_to_dict = make_conninfo = ExecStatus = dict_row = None

__all__ = [
    "PSYCOPG_IMPORT_ERROR",
    "ExecStatus",
    "conninfo_to_dict",
    "dict_row",
    "generators",
    "make_conninfo",
    "psycopg",
    "sql",
]
