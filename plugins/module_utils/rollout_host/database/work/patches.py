"""Our own work in an outage: the pinned patches in one transaction, verified by their rows (R9, R18)."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Callable, Iterator, Mapping, Sequence

from ....rollout_core.schema.patches import PatchName
from ....rollout_core.schema.transaction import HOT_PATCH, HOT_PATCH_STATES
from .. import permissions
from ..access.base import Access
from ..applying import State, apply_patches, prepare
from ..connection import (
    TRANSACTION_TIMEOUT,
    Patch,
    PatchError,
    Provenance,
    RolloutError,
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
_AGAIN = "./runbook.py run preflight"
# Tables of the site with where their rows are: that changes when a table is rewritten.
_TABLES = """
    SELECT oid, relfilenode FROM pg_class
    WHERE relkind IN ('r', 'm', 'p') AND relpersistence <> 't' AND oid >= 16384"""
# What is told as committed is on disk, whatever the database or the role has set. Deferred triggers run now, where they
# can be stopped: a COMMIT that was sent cannot be. Its warnings are told.
_READY = """
    SELECT set_config('synchronous_commit', 'local', true) WHERE current_setting('synchronous_commit') = 'off';
    SET LOCAL client_min_messages = warning; SET CONSTRAINTS ALL IMMEDIATE"""
_ANALYZE = """
    SELECT pg_class.oid, quote_ident(nspname) || '.' || quote_ident(relname)
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE pg_class.oid = ANY (%s) ORDER BY 2"""


class Patching(OutageWork):
    """Applies the pending patches, which must be the pinned ones."""

    _failed = "E-patch-failed"

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Read the patches. Raises RolloutError for others than were pinned, and for those that cannot be applied."""
        self.params = params
        self.access = access
        self.before = revision_rows(access.connection)
        self.pending = pending_patches(params["schema_directory"], self.before)
        refuse_other_patches(params["patches"], params.get("digests") or [], self.pending, self.before)
        refuse_unsound(self.pending)
        provenance = Provenance(*(params.get(key) for key in ("branch_nick", "revno", "revid")))
        self.prepared = prepare(access.connection, self.pending, provenance)
        self.permissions = permissions.read(params["permissions"]) if params.get("permissions") else None
        if params.get("permissions_command"):
            refuse_missing(params["permissions_command"], params["schema_directory"], "database_permissions_command")
        self.transaction: str | None = None
        self._remembered: permissions.Remembered | None = None
        self._witness: psycopg.Connection[Any] | None = None  # as long as it lives, the server did not restart
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
        seconds, deadline = self.params.get("lock_timeout_seconds") or 10, self.params.get("deadline_seconds")
        settings = {"lock_timeout": f"{seconds * 1000:.0f}"}  # what RESET ALL after each patch goes back to
        if deadline is not None and self.access.connection.info.server_version >= TRANSACTION_TIMEOUT:
            settings["transaction_timeout"] = f"{(deadline + _MARGIN_SECONDS) * 1000:.0f}"
        self.connection = connect(self.params["dsn"], session_names(self.params["run_id"])[0], **settings)
        self._witness = self.access.connection
        if self.permissions is not None:
            self._remembered = permissions.remember(self.access.connection, self.permissions)
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
            (self.transaction,) = one_row(self.connection, "SELECT pg_current_xact_id()::text")
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
        """Do everything of the commit that can still fail or wait."""
        outage.begin("commit and open access" if opens else "commit")
        self.connection.execute(_READY)
        if opens:
            outage.access.open_with(self.connection)

    def _patch(self, outage: Outage, waits: LockWaits) -> None:
        """Execute everything that belongs into the one transaction. Raises WorkError, psycopg.Error."""
        with self._explained():
            apply_patches(self.connection, self.prepared, begins(outage), attempted(outage, waits))
        self._permit(outage, waits)

    def _permit(self, outage: Outage, waits: LockWaits) -> None:
        """Set the permissions of the file, if there is one."""
        self.connection.execute(waits.belts().encode())
        if self.permissions is not None:
            outage.begin(permissions.STEP)
            permissions.apply(self.connection, self.permissions, self._remembered)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Raise WorkError for a PatchError in this block: whose fault it is, and what to do."""
        try:
            yield
        except PatchError as error:
            told, then = f"{self._failed}  the database did not take {error}.", self._remedy(error)
            if error.remedy:
                told, then = f"E-server-fault  the server failed at {error}.", f"{error.remedy}, and {_AGAIN}"
            facts = {}
            with suppress(psycopg.Error):  # the server is away; what was kept is looked for again
                if transaction_status(self.access.connection, self.transaction, 0) == "committed":
                    facts = {"irreversible": True}
            raise WorkError(told, then, **facts) from error

    def _remedy(self, error: PatchError) -> str:
        """Return what to do about a patch that failed by its own fault."""
        fix = HOT_PATCH if error.sqlstate in HOT_PATCH_STATES else f"fix {error.patch.name}"
        return f"{fix}, or back it out (R17), and ./runbook.py run select"

    def abandon(self) -> None:
        """Close our connection: if it is still at work, the server stops it."""
        self.connection.close()

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Look what became of the transaction, and for the rows; return whether all are there, and a sentence."""
        status = self._status(connection)
        rows = {row[:3] for row in revision_rows(connection)}
        done = {patch.name.row for patch in self.pending} <= rows
        return done, what_was_kept(connection, self.before, None if done else status)

    def _status(self, connection: psycopg.Connection[Any]) -> str | None:
        """Return what became of the transaction, once it is over; None if the number may be another's after a crash."""
        status = transaction_status(connection, self.transaction, _SETTLES_SECONDS)
        return status if connection is self._witness else None

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
        """ANALYZE tables that were rewritten or created: the planner knows nothing of them, and autovacuum is late.

        Permissions are read once more, all of them: in the outage what was as wanted before was not.
        """
        warnings = []
        try:
            if self.permissions is not None:
                left = permissions.difference(connection, self.permissions).statements
                warnings += [f"not as {self.permissions.path} says, it lacks: {statement}" for statement in left]
            now = dict(connection.execute(_TABLES).fetchall())
            changed = [oid for oid, filenode in now.items() if self._tables.get(oid) != filenode]
            if not changed:
                return {"analyzed": [], "warnings": warnings}
            begin("analyze")
            # Statistics are no reason to wait for a standby, or for whoever locks a table.
            connection.execute("SET synchronous_commit = local; SET lock_timeout = '10s'")
            names = connection.execute(_ANALYZE, [changed]).fetchall()
            analyzed = analyze(connection, [name for _, name in names])
            return {**analyzed, "warnings": warnings + analyzed["warnings"]}
        except psycopg.Error as error:
            return {"analyzed": [], "warnings": [*warnings, f"nothing was analyzed: {' '.join(str(error).split())}"]}

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


def begins(outage: Outage) -> Callable[[Patch], None]:
    """Return a function that begins the step of a patch or an undo file."""
    return lambda patch: outage.begin(str(patch.name))


def attempted(outage: Outage, waits: LockWaits) -> Callable[[Patch, Callable[[str], State]], State]:
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
