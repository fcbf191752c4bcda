"""Our own work in an outage: the pinned patches in one transaction, verified by their rows (R9, R18)."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Callable, Mapping, Sequence

from ....rollout_core.schema.patches import PatchName
from ....rollout_core.schema.transaction import HOT_PATCH, HOT_PATCH_STATES
from .. import permissions
from ..access.base import Access
from ..connection import (
    TRANSACTION_TIMEOUT,
    Patch,
    PatchError,
    Provenance,
    RolloutError,
    apply_patches,
    connect,
    one_row,
    pending_patches,
    refuse_other_patches,
    refuse_unsound,
    revision_rows,
    session_names,
    transaction_status,
    what_was_kept,
)
from ..driver import psycopg
from ..outage.answer import changes
from ..outage.run import Outage, OutageWork, WorkError
from ..upgrade_script import refuse_missing
from .lock_waits import LockWaits
from .script_run import run_permissions

# The server's own timeouts are belts: they come after the deadline, for a worker that does not keep it.
_MARGIN_SECONDS = 15.0
_SETTLES_SECONDS = 10.0
# Tables of the site with where their rows are: that changes when a table is rewritten.
_TABLES = """
    SELECT oid, relfilenode FROM pg_class
    WHERE relkind IN ('r', 'm', 'p') AND relpersistence <> 't' AND oid >= 16384"""
_ANALYZE = """
    SELECT pg_class.oid, quote_ident(nspname) || '.' || quote_ident(relname)
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = ANY (%s) ORDER BY 2"""


class Patching(OutageWork):
    """Applies the pending patches, which must be the pinned ones."""

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Read the patches. Raises RolloutError for others than were pinned, and for those that cannot be applied."""
        self.params = params
        self.access = access
        self.before = revision_rows(access.connection)
        self.pending = pending_patches(params["schema_directory"], self.before)
        refuse_other_patches(params["patches"], params.get("digests") or [], self.pending, self.before)
        refuse_unsound(self.pending)
        self.permissions = permissions.read(params["permissions"]) if params.get("permissions") else None
        if params.get("permissions_command"):
            refuse_missing(params["permissions_command"], params["schema_directory"], "database_permissions_command")
        self.transaction: str | None = None
        self._tables: dict[int, int] = {}

    @property
    def wanted(self) -> bool:
        """Return True if any patch is pending."""
        return bool(self.pending)

    def checked(self) -> dict[str, Any]:
        """Return what the module would answer, with the rows as they would be."""
        result = changes(self.before, [*self.before, *(patch.name.row for patch in self.pending)])
        said = f"no outage: check mode, {len(self.pending)} patches are pending"
        return {**result, "committed": not self.pending, "summary": said}

    def __enter__(self) -> Patching:
        """Connect, set the time limits, and remember where the tables' rows are."""
        self.connection = connect(self.params["dsn"], session_names(self.params["run_id"])[0])
        seconds, deadline = self.params.get("lock_timeout_seconds") or 10, self.params.get("deadline_seconds")
        self.connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds:.3f}s"])
        if deadline is not None and self.connection.info.server_version >= TRANSACTION_TIMEOUT:
            belt = f"{deadline + _MARGIN_SECONDS:.3f}s"
            self.connection.execute("SELECT set_config('transaction_timeout', %s, false)", [belt])
        self._tables = dict(self.access.connection.execute(_TABLES).fetchall())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.connection.close()

    def run(self, outage: Outage) -> None:
        """Apply the patches and commit; the commit opens access if that kind of access can."""
        opens = outage.access.opens_at_commit and not self.params.get("permissions_command")
        waits = LockWaits(
            self.connection,
            outage.access.connection,
            self.params.get("lock_timeout_seconds") or 10,
            self.params.get("lock_attempts") or 3,
            lambda: None if (left := outage.seconds_left()) is None else left + _MARGIN_SECONDS,
        )
        self.connection.add_notice_handler(lambda notice: _remark(notice, outage.warnings))
        with waits.watched(), self.connection.transaction():
            with outage.interruptible():
                try:
                    self._patch(outage, waits)
                    self._ready(outage, opens=opens)
                except psycopg.errors.LockNotAvailable as error:
                    raise waits.failed(" ".join(str(error).split()), 1) from error
            outage.note(transaction=self.transaction)  # the point of no return
        if opens:
            outage.opened()
        if self.params.get("permissions_command"):
            run_permissions(outage, self.params)

    def _ready(self, outage: Outage, *, opens: bool) -> None:
        """Do everything of the commit that can still fail or wait, and learn the transaction's number."""
        outage.begin("commit and open access" if opens else "commit")
        # Deferred triggers run now, where they can be stopped: a COMMIT that was sent cannot be. Its warnings are told,
        # though patches are used to silencing them.
        self.connection.execute("SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL client_min_messages = warning")
        if opens:
            outage.access.open_with(self.connection)
        (self.transaction,) = one_row(self.connection, "SELECT pg_current_xact_id()::text")

    def _patch(self, outage: Outage, waits: LockWaits) -> None:
        """Execute everything that belongs into the one transaction. Raises WorkError, psycopg.Error."""
        provenance = Provenance(*(self.params.get(key) for key in ("branch_nick", "revno", "revid")))
        attempts = attempted(outage, waits)
        try:
            apply_patches(
                self.connection, self.pending, provenance, lambda patch: outage.begin(str(patch.name)), attempts
            )
        except PatchError as error:
            fix = HOT_PATCH if error.sqlstate in HOT_PATCH_STATES else f"fix {error.patch.name}"
            then = f"{fix}, or back it out (R17), and ./runbook.py run select"
            raise WorkError(f"E-patch-failed  the database did not take {error}.", then) from error
        if self.permissions is not None:
            outage.begin(permissions.STEP)
            permissions.apply(self.connection, self.permissions)

    def abandon(self) -> None:
        """Close our connection: if it is still at work, the server stops it."""
        self.connection.close()

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Look what became of the transaction, and for the rows; return whether all are there, and a sentence."""
        transaction_status(connection, self.transaction, _SETTLES_SECONDS)
        rows = {row[:3] for row in revision_rows(connection)}
        return {patch.name.row for patch in self.pending} <= rows, what_was_kept(connection, self.before)

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Read the rows again, after the commit; whatever fails from here on, the patches are in."""
        try:
            rows = revision_rows(connection)
        except psycopg.Error as error:
            told = f"E-rows-unread  the patches are committed, but the rows could not be read again: {error}"
            raise RolloutError(told, committed=True, irreversible=True, **measured) from error
        missing = sorted({patch.name.row for patch in self.pending} - {row[:3] for row in rows})
        if missing:
            told = f"E-rows-missing  the commit succeeded, yet these rows are not there: {missing}"
            raise RolloutError(told, **measured)
        return {**changes(self.before, rows), "committed": True}

    def after(self, connection: psycopg.Connection[Any], begin: Callable[[str], None]) -> dict[str, Any]:
        """ANALYZE tables that were rewritten or created: the planner knows nothing of them, and autovacuum is late."""
        try:
            now = dict(connection.execute(_TABLES).fetchall())
            changed = [oid for oid, filenode in now.items() if self._tables.get(oid) != filenode]
            if not changed:
                return {"analyzed": []}
            begin("analyze")
            # Statistics are no reason to wait for a standby, or for whoever locks a table.
            connection.execute("SET synchronous_commit = local; SET lock_timeout = '10s'")
            names = connection.execute(_ANALYZE, [changed]).fetchall()
            return analyze(connection, [name for _, name in names])
        except psycopg.Error as error:
            return {"analyzed": [], "warnings": [f"nothing was analyzed: {' '.join(str(error).split())}"]}

    @staticmethod
    def found(
        params: Mapping[str, Any],
        connection: psycopg.Connection[Any],
        state: Mapping[str, Any] | None,
        *,
        at_work: bool,
    ) -> tuple[bool | None, str]:
        """Return what became of the work by the rows of the pinned patches, once its transaction is over."""
        pinned = {PatchName.parse(name).row for name in params["patches"]}
        status = transaction_status(connection, (state or {}).get("transaction"), 0)
        there = pinned & {row[:3] for row in revision_rows(connection)}
        if there == pinned and pinned:
            return True, "the patches are committed"
        if at_work or status == "in progress":
            return None, "whether it commits is open: its session is still at work"
        if there:
            told = f"{len(there)} of {len(pinned)} rows are in the table, which no outage of ours leaves behind"
            return None, told
        return False, "nothing was kept: the rows are as before"


