"""The base of every kind of access: it records how access was, ends sessions, and opens it whatever happens (R18).

How access was is saved in a file, durably, before it is closed. So access that a killed run left closed is known as
ours, and opened again. All durations are seconds.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import AbstractSet, Any, Iterator

from ... import whole_file
from ..connection import RolloutError, connect
from ..driver import psycopg
from ..outage.worker_file import opening_command

OPEN, LEFT_CLOSED, CLOSED_BY_SOMEONE_ELSE = "open", "left closed", "closed by someone else"
# Sessions of users: superusers come in all the same, and the system's own processes and replication have to go on.
_ENDED = """
    SELECT pid, pg_terminate_backend(pid), usename, coalesce(host(client_addr), 'local'), application_name
    FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE datname = current_database() AND backend_type = 'client backend' AND NOT rolsuper"""
_ORPHANS = """
    SELECT pid, pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'rollout %%' AND pid <> ALL (%(ours)s)"""

NO_LIMIT = -1  # PostgreSQL's own value of a connection limit that is none


def limit_statement(database: str, limit: int) -> str:
    """Return the statement that limits the connections to a database; a person can type it too."""
    name = database.replace('"', '""')  # psycopg 3.1 quotes only with a connection, and this may be read without one
    return f'ALTER DATABASE "{name}" CONNECTION LIMIT {limit}'


class Access:
    """Access to the database that `connection` (a superuser's, in autocommit mode) is connected to.

    `dsn` is what it was connected with: should it break while access is closed, opening connects again.
    """

    opens_at_commit = False  # whether the commit of the transaction that `open_with` got opens it

    def __init__(self, connection: psycopg.Connection[Any], dsn: str, state_directory: str) -> None:
        """Keep the connection; the record goes into `state_directory`, which is made when it is first needed."""
        self.connection = connection
        self.dsn = dsn
        self.database = connection.info.dbname
        self.name = connection.info.get_parameters().get("application_name", "")
        self.file = record_file(state_directory, self.database)

    # What each kind does its own way.

    def close(self) -> None:
        """Let no more users connect; their sessions stay. `save` must come first."""
        raise NotImplementedError

    def open_with(self, connection: psycopg.Connection[Any]) -> None:
        """Open access in the transaction of `connection`, if this kind `opens_at_commit`; else do nothing."""

    def _by_hand(self) -> str:
        """Return the shell command with which a person opens access, with nothing but psql."""
        raise NotImplementedError

    def _closed(self) -> str | None:
        """Return in words what says that access is closed now; None if it is open."""
        raise NotImplementedError

    def _reopen(self) -> None:
        """Put access back as the record has it, or open it fully without one; what is open already is left alone.

        Raises RolloutError or psycopg.Error.
        """
        raise NotImplementedError

    def _as_it_is(self) -> dict[str, Any]:
        """Return what opening will need, for the record."""
        raise NotImplementedError

    # What they share.

    def state(self) -> tuple[str, dict[str, Any] | None]:
        """Return (`open`, None), (`left closed`, what the killed run saved), or (`closed by someone else`, None)."""
        saved = self.saved()
        if self._closed() is None:
            return OPEN, None
        return (LEFT_CLOSED, saved) if saved else (CLOSED_BY_SOMEONE_ELSE, None)

    def refuse_if_closed_by_someone_else(self) -> dict[str, Any] | None:
        """Return what a killed run of ours saved (None: access is open), or raise RolloutError `E-access-closed`."""
        saved = self.saved()
        closed = self._closed()
        if closed is not None and saved is None:
            raise RolloutError(
                f"E-access-closed  {self.database} takes no connections ({closed}), and no run of ours closed it: "
                f"there is no {self.file}.\nNothing was touched. Ask who closed it, and why.\n"
                f"Open it:  {self.opening_command()}\nThen: run this again."
            )
        return saved if closed is not None else None

    @contextmanager
    def taken_over(self) -> Iterator[str | None]:
        """Yield the id of the killed run of ours that left access closed, and open access when the block ends.

        Yields None if access is open. Raises RolloutError `E-access-closed` if somebody else has closed it.
        """
        left = self.refuse_if_closed_by_someone_else()
        if left is None:
            self.forget()  # a run that was killed before it closed anything, or a pgbouncer that was started again
            yield None
            return
        try:
            yield left["run_id"]
        except RolloutError as error:
            if not error.facts.get("locked_out"):
                self.open()
                remark = f"Access, which {left['run_id']} had left closed, is open again."
                raise RolloutError(f"{error}\n{remark}", **error.facts) from error
            raise
        finally:
            self.open()

    def save(self, run_id: str) -> None:
        """Save how access is, durably, for whoever has to open it after us. A killed run's record is kept."""
        if self.saved() is None or self._closed() is None:
            write_record(self.file, {"database": self.database, "run_id": run_id, "dsn": self.dsn, **self._as_it_is()})

    def end_sessions(self, seconds: float = 10) -> int:
        """End the users' sessions and return how many there were. After `seconds`, raises E-sessions-stay."""
        return len(self.end_users(seconds))

    def end_users(self, seconds: float, pooled: AbstractSet[int] = frozenset(), quiet: float = 0) -> set[int]:
        """End the users' sessions at PostgreSQL and return their pids; `end_sessions` does all of it.

        Ends when for `quiet` seconds nobody was there but those with the pids `pooled`, who cannot come again.
        """
        ended: set[int] = set()
        others_left = begun = time.monotonic()
        others_left -= quiet
        # A client that was just connecting when access closed shows up late, so this looks until nobody is left.
        while True:
            rows, now = self.connection.execute(_ENDED).fetchall(), time.monotonic()
            ended.update(row[0] for row in rows)
            if not rows and now - others_left >= quiet:
                return ended
            if any(row[0] not in pooled for row in rows):
                others_left = now
            if rows:
                named = "; ".join(sorted({f"{user} from {at} ({name})" for _, _, user, at, name in rows})[:10])
            if now - begun > seconds:
                raise RolloutError(f"E-sessions-stay  sessions of {self.database} do not end, or come again: {named}")
            time.sleep(0.005)

    def end_orphans(self, ours: list[int]) -> int:
        """End the sessions that a killed run left, and wait for that; return how many. The caller holds the lock."""
        return len(self.connection.execute(_ORPHANS, {"ours": ours}).fetchall())

    def open(self, seconds: float = 30) -> None:
        """Open access if it is closed, whatever happened to the connection, and delete the record.

        Tries for `seconds`; then raises RolloutError `E-locked-out` with `locked_out` and the command that opens it.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._reopen()
                break
            except (psycopg.Error, RolloutError) as error:
                if time.monotonic() > deadline:
                    raise self.locked_out(str(error)) from error
                if self.connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    self.connection.close()  # a signal came between a statement and its answer: it takes no other
                else:
                    time.sleep(0.2)
        self.forget()
        while self.connection.closed and time.monotonic() < deadline:  # users are in; the caller has more to ask
            with suppress(RolloutError):
                self.reconnect()
                break
            time.sleep(0.2)

    def reconnect(self) -> None:
        """Connect again if the connection broke. Raises RolloutError `E-no-connection`."""
        if self.connection.closed:
            self.connection = connect(self.dsn, self.name)

    def forget(self) -> None:
        """Delete the record: access is open."""
        with suppress(FileNotFoundError, NotADirectoryError):
            self.file.unlink()

    def locked_out(self, said: str) -> RolloutError:
        """Return the RolloutError `E-locked-out` for access that could not be opened."""
        return RolloutError(
            f"E-locked-out  access to {self.database} is closed and could not be opened: {' '.join(said.split())}\n"
            f"OPEN IT ON THIS HOST:  {self.opening_command()}",
            locked_out=True,
        )

    def opening_command(self) -> str:
        """Return the one shell command that opens access by hand on this host."""
        ours = opening_command(str(self.file.parent), self.database) if self.file.exists() else None
        return ours or self._by_hand()

    def saved(self) -> dict[str, Any] | None:
        """Return the record; None if there is none. Raises RolloutError `E-access-file` if it makes no sense."""
        return read_record(self.file)


def record_file(state_directory: str, database: str) -> Path:
    """Return the path of the record of access to a database."""
    return Path(state_directory) / f"access-{database}.json"


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record so that it survives whole, even if the host loses its power right after this. Raises OSError."""
    whole_file.private_directory(path.parent)
    whole_file.replace(path, json.dumps(record).encode())


def read_record(path: Path) -> dict[str, Any] | None:
    """Return a record; None if there is none. Raises RolloutError `E-access-file` for one that makes no sense."""
    try:
        return whole_file.read_object(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise RolloutError(f"E-access-file  {path} makes no sense: {error}. Look at it, then delete it.") from error
