"""Bounds the waits for locks while access is closed: attempts, seconds, and whose locks they are (R19).

Once a wait is over, PostgreSQL no longer says who was waited for. So a thread looks while we wait.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import Any, Callable, Iterator

from ..applying import UNDO_TRY, State
from ..connection import Patch, PatchError
from ..driver import psycopg
from ..outage.run import WorkError

NOT_AVAILABLE = "55P03"
_BLOCKERS = """
    SELECT DISTINCT blocker, usename, application_name, state, left(query, 100)
    FROM unnest(pg_blocking_pids(%s)) AS blocker LEFT JOIN pg_stat_activity ON pid = blocker ORDER BY 1"""


class LockWaits:
    """The bounds for the transaction of `connection`: each patch gets `attempts`, each wait for a lock `seconds`."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        watching: psycopg.Connection[Any],
        seconds: float,
        attempts: int,
        timeout: Callable[[], float | None],
    ) -> None:
        """Take `watching`, another session, and `timeout`, the seconds that a statement may take now (None: any)."""
        self.connection = connection
        self.watching = watching
        self.seconds, self.attempts, self.timeout = seconds, attempts, timeout
        self.blockers: list[str] = []
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Keep `blockers` up to date while the block runs."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(5)

    def apply(self, patch: Patch, apply: Callable[[str], State], between: Callable[[str], None]) -> State:
        """Apply a patch, and again if it does not get a lock; before that, `between` gets a remark. Return its state.

        Raises WorkError `E-lock-timeout` with who holds the lock, or PatchError.
        """
        attempt = 1
        while True:
            try:
                return apply(self.belts())
            except PatchError as error:
                if error.sqlstate != NOT_AVAILABLE:
                    raise
                if attempt == self.attempts:
                    raise self.failed(str(error), attempt) from error
            self.connection.execute(UNDO_TRY)
            between(f"{patch.name} did not get a lock in {self.seconds:g} s: held by {self._held}")
            attempt += 1

    def failed(self, said: str, attempts: int) -> WorkError:
        """Return the WorkError `E-lock-timeout`, with what the server said and how often it was tried."""
        times = "once" if attempts == 1 else f"{attempts} times"
        told = f"E-lock-timeout  {said}, {times} after {self.seconds:g} s.\nHELD BY: {self._held}"
        return WorkError(told, "end what holds the lock, and ./runbook.py run preflight")

    def belts(self) -> str:
        """Return the settings that bound what follows them in its message: `SET LOCAL …; `."""
        left = self.timeout()
        belt = "" if left is None else f"SET LOCAL statement_timeout = {max(1, int(left * 1000))}; "
        return f"{belt}SET LOCAL lock_timeout = {max(1, int(self.seconds * 1000))}; "

    @property
    def _held(self) -> str:
        return "; ".join(self.blockers) or "nobody who could be seen"

    def _watch(self) -> None:
        every = max(0.05, self.seconds / 4)
        with suppress(psycopg.Error):
            while not self._over.wait(every):
                rows = self.watching.execute(_BLOCKERS, [self.connection.info.backend_pid]).fetchall()
                if rows:
                    self.blockers = [_text(*row) for row in rows]


def _text(pid: int, user: str | None, application: str | None, state: str | None, query: str | None) -> str:
    if not pid:
        return "a prepared transaction (see pg_prepared_xacts)"
    doing = " ".join((query or "").split())
    return f"session {pid} ({user or 'no user'}, {application or 'no name'}), {state}: {doing}"
