"""The work of a schema undo after its commit: the undo files, in one transaction (R17, R19).

The file `permissions`, if given, says what permissions were before; they are set in the same transaction.
"""

from __future__ import annotations

from typing import Any, Mapping

from ....rollout_core.schema.patches import PatchName
from .. import permissions
from ..access.base import Access
from ..applying import prepare
from ..connection import PatchError, RolloutError, revision_rows, transaction_status
from ..driver import psycopg
from ..outage.answer import changes
from ..outage.run import Outage
from .lock_waits import LockWaits
from .patches import Patching, attempted, begins
from .undo_files import apply_undos, read_undos


class SchemaUndo(Patching):
    """Runs the undo files of the pinned patches. Committed means here that none of the patches has a row any more."""

    _failed = "E-undo-failed"

    def __init__(self, params: Mapping[str, Any], access: Access) -> None:
        """Read the undo files. Raises RolloutError for those missing, not sound, or not as tried on a copy."""
        self.params = params
        self.access = access
        self.before = revision_rows(access.connection)
        self.pending = read_undos(params["schema_directory"], params["patches"], self.before, params["undo_files"])
        self.prepared = prepare(access.connection, self.pending, None)
        self.permissions = permissions.read(params["permissions"]) if params.get("permissions") else None
        self.transaction: str | None = None
        self._witness = None
        self._remembered = None
        self._tables: dict[int, int] = {}

    def checked(self) -> dict[str, Any]:
        """Return what the module would answer, with the rows as they would be."""
        gone = {undo.name.row for undo in self.pending}
        result = changes(self.before, [row for row in self.before if row[:3] not in gone])
        said = f"no outage: check mode, {len(self.pending)} patches are to be undone"
        return {**result, "committed": not self.pending, "summary": said}

    def _patch(self, outage: Outage, waits: LockWaits) -> None:
        """Execute everything that belongs into the one transaction. Raises WorkError, psycopg.Error."""
        with self._explained():
            apply_undos(self.connection, self.prepared, begins(outage), attempted(outage, waits))
        self._permit(outage, waits)

    def _remedy(self, error: PatchError) -> str:
        """Return what to do about an undo file that failed by its own fault."""
        return f"mend {error.patch.name}, and ./runbook.py run check: it is tried on a copy again"

    def kept(self, connection: psycopg.Connection[Any]) -> tuple[bool, str]:
        """Look what became of the transaction, and for the rows; return whether all are gone, and a sentence."""
        status = self._status(connection)
        there = {row[:3] for row in revision_rows(connection)}
        gone = [undo.name for undo in self.pending if undo.name.row not in there]
        if gone and len(gone) == len(self.pending):
            return True, "All of it is undone."
        if gone:
            return False, f"GONE: the rows {', '.join(name.number for name in gone)} are not in the table any more."
        if status == "committed":
            return False, "KEPT: the transaction was committed before its end: see how far the schema was changed."
        return False, "Nothing was undone: the rows are as before."

    def verified(self, connection: psycopg.Connection[Any], measured: dict[str, Any]) -> dict[str, Any]:
        """Read the rows again, after the commit; whatever fails from here on, the old schema is in."""
        try:
            rows = revision_rows(connection)
        except psycopg.Error as error:
            told = f"E-rows-unread  the schema undo is committed, but the rows could not be read again: {error}"
            raise RolloutError(told, committed=True, irreversible=True, **measured) from error
        left = sorted({undo.name.row for undo in self.pending} & {row[:3] for row in rows})
        if left:
            raise RolloutError(f"E-rows-left  the commit succeeded, yet these rows are still there: {left}", **measured)
        return {**changes(self.before, rows), "committed": True}

    @staticmethod
    def found(
        params: Mapping[str, Any],
        connection: psycopg.Connection[Any],
        state: Mapping[str, Any] | None,
        *,
        at_work: bool,
    ) -> tuple[bool | None, str]:
        """Return what became of the work by the rows of the undone patches, once the transaction is over."""
        patches = {PatchName.parse(name).row for name in params["patches"]}
        status = transaction_status(connection, (state or {}).get("transaction"), 0)
        there = patches & {row[:3] for row in revision_rows(connection)}
        if not there and patches:
            return True, "the patches are undone"
        if at_work or status == "in progress":
            return None, "whether it commits is open: its session is still at work"
        if there != patches:
            return (
                None,
                f"{len(there)} of {len(patches)} rows are in the table, which no schema undo of ours leaves behind",
            )
        return False, "nothing was undone: the rows are as before"
