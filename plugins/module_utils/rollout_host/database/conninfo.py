"""Connection strings (libpq's conninfo): what they lead to, `service=` included, and what they must not hold.

Nothing is connected here.
"""

from __future__ import annotations

import getpass
import os
from contextlib import contextmanager
from typing import Iterator, Mapping

from ...rollout_core import connections
from .driver import conninfo_to_dict, psycopg


def refusal(dsn: str, name: str = "dsn") -> str | None:
    """Return why a conninfo is refused: it has a password in it, which many would get to see. None for a sound one."""
    keyword = connections.secret(dsn, conninfo_to_dict)
    return connections.refusal([(name, keyword)]) if keyword else None


def resolved(dsn: str) -> dict[str, str]:
    """Return all that libpq would take for a conninfo, by keyword: what it says, its `service`, the environment.

    Nothing is connected. Raises psycopg.Error for what is no conninfo.
    """
    given = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    with _service(given):
        defaults = psycopg.pq.Conninfo.get_defaults()
    known = {each.keyword.decode(): each.val.decode() for each in defaults if each.val}
    return {**known, **given}


@contextmanager
def _service(given: Mapping[str, str]) -> Iterator[None]:
    """libpq tells what a service comes to, but only of the one that is named in the environment."""
    named = {"PGSERVICE": given.get("service"), "PGSERVICEFILE": given.get("servicefile")}
    before = {name: os.environ.get(name) for name, value in named.items() if value}
    os.environ.update({name: value for name, value in named.items() if value})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def database_name(dsn: str) -> str:
    """Return the name of the database that a conninfo leads to, which is the user's where it names none."""
    given = resolved(dsn)
    return given.get("dbname") or given.get("user") or getpass.getuser()


def host_name(dsn: str) -> str | None:
    """Return the host that a conninfo leads to, None for this one."""
    given = resolved(dsn)
    return given.get("host") or given.get("hostaddr")
