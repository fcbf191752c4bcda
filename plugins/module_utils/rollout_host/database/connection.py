"""PostgreSQL for the database modules: connections, revision rows, patches in one transaction (R9, R12, R18).

Connections take a libpq conninfo without a password: that comes from the host's ~/.pgpass. All durations are seconds.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any, Iterable, NamedTuple, Sequence

from ...rollout_core.schema import patches
from ...rollout_core.schema.patch_title import patch_title
from .conninfo import refusal, resolved
from .driver import make_conninfo, psycopg

_LOCK = 2208_0400  # any number will do, as long as everything that patches uses the same
_LOCK_HOLDER = """
    SELECT pid, usename, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %(key)s
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
TRANSACTION_TIMEOUT = 170000  # the first server_version that has it
# What our sessions set for themselves. The limits that a server, database or role has are meant for its users.
_OURS = (
    "timezone=UTC",
    "client_connection_check_interval=1s",
    "statement_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "idle_session_timeout=0",
)
_ROWS = """
    SELECT major, minor, patch, start_time, extract(epoch FROM end_time - start_time)::float AS seconds, revid
    FROM LaunchpadDatabaseRevision ORDER BY major, minor, patch"""
# What keeps track of the patches, for a service that begins. The patches insert the numbers, the rest is written after.
REVISION_TABLE = (
    "CREATE TABLE LaunchpadDatabaseRevision (major integer NOT NULL, minor integer NOT NULL, patch integer NOT NULL,"
    " start_time timestamp without time zone DEFAULT (transaction_timestamp() AT TIME ZONE 'UTC'),"
    " end_time timestamp without time zone DEFAULT (statement_timestamp() AT TIME ZONE 'UTC'),"
    " branch_nick text, revno integer, revid text,"
    " PRIMARY KEY (major, minor, patch))"
)


class RolloutError(Exception):
    """The failure of a module: the whole message, and facts for its result."""

    def __init__(self, message: str, **facts: Any) -> None:
        """Keep a message (first line `E-name  sentence`) and the facts that `fail_json` gets with it."""
        super().__init__(message)
        self.facts = facts


def message(error: Exception) -> str:
    """Return the message for an error of ours, or for an unexpected one of the host or the database."""
    if isinstance(error, RolloutError):
        first, *others = str(error).split("\n")
        return "\n".join([first, *(line if line.startswith(" ") else f"  {line}" for line in others)])
    return f"E-{'host' if isinstance(error, OSError) else 'database'}  {' '.join(str(error).split())}"


class PatchError(Exception):
    """An error: one patch could not be applied. `remedy` says what to do if the server is to blame, not the patch."""

    def __init__(
        self,
        patch: Patch,
        reason: str,
        line: int | None = None,
        sqlstate: str | None = None,
        remedy: str | None = None,
    ) -> None:
        """Keep the reason in one line, and the line number in the patch (None: it is about the whole patch)."""
        where = f"{patch.name}, line {line}" if line else str(patch.name)
        super().__init__(f"{where}: {reason}" + (f" [{sqlstate}]" if sqlstate else ""))
        self.patch, self.line, self.sqlstate, self.remedy = patch, line, sqlstate, remedy


class RevisionRow(NamedTuple):
    """One row of LaunchpadDatabaseRevision; `seconds` is end_time - start_time, `start_time` naive UTC.

    `revid` is the revision that its patch came from, None when nobody said.
    """

    major: int
    minor: int
    patch: int
    start_time: Any
    seconds: float | None
    revid: str | None

    @property
    def name(self) -> patches.PatchName:
        """Return the number of the patch that this row says is applied."""
        return patches.PatchName(self.major, self.minor, self.patch)


class Patch(NamedTuple):
    """A schema patch: its name, its text, and where that was read."""

    name: patches.PatchName
    text: str
    path: Path

    @property
    def title(self) -> str:
        """Return what the patch does in a line: its first comment or statement."""
        return patch_title(self.text)


class Provenance(NamedTuple):
    """The origin of a patch, as its row records it."""

    branch_nick: str | None = None
    revno: int | None = None
    revid: str | None = None


