"""pgbouncer's admin console: it closes and opens pools, and SHOW DATABASES there tells their state (R18).

The console takes simple queries only and hardly any startup parameter. Every answer is waited for with a limit: a
pgbouncer that stands still must hang neither the outage nor the opening. All durations are seconds.
"""

from __future__ import annotations

import select
import shlex
import time
from enum import Enum
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ..connection import RolloutError
from ..conninfo import refusal, resolved
from ..driver import ExecStatus, make_conninfo, psycopg

_SECONDS = 3.0
_CONSOLE = "pgbouncer"  # the database's name
_NOWHERE = "rollout_preflight_no_such_database"


class PoolState(NamedTuple):
    """The state of a pool, by SHOW DATABASES. KILL leaves it paused."""

    paused: bool
    disabled: bool

    @property
    def open(self) -> bool:
        """Return True if users can connect through the pool."""
        return not (self.paused or self.disabled)

    @property
    def text(self) -> str:
        """Return the state in words."""
        return " and ".join(word for word, so in (("disabled", self.disabled), ("paused", self.paused)) if so) or "open"


class Refusal(Enum):
    """Why pgbouncer does not switch pools: for this user, or because it is paused or suspended as a whole."""

    NOT_ADMIN = "not admin"
    PAUSED = "paused"


class Console:
    """The console that `conninfo` (without a password) leads to; it connects when it is asked, again if need be."""

    def __init__(self, conninfo: str) -> None:
        """Keep the conninfo; nothing is connected yet."""
        self.conninfo = conninfo
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def name(self) -> str:
        """Return the console's name for people: `pgbouncer at 10.0.0.1:6432`."""
        given = resolved(self.conninfo)
        return f"pgbouncer at {given.get('host') or 'its socket'}:{given.get('port') or 5432}"

    def ask(self, command: str, seconds: float = _SECONDS) -> list[dict[str, str]]:
        """Send a command and return its rows, column → text. Raises RolloutError `E-pgbouncer`."""
        # Kept only once all of an answer was read: the rest of one must not be taken for another.
        kept, self._connection = self._connection, None
        connection = kept or self._connect(seconds)
        try:
            rows = _answer(connection.pgconn, command, time.monotonic() + seconds)
        except (psycopg.Error, TimeoutError) as error:
            started_again = kept is not None and connection.closed
            connection.close()
            if started_again:
                return self.ask(command, seconds)
            raise self._error(command, error) from error
        except BaseException:  # the deadline, or somebody who stops us
            connection.close()
            raise
        self._connection = connection
        return rows

    def refusal(self) -> Refusal | None:
        """Return why pgbouncer would not switch pools now, None if it would. Raises RolloutError `E-pgbouncer`.

        It is told to KILL a database that it does not have: every version says first whether it takes the command.
        SHOW DATABASES tells nothing of a pgbouncer that is paused as a whole.
        """
        try:
            self.ask(f"KILL {_NOWHERE}")
        except RolloutError as error:
            said = str(error).lower()
            if "admin access" in said:
                return Refusal.NOT_ADMIN
            if "already suspended/paused" in said:
                return Refusal.PAUSED
            if "no such database" not in said:
                raise
        else:
            self.ask(f"RESUME {_NOWHERE}")  # one with a pool for any database (`*`) has made it now, and paused it
        return None

    def close(self) -> None:
        """Disconnect."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def by_hand(self, *commands: str) -> str:
        """Return the shell command that sends these to the console, each even if another fails."""
        return shlex.join(["psql", self.conninfo, *(part for command in commands for part in ("-c", command))])

    def _connect(self, seconds: float) -> psycopg.Connection[Any]:
        if told := refusal(self.conninfo, "console"):
            raise RolloutError(told)
        try:
            conninfo = make_conninfo(self.conninfo, connect_timeout=max(2, round(seconds)))
            connection = psycopg.connect(conninfo, autocommit=True)
        except psycopg.Error as error:
            raise self._error(None, error) from error
        if connection.info.dbname != _CONSOLE:
            connection.close()
            raise RolloutError(f"E-pgbouncer  {self.conninfo!r} is no admin console: that is dbname={_CONSOLE}")
        return connection

    def _error(self, command: str | None, error: Exception) -> RolloutError:
        said = f"{command or 'connecting'}: {' '.join(str(error).split()) or type(error).__name__}"
        return RolloutError(
            f"E-pgbouncer  {self.name}: {said}\nTry it on this host:  {self.by_hand('SHOW DATABASES')}",
            console=self.name,
        )


class Pool:
    """A pool: a database's entry in pgbouncer. Pools of one pgbouncer share its console."""

    def __init__(self, console: Console, database: str) -> None:
        """Keep the console, and `database`, its name in pgbouncer."""
        self.console = console
        self.database = database
        self.seen: PoolState | None = None  # at the last look, None when that failed

    @property
    def name(self) -> str:
        """Return the pool's name for people."""
        return f"{self.database} in {self.console.name}"

    def look(self) -> PoolState:
        """Return the pool's state now. Raises RolloutError `E-pgbouncer`, or `E-no-pool` if it does not exist."""
        self.seen = None
        found = [row for row in self.console.ask("SHOW DATABASES") if row["name"] == self.database]
        if not found:
            raise RolloutError(f"E-no-pool  {self.console.name} has no database {self.database} in [databases]")
        self.seen = PoolState(found[0]["paused"] == "1", found[0]["disabled"] == "1")
        return self.seen

    def disable(self) -> None:
        """Take no new clients; those that are connected stay. It is verified. Raises RolloutError."""
        self.console.ask(f"DISABLE {_quoted(self.database)}")
        if not self.look().disabled:
            raise RolloutError(f"E-pgbouncer  {self.name} is not disabled after DISABLE")

    def kill(self) -> None:
        """Drop every client, and every connection to the server. It is verified. Raises RolloutError."""
        self.console.ask(f"KILL {_quoted(self.database)}")
        if not self.look().paused:
            raise RolloutError(f"E-pgbouncer  {self.name} is not paused after KILL")

    def open(self) -> None:
        """Open the pool; one that is open is left alone. It is verified. Raises RolloutError."""
        state = self.look()
        if state.paused:
            self.console.ask(f"RESUME {_quoted(self.database)}")
        if state.disabled:
            self.console.ask(f"ENABLE {_quoted(self.database)}")
        if not state.open and not self.look().open:
            raise RolloutError(f"E-pgbouncer  {self.name} is still {self.seen.text if self.seen else 'closed'}")

    def connected(self) -> tuple[int, set[int]]:
        """Return how many clients the pool has, and the pids of its sessions on the server."""
        clients = [row for row in self.console.ask("SHOW CLIENTS") if row["database"] == self.database]
        servers = [row for row in self.console.ask("SHOW SERVERS") if row["database"] == self.database]
        return len(clients), {int(row["remote_pid"]) for row in servers}

    def opening_command(self) -> str:
        """Return the shell command that opens the pool by hand, as far as the last look saw it closed."""
        paused, disabled = self.seen or (True, True)
        steps = [verb for verb, so in (("RESUME", paused), ("ENABLE", disabled)) if so]
        return self.console.by_hand(*(f"{verb} {_quoted(self.database)}" for verb in steps))


