"""The gate: whether users may connect to a database at all (R18).

Closing sets the database's connection limit to 0, which superusers pass, and ends the sessions that are there. The
limit it had is first saved in a file on the host, so that a gate which a killed run left closed is known as ours and
opened again.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator

from .rollout_database import RolloutError, connect

with suppress(ImportError):  # rollout_database.PSYCOPG_IMPORT_ERROR says so
    import psycopg
    from psycopg import sql

CLOSED = 0
# Sessions of users: superusers pass the gate, and the system's own processes and replication have to go on.
_USERS = """
    FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE datname = current_database() AND backend_type = 'client backend' AND NOT rolsuper"""
_ORPHANS = """
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'rollout %%' AND pid <> ALL (%(ours)s)"""


class Gate:
    """The gate of the database that `connection` (a superuser's, in autocommit mode) is connected to.

    `dsn` is what it was connected with: should it break while the gate is closed, opening connects again.
    """

    def __init__(self, connection: psycopg.Connection[Any], dsn: str, state_directory: str) -> None:
        """Keep the saved limit in `state_directory`, which is made when it is first needed."""
        self.connection = connection
        self.dsn = dsn
        self.database = connection.info.dbname
        self.name = connection.info.get_parameters().get("application_name", "")
        self.file = Path(state_directory) / f"gate-{self.database}.json"

    def state(self) -> tuple[str, dict[str, Any] | None]:
        """Return (`open`, None), (`left closed`, what the killed run saved), or (`closed by someone else`, None)."""
        saved = self._saved()
        if self._limit() != CLOSED:
            return "open", None
        return ("left closed", saved) if saved else ("closed by someone else", None)

    def refuse_if_closed_by_someone_else(self) -> dict[str, Any] | None:
        """Return what a killed run of ours saved (None: the gate is open), or raise RolloutError `E-gate-closed`."""
        state, saved = self.state()
        if state == "closed by someone else":
            raise RolloutError(
                f"E-gate-closed  {self.database} takes no connections (its limit is 0), and no run of ours closed it: "
                f"there is no {self.file}.\nNothing was touched. Ask who closed it, and why.\n"
                f"Open it:  {self.opening_command(-1)}\nThen: run this again."
            )
        return saved

    @contextmanager
    def taken_over(self) -> Iterator[str | None]:
        """Open a gate that a killed run of ours left closed at the end of the block, however it ends.

        Gives the id of that run, None when the gate is open. Raises RolloutError `E-gate-closed` when it is not ours.
        """
        left = self.refuse_if_closed_by_someone_else()
        if left is None:
            yield None
            return
        try:
            yield left["run_id"]
        except RolloutError as error:
            if not error.facts.get("locked_out"):
                self.open(left["connection_limit"])
                remark = f"The gate, which {left['run_id']} had left closed, is open again."
                raise RolloutError(f"{error}\n{remark}", **error.facts) from error
            raise
        finally:
            self.open(left["connection_limit"])

    def save(self, run_id: str) -> int:
        """Save the limit for whoever has to open the gate after us, durably, before it is closed. Returns it."""
        saved = self._saved() if self._limit() == CLOSED else None
        if saved is None:
            saved = {"database": self.database, "connection_limit": self._limit(), "run_id": run_id}
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self.file.with_suffix(".new")
            with new.open("w") as file:
                json.dump(saved, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.file)
            descriptor = os.open(self.file.parent, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        return int(saved["connection_limit"])

    def close(self) -> None:
        """Let nobody but superusers connect any more; sessions stay. `save` comes first."""
        self.connection.execute(self._statement(CLOSED))

    def end_sessions(self, seconds: float = 10) -> int:
        """End the users' sessions and return how many there were. After `seconds`, raises E-sessions-stay."""
        ended: set[int] = set()
        deadline = time.monotonic() + seconds
        # A client that was just connecting when the gate closed shows up late, so this looks until nobody is left.
        while pids := [pid for pid, _ in self.connection.execute("SELECT pid, pg_terminate_backend(pid)" + _USERS)]:
            ended.update(pids)
            if time.monotonic() > deadline:
                raise RolloutError(
                    f"E-sessions-stay  {len(pids)} sessions of {self.database} did not end: pids {pids[:10]}"
                )
            time.sleep(0.005)
        return len(ended)

    def end_orphans(self, ours: list[int]) -> int:
        """End what a killed run left behind, and wait for it. Only for the holder of the lock: nobody owns these."""
        orphans = "SELECT pid, pg_terminate_backend(pid, 5000)" + _ORPHANS
        return len(self.connection.execute(orphans, {"ours": ours}).fetchall())

    def open_with(self, connection: psycopg.Connection[Any], limit: int) -> None:
        """Open the gate in the transaction of `connection`: it opens at the commit, with the patches or not at all."""
        connection.execute(self._statement(limit))

    def open(self, limit: int, seconds: float = 30) -> None:
        """Open the gate if it is closed, whatever happened to the connection, and forget the saved limit.

        Tries for `seconds`; then raises RolloutError `E-locked-out` with `locked_out` and the command that opens it.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.connection.closed or self.connection.broken:
                    self.connection = connect(self.dsn, self.name)
                if self._limit() == CLOSED:
                    self.connection.execute(self._statement(limit))
                break
            except (psycopg.Error, RolloutError) as error:
                if time.monotonic() > deadline:
                    raise self.locked_out(limit, str(error)) from error
                time.sleep(0.2)
        self.forget()

    def forget(self) -> None:
        """Delete the saved limit: the gate is open."""
        if self.file.exists():
            self.file.unlink()

    def locked_out(self, limit: int, said: str) -> RolloutError:
        """Return the RolloutError `E-locked-out` for a gate that could not be opened."""
        return RolloutError(
            f"E-locked-out  the gate of {self.database} is closed and could not be opened: {' '.join(said.split())}\n"
            f"OPEN IT ON THIS HOST:  {self.opening_command(limit)}",
            locked_out=True,
        )

    def opening_command(self, limit: int) -> str:
        """Return the one shell command that opens the gate by hand on this host."""
        return shlex.join(["psql", self.dsn, "-c", self._statement(limit).as_string(None)])

    def _statement(self, limit: int) -> sql.Composed:
        statement = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        return statement.format(sql.Identifier(self.database), sql.SQL(str(int(limit))))

    def _limit(self) -> int:
        query = "SELECT datconnlimit FROM pg_database WHERE datname = current_database()"
        return int(self.connection.execute(query).fetchone()[0])

    def _saved(self) -> dict[str, Any] | None:
        try:
            saved = json.loads(self.file.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise RolloutError(
                f"E-gate-file  {self.file} makes no sense: {error}. Look at it, then delete it."
            ) from error
        return saved
