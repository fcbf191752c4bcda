"""A user who tries to connect to production all the time: this measures when users are out."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import TracebackType

import psycopg

INTERVAL = 0.05  # seconds between two attempts


class Probe:
    """Tries to connect while its block runs. `changes` are the instants (UTC) at which the answer changed."""

    def __init__(self, dsn: str) -> None:
        """Set up the probe; `dsn` is an ordinary user's, for closed access lets superusers pass."""
        self.changes: list[tuple[datetime, bool]] = []
        self._dsn = dsn
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Probe:
        """Start to try; the first attempt is made when this returns."""
        self._attempt()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stop trying."""
        self._over.set()
        self._thread.join()

    @property
    def users_are_in(self) -> bool:
        """Return True if the latest attempt got in."""
        return self.changes[-1][1]

    @property
    def in_since(self) -> datetime | None:
        """Return since when users can get in; None while they cannot."""
        at, users_are_in = self.changes[-1]
        return at if users_are_in else None

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            self._attempt()

    def _attempt(self) -> None:
        try:
            psycopg.connect(self._dsn, connect_timeout=5).close()
            users_are_in = True
        except psycopg.OperationalError:
            users_are_in = False
        if not self.changes or self.users_are_in != users_are_in:
            self.changes.append((datetime.now(UTC), users_are_in))
