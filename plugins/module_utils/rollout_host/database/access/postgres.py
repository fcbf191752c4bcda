"""PostgreSQL's own access, where there is no pooler: whether users can connect to a database at all (R18).

Closing sets the database's connection limit to 0, which superusers pass. The limit it had is put back in the
transaction of the patches, so the commit opens access.
"""

from __future__ import annotations

import shlex
from typing import Any, Mapping, Sequence

from ..connection import one_row
from ..driver import psycopg
from .base import NO_LIMIT, Access, limit_statement, read_record, record_file
from .pgbouncer import PgbouncerAccess

CLOSED = 0


def access(
    connection: psycopg.Connection[Any], dsn: str, state_directory: str, pools: Sequence[Mapping[str, str]] = ()
) -> Access:
    """Return the access to the database that `connection` is connected to: PostgreSQL's own without `pools`.

    Access that a killed run closed is opened in the way that it was closed, whatever `pools` says now.
    """
    saved = read_record(record_file(state_directory, connection.info.dbname)) or {}
    postgres = PostgresAccess(connection, dsn, state_directory)
    if "pools" in saved or (pools and not ("connection_limit" in saved and postgres.is_closed)):
        return PgbouncerAccess(connection, dsn, state_directory, pools)
    return postgres


class PostgresAccess(Access):
    """Access by the database's connection limit."""

    opens_at_commit = True

    def close(self) -> None:
        """Let nobody but superusers connect any more; sessions stay. `save` must come first."""
        self._set(CLOSED)

    def open_with(self, connection: psycopg.Connection[Any]) -> None:
        """Open access in the transaction of `connection`: the commit of the patches opens it, or nothing does."""
        connection.execute(self._statement(self._limit_before()))

    def _by_hand(self) -> str:
        return shlex.join(["psql", self.dsn, "-c", self._statement(self._limit_before())])

    @property
    def is_closed(self) -> bool:
        """Return True if only superusers can connect."""
        return self._limit() == CLOSED

    def _closed(self) -> str | None:
        return "its limit is 0" if self.is_closed else None

    def _reopen(self) -> None:
        self.reconnect()
        if self.is_closed:
            self._set(self._limit_before())

    def _as_it_is(self) -> dict[str, Any]:
        return {"connection_limit": self._limit()}

    def _limit_before(self) -> int:
        return int((self.saved() or {}).get("connection_limit", NO_LIMIT))

    def _set(self, limit: int) -> None:
        self.connection.execute("SET synchronous_commit = local")  # an absent synchronous standby must not hang it
        self.connection.execute(self._statement(limit))

    def _statement(self, limit: int) -> str:
        return limit_statement(self.database, limit)

    def _limit(self) -> int:
        query = "SELECT datconnlimit FROM pg_database WHERE datname = current_database()"
        return int(one_row(self.connection, query)[0])