def pools_of(given: Iterable[Mapping[str, str]]) -> list[Pool]:
    """Return the pools that an option or a record names, [{console, database}]."""
    consoles: dict[str, Console] = {}
    return [Pool(consoles.setdefault(one["console"], Console(one["console"])), one["database"]) for one in given]


def as_given(pools: Sequence[Pool]) -> list[dict[str, str]]:
    """Return pools as [{console, database}], for a record."""
    return [{"console": pool.console.conninfo, "database": pool.database} for pool in pools]


def _answer(pgconn: Any, command: str, deadline: float) -> list[dict[str, str]]:
    """Send one simple query and return its answer, within a deadline, which psycopg's own execute lacks."""
    pgconn.send_query(command.encode())
    rows: list[dict[str, str]] = []
    while True:
        while pgconn.flush() or pgconn.is_busy():
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pgconn.socket], [], [], left)[0]:
                raise TimeoutError("no answer in time")
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return rows
        if result.status == ExecStatus.TUPLES_OK:
            names = [result.fname(column).decode() for column in range(result.nfields)]
            rows += [
                {name: (result.get_value(row, column) or b"").decode() for column, name in enumerate(names)}
                for row in range(result.ntuples)
            ]
        elif result.status != ExecStatus.COMMAND_OK:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace").strip())


def _quoted(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))
