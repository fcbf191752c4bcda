"""Access through pgbouncer: the database's pools are closed and opened, in every pgbouncer (R18).

New clients hear `database "…" is disabled`, existing ones `database removed`. PostgreSQL itself stays open, so nothing
about this access is replicated. A pgbouncer that is started again has forgotten DISABLE and PAUSE: it is open.
"""

from __future__ import annotations

import shlex
from typing import Any, Callable, Mapping, Sequence

from ..connection import RolloutError
from ..driver import psycopg
from .base import NO_LIMIT, Access, limit_statement
from .console import Pool, Refusal, as_given, pools_of

_LIMITED = "SELECT datconnlimit = 0 FROM pg_database WHERE datname = current_database()"
_COMES_AGAIN = 0.1  # seconds in which a client that was ended has connected again


class PgbouncerAccess(Access):
    """The database's pools in pgbouncer: access is closed if any of them is disabled or paused."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        dsn: str,
        state_directory: str,
        pools: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Take `pools`, and also those in a killed run's record, whatever `pools` says now."""
        super().__init__(connection, dsn, state_directory)
        self._limited = False
        saved = (self.saved() or {}).get("pools", [])
        self.pools = pools_of([*pools, *(pool for pool in saved if pool not in pools)])

    def close(self) -> None:
        """Take no new clients in any pgbouncer; those that are connected stay. `save` must come first."""
        for pool in self.pools:
            pool.look()  # one that does not answer is told before another is touched
        for pool in self.pools:
            pool.disable()

    def end_sessions(self, seconds: float = 10) -> int:
        """Drop the clients, then end the sessions left at PostgreSQL; return how many clients and sessions that were.

        After `seconds`, raises E-sessions-stay, which names who comes past pgbouncer.
        """
        clients, servers = 0, set()
        for pool in self.pools:
            there, pids = pool.connected()
            clients += there
            servers |= pids
            pool.kill()
        return clients + len(self.end_users(seconds, servers, _COMES_AGAIN) - servers)

    def refuse_if_closed_by_someone_else(self) -> dict[str, Any] | None:
        """Do it as for every access; also raise RolloutError for a pgbouncer that would refuse the commands.

        `E-not-admin` if our user may not switch its pools, `E-pgbouncer-paused` if somebody has paused it as a whole.
        """
        left = super().refuse_if_closed_by_someone_else()
        if left is None:
            for console in {pool.console.conninfo: pool.console for pool in self.pools}.values():
                refusal = console.refusal()
                if refusal is Refusal.NOT_ADMIN:
                    raise RolloutError(
                        f"E-not-admin  the user of {console.conninfo!r} may not switch pools off and on.\n"
                        f"Nothing was touched. Then: add it to admin_users in pgbouncer.ini, and RELOAD"
                    )
                if refusal is Refusal.PAUSED:
                    raise RolloutError(
                        f"E-pgbouncer-paused  somebody has paused {console.name} as a whole: no user gets through.\n"
                        f"Nothing was touched. Ask who, then:  {console.by_hand('RESUME')}"
                    )
        return left

    def open(self, seconds: float = 30) -> None:
        """Open access as every kind does, and disconnect from the consoles."""
        super().open(seconds)
        for pool in self.pools:
            pool.console.close()

    def _by_hand(self) -> str:
        left = [pool for pool in self.pools if pool.seen is None or not pool.seen.open]
        commands = [pool.opening_command() for pool in left]
        if self._limited:
            commands.append(shlex.join(["psql", self.dsn, "-c", limit_statement(self.database, NO_LIMIT)]))
        return "; ".join(commands or [pool.opening_command() for pool in self.pools])

    def _closed(self) -> str | None:
        """Return in words what is closed. A pgbouncer that does not answer is an error, unless we left it closed."""
        silent = self._each(Pool.look)
        if silent and self.saved() is None:
            raise RolloutError(f"{silent[0]}\nNothing was touched.")
        closed = [f"{pool.name} is {pool.seen.text}" for pool in self.pools if pool.seen and not pool.seen.open]
        self._limited = self.connection.execute(_LIMITED).fetchone() == (True,)  # nobody would get in behind pgbouncer
        if self._limited:
            closed.append("its connection limit is 0")
        return "; ".join(closed + [str(error).split("\n")[0] for error in silent]) or None

    def _reopen(self) -> None:
        failed = self._each(Pool.open)
        if failed:
            raise RolloutError("; ".join(str(error).split("\n")[0] for error in failed))

    def _as_it_is(self) -> dict[str, Any]:
        return {"pools": as_given(self.pools)}

    def _each(self, deed: Callable[[Pool], Any]) -> list[RolloutError]:
        """Do something to every pool, even if another one fails; return what went wrong."""
        errors = []
        for pool in self.pools:
            try:
                deed(pool)
            except RolloutError as error:
                errors.append(error)
        return errors
