"""Upgrades a database that nobody depends on, with access open, and writes a log (R9, R12).

The log has the format that the real upgrade script writes and that the budget of R9 is read from. One difference is
intended: the real script writes `applied just now` before it knows whether anything is kept, this one after the commit.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Sequence

from ...rollout_core.schema.patches import PatchName
from ...rollout_core.schema.permissions_file import WantedPermissions
from . import permissions
from .applying import apply_patches, prepare
from .connection import (
    Patch,
    PatchError,
    Provenance,
    RevisionRow,
    RolloutError,
    one_row,
    refuse_unsound,
    transaction_status,
    what_was_kept,
)
from .outage.run import WorkError

_LAST_MONTH = timedelta(days=30)


def upgrade(
    connection: Any,
    before: Sequence[RevisionRow],
    pending: Sequence[Patch],
    provenance: Provenance,
    log_file: str | None = None,
    wanted: WantedPermissions | None = None,
) -> list[dict[str, Any]]:
    """Apply all of `pending` in one transaction; return [{patch, title, seconds}]. `before` are the rows before that.

    `wanted` are permissions that are applied in the same transaction, as the outage does, and rolled back: it is a try.
    Raises RolloutError `E-unsound-patch` before anything; `E-patch-failed`, `E-permissions-…`, or `E-server-fault` if
    no patch is to blame, after everything is rolled back.
    """
    refuse_unsound(pending)
    write = _writer(log_file)
    write("INFO", "Applying patches.")
    prepared = prepare(connection, pending, provenance)
    database = connection.info.dbname
    try:
        with connection.transaction():
            (transaction,) = one_row(connection, "SELECT pg_current_xact_id()::text")
            seconds = apply_patches(connection, prepared, lambda p: write("INFO", f"Applying {p.path}"))
            if wanted is not None:
                with connection.transaction(force_rollback=True):
                    permissions.apply(connection, wanted)
    except WorkError as error:
        write("CRITICAL", str(error))
        raise RolloutError(f"{error}\n{_kept(connection, before, transaction)}\nThen: {error.then}") from error
    except PatchError as error:
        write("CRITICAL", str(error))
        what = f"E-server-fault  the server failed at {error}" if error.remedy else None
        then = error.remedy or f"fix {error.patch.name} or back it out (R17)"
        raise RolloutError(
            f"{what or f'E-patch-failed  {database} did not take {error}'}.\n"
            f"{_kept(connection, before, transaction)}\nThen: {then}, and run this stage again.",
            patch=str(error.patch.name),
            line=error.line,
            sqlstate=error.sqlstate,
        ) from error
    applied = [
        {"patch": str(patch.name), "title": patch.title, "seconds": round(seconds[str(patch.name)], 3)}
        for patch in pending
    ]
    for line in _timings(before, applied):
        write("INFO", line)
    return applied


def _kept(connection: Any, before: Sequence[RevisionRow], transaction: str) -> str:
    if connection.closed:
        return "The connection is lost: a transaction that had not been committed is rolled back."
    return what_was_kept(connection, before, transaction_status(connection, transaction, 0))


def _timings(before: Sequence[RevisionRow], applied: Sequence[dict[str, Any]]) -> list[str]:
    """Return the log's lines: what was applied earlier in the last month, then what was applied now."""
    since = datetime.now(timezone.utc).replace(tzinfo=None) - _LAST_MONTH
    lines = [
        f"{row.name.number} previously applied {row.start_time:%Y-%m-%d} in {row.seconds:.1f} seconds"
        for row in before
        if row.seconds is not None and row.start_time > since
    ]
    for patch in applied:
        number = PatchName.parse(patch["patch"]).number
        lines.append(f"{number} applied just now in {patch['seconds']:.1f} seconds")
    return lines


def _writer(log_file: str | None) -> Callable[[str, str], None]:
    """Return a function that appends one line to the log, or does nothing without a log."""

    def write(level: str, text: str) -> None:
        if log_file:
            with Path(log_file).open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} {level:<7} {text}\n")

    if log_file:
        Path(log_file).parent.mkdir(parents=True, exist_ok=True)
    return write