def connect(dsn: str, application_name: str, **settings: str) -> psycopg.Connection[Any]:
    """Connect in autocommit mode; when we die, the server rolls our transaction back within a second.

    `settings` are the session's: what RESET goes back to. Raises RolloutError `E-no-connection` with what libpq said.
    """
    if told := refusal(dsn):
        raise RolloutError(told)
    try:
        given = resolved(dsn)
        ours = [*_OURS, *(f"{name}={value}" for name, value in settings.items())]
        options = " ".join([given.get("options") or "", *(f"-c {each}" for each in ours)])
        timeout = given.get("connect_timeout") or 10
        conninfo = make_conninfo(
            dsn, application_name=application_name, options=options, connect_timeout=timeout, client_encoding="utf8"
        )
        connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
        known = connection.info.server_version >= TRANSACTION_TIMEOUT and "transaction_timeout" not in settings
        if known and one_row(connection, "SHOW transaction_timeout") != ("0",):  # RESET must not go back to it
            connection.close()
            return connect(dsn, application_name, transaction_timeout="0", **settings)
        return connection
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        raise RolloutError(f"E-no-connection  {said}\nTry it on this host:  psql '{dsn}'") from error


def session_names(run_id: str) -> tuple[str, str]:
    """Return the application_names of a run's two sessions: the one that patches, and the one that closes access.

    PostgreSQL cuts names off after 63 bytes. Every run's names begin with `rollout `, and no other session's do.
    """
    patching = f"rollout {run_id}"[:58]
    return patching, f"{patching} access"


def one_row(connection: psycopg.Connection[Any], query: str, params: Sequence[Any] | None = None) -> Any:
    """Return the row of a query that always has one."""
    (row,) = connection.execute(query, params).fetchall()
    return row


def take_lock(connection: psycopg.Connection[Any]) -> None:
    """Lock the database against other patching, until the connection ends. Raises RolloutError E-another-rollout."""
    if connection.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
        who = lock_holder(connection) or "another session"
        raise RolloutError(
            f"E-another-rollout  {who} is patching {connection.info.dbname} right now.\nNothing was touched. "
            f"Then: wait for it, and run this again."
        )


def lock_holder(connection: psycopg.Connection[Any]) -> str | None:
    """Return whose session holds the lock for patching this database; None if nobody's does."""
    holder = connection.execute(_LOCK_HOLDER, {"key": _LOCK}).fetchone()
    return f"session {holder[0]} ({holder[1]}, {holder[2]})" if holder else None


def revision_rows(connection: psycopg.Connection[Any]) -> list[RevisionRow]:
    """Return the rows of LaunchpadDatabaseRevision, in the order of the patches; none before the first patch.

    Raises RolloutError E-no-revision-table, with the DDL to run, for a database that lacks it.
    """
    try:
        return [RevisionRow(*row) for row in connection.execute(_ROWS).fetchall()]
    except psycopg.errors.UndefinedTable:
        pass
    except psycopg.errors.UndefinedColumn as error:
        raise RolloutError(
            f"E-revision-table  LaunchpadDatabaseRevision of {connection.info.dbname} is another one:"
            f" {error.diag.message_primary}.\nExpected:  {REVISION_TABLE}"
        ) from None
    typed = shlex.join(["psql", "-d", connection.info.dbname, "-c", REVISION_TABLE])
    raise RolloutError(
        f"E-no-revision-table  {connection.info.dbname} has no table LaunchpadDatabaseRevision, in which each patch"
        f" leaves its row. Nothing was touched.\nMake it, once, as the owner of the schema:  {typed}"
    )


def require_primary(connection: psycopg.Connection[Any]) -> None:
    """Raise RolloutError E-not-superuser or E-not-the-primary if this connection cannot patch with access closed."""
    query = "SELECT rolsuper, pg_is_in_recovery(), rolname FROM pg_roles WHERE rolname = current_user"
    superuser, recovering, user = one_row(connection, query)
    if recovering:
        raise RolloutError(f"E-not-the-primary  {connection.info.host} is a standby: dsn must name the primary")
    if not superuser:
        raise RolloutError(f"E-not-superuser  {user} is not a superuser, and closing access would lock it out as well")