def attempted(outage: Outage, waits: LockWaits) -> Callable[[Patch, Callable[[], None]], None]:
    """Return a function that applies a patch, again if it gets no lock; between attempts, users' sessions are ended."""

    def between(remark: str) -> None:
        outage.warnings.append(remark)
        outage.note(warnings=outage.warnings)
        outage.access.end_sessions()

    return lambda patch, apply: waits.apply(patch, apply, between)


def analyze(connection: psycopg.Connection[Any], tables: Sequence[str]) -> dict[str, Any]:
    """ANALYZE tables (their quoted names); return `analyzed`, [{table, seconds}], and `warnings`."""
    analyzed, warnings = [], []
    for table in tables:
        begun = time.monotonic()
        try:
            connection.execute(f"ANALYZE {table}".encode())
        except psycopg.Error as error:
            warnings.append(f"{table} was not analyzed: {' '.join(str(error).split())}")
        else:
            analyzed.append({"table": table, "seconds": round(time.monotonic() - begun, 3)})
    return {"analyzed": analyzed, "warnings": warnings}


def _remark(notice: psycopg.errors.Diagnostic, warnings: list[str]) -> None:
    """Keep the server's warning that a commit was not waited for, which only the committing session gets."""
    if "synchronous replication" in (notice.message_primary or ""):
        warnings.append(f"{notice.message_primary}: {notice.message_detail or 'the commit is local'}")
