"""The preflight's trial: what the outage does first, done on connections of its own and rolled back (R18).

Nothing of it waits, nor keeps a table locked that users need. Patches are not tried: they lock tables, and qastaging
has tried them.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Callable, Iterator

from ...rollout_core.preflight import trial as judge
from ...rollout_core.preflight.findings import Finding
from ..database.access.postgres import access
from ..database.connection import RolloutError, connect
from ..database.driver import psycopg
from .base import Inspection

_BRIEFLY = "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '10s'"
_TABLE = "CREATE TABLE rollout_preflight_trial (id integer PRIMARY KEY, name text)"
# A row as patches insert theirs, of a number that no patch has.
_ROW = """
    INSERT INTO LaunchpadDatabaseRevision (major, minor, patch) VALUES (9999, 99, 9);
    UPDATE LaunchpadDatabaseRevision SET end_time = start_time WHERE (major, minor, patch) = (9999, 99, 9)"""


def trial(inspection: Inspection) -> list[Finding]:
    """Close and open access, make a table and write a row of the revision table, each rolled back."""
    params = inspection.params
    with connect(params["dsn"], "preflight trial") as connection:
        ours = access(connection, params["dsn"], params["state_directory"], params["pools"])

        def close_and_open() -> None:
            if ours.opens_at_commit:  # otherwise it is no transaction's, and the consoles have been asked
                ours.close()
                ours.open_with(connection)

        steps: list[tuple[str, Callable[[], Any]]] = [
            ("close and open access", close_and_open),
            ("make a table", lambda: connection.execute(_TABLE)),
            ("write a row of the revision table", lambda: connection.execute(_ROW)),
        ]
        return [judge.trial([_tried(connection, what, step) for what, step in steps])]


def _tried(connection: psycopg.Connection[Any], what: str, step: Callable[[], Any]) -> tuple[str, str | None, str]:
    """Do something and roll it back; return what, the error (None: it went well), and its SQLSTATE."""
    try:
        with _rolled_back(connection):
            step()
    except (psycopg.Error, RolloutError) as error:
        said = getattr(getattr(error, "diag", None), "message_primary", None) or " ".join(str(error).split())
        return what, said, getattr(error, "sqlstate", None) or ""
    return what, None, ""


@contextmanager
def _rolled_back(connection: psycopg.Connection[Any]) -> Iterator[None]:
    with connection.transaction(force_rollback=True):
        connection.execute(_BRIEFLY)
        yield
