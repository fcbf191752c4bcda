"""The checks before an outage: each is made and judged whatever the others found, and nothing is changed (R18).

A check is a function from an `Inspection` to findings. The files beside this one ask; `rollout_core.preflight` judges
the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping

from ...rollout_core.preflight.findings import Finding, finding
from ..database.connection import RolloutError, connect, message
from ..database.conninfo import host_name
from ..database.driver import dict_row, psycopg

# A check asks; it never waits for somebody's lock, nor for ever.
_PATIENCE = "SET lock_timeout = '5s'; SET statement_timeout = '60s'"


@dataclass
class Inspection:
    """What checks look at: the module's parameters, a superuser's connection, and the largest lag found so far.

    `brings_worker` says whether the outage's program is copied to the host.
    """

    params: Mapping[str, Any]
    brings_worker: bool
    connection: Any = None  # psycopg's; not there yet for the checks that need none
    lag: float | None = None

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Return the rows of a query on the primary."""
        return rows(self.connection, query, **values)


Check = Callable[[Inspection], Iterable[Finding]]


def rows(connection: psycopg.Connection[Any], query: str, **values: Any) -> list[dict[str, Any]]:
    """Return the rows of a query, each by the names of its columns."""
    with connection.cursor(row_factory=dict_row) as cursor:
        found: list[dict[str, Any]] = cursor.execute(query, values or None).fetchall()
        return found


def asking(dsn: str) -> psycopg.Connection[Any]:
    """Return a connection for asking only. Raises RolloutError `E-no-connection`."""
    connection = connect(dsn, "preflight")
    connection.execute(_PATIENCE)
    return connection


def host_of(dsn: str) -> str:
    """Return the host that a conninfo names."""
    return host_name(dsn) or "this host"


def findings_of(checks: Iterable[tuple[str, Check]], inspection: Inspection) -> list[Finding]:
    """Make all checks and return their findings; one that cannot be made is a failed finding under its own name."""
    found: list[Finding] = []
    for name, check in checks:
        try:
            for each in check(inspection):
                found.append(each)  # one by one: what was found before an error counts
        except (RolloutError, psycopg.Error, OSError) as error:
            found.append(not_made(name, error))
    return found


def not_made(check: str, error: Exception) -> Finding:
    """Return the finding for a check that ended in an error."""
    first, *more = message(error).split("\n")
    todo = "\n".join(more)
    if isinstance(error, PermissionError):
        todo = "the play must log in, or become, somebody who may look there (ansible_become_user)"
    return finding(check, first, "a check that can be made", todo, ok=False)