def refuse_other_patches(
    names: Sequence[str], digests: Sequence[str], pending: Sequence[Patch], rows: Iterable[RevisionRow]
) -> None:
    """Raise RolloutError E-other-patches unless `pending` is exactly what the plan pinned, or all that is applied.

    `digests` is FILE=SHA256 of each patch when it was chosen; one that has none is not compared.
    """
    try:
        pinned = {patches.PatchName.parse(name) for name in names}
    except ValueError as error:
        raise RolloutError(f"E-bad-patch-name  {error}") from error
    found = {patch.name for patch in pending}
    applied = {row.name for row in rows}
    if not found and pinned <= applied:
        return
    remarks = [f"{name} is pending, but not pinned" for name in sorted(found - pinned)]
    changed = patches.changed(digests, {str(patch.name): patch.text for patch in pending})
    remarks += [f"{name} is not what it was when it was chosen" for name in changed]
    for name in sorted(pinned - found):
        remarks.append(f"{name} is pinned, but " + ("already applied" if name in applied else "has no file here"))
    if remarks:
        listed = ";\n                 ".join(remarks)
        raise RolloutError(
            f"E-other-patches  {listed}.\nNothing was touched. Is this the tree of the pinned merge?\n"
            f"Then: ./runbook.py run deliver, or if the plan is out of date ./runbook.py run select"
        )


def pending_patches(schema_directory: str, rows: Iterable[RevisionRow]) -> list[Patch]:
    """Return the patches of a schema directory that have no row yet, in the order of application.

    Raises RolloutError `E-no-schema-directory`, or `E-misnamed-patch` for a file that looks like a patch but would
    never be applied.
    """
    directory = Path(schema_directory)
    if not directory.is_dir():
        raise RolloutError(
            f"E-no-schema-directory  {directory} is not a directory: was the tree delivered to this host?"
        )
    pending = patches.pending((path.name for path in directory.iterdir()), (row[:3] for row in rows))
    if pending.misnamed:
        raise RolloutError(
            f"E-misnamed-patch  {directory} holds {', '.join(pending.misnamed)}, which would never be applied: "
            f"the name of a patch is {patches.PATTERN}.\n"
            f"Then: a developer renames it on its branch, and ./runbook.py run select chooses again."
        )
    return [read_patch(schema_directory, name) for name in pending.patches]


def read_patch(schema_directory: str, name: patches.PatchName) -> Patch:
    """Return one patch, whatever is in it: `refuse_unsound` comes before it is used. Raises OSError."""
    path = Path(schema_directory) / str(name)
    return Patch(name, patches.decoded(path.read_bytes()), path)


def what_was_kept(connection: psycopg.Connection[Any], before: Sequence[RevisionRow], status: str | None) -> str:
    """Return a sentence that says what a failed attempt left in the revision table, by looking.

    `status` is what became of the transaction in which it began, None if that is not known.
    """
    new = [row.name.number for row in revision_rows(connection) if row not in before]
    if status == "committed":
        rows = f"the rows {', '.join(new)} are in the table" if new else "no row is new"
        return f"KEPT: the transaction was committed before its end, {rows}: see how far the schema was changed."
    return f"KEPT: the rows {', '.join(new)} are in the table." if new else "Nothing was kept: the rows are as before."


def transaction_status(connection: psycopg.Connection[Any], transaction: str | None, seconds: float) -> str | None:
    """Return what became of a transaction: `committed`, `aborted`, or `in progress` if it still is after `seconds`.

    None if there was none, or if the server does not know (any more). After a crash its number may be another
    transaction's, so `committed` is no proof: the rows are.
    """
    until = time.monotonic() + seconds
    while transaction is not None:
        try:
            (status,) = one_row(connection, "SELECT pg_xact_status(%s::xid8)", [transaction])
        except psycopg.errors.InvalidParameterValue:  # in the future: a crash took it back, number and all
            return None
        if status != "in progress" or time.monotonic() > until:
            return str(status) if status else None
        time.sleep(0.02)
    return None


def refuse_unsound(pending: Iterable[Patch]) -> None:
    """Raise RolloutError `E-unsound-patch` with all that is wrong with the patches, before anything is touched."""
    found = [problem for patch in pending for problem in patches.check(str(patch.name), patch.text)]
    if found:
        listed = ";\n                 ".join(found)
        raise RolloutError(
            f"E-unsound-patch  {listed}.\nNothing was touched.\n"
            f"Then: fix or back out on its branch (R17), and ./runbook.py run select"
        )
