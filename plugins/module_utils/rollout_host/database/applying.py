"""Applies schema patches in the caller's transaction: each is sent whole, in one message (R9, R18).

With the text go a savepoint before it, and after it whatever puts the session back as it was, so that a patch leaves
nothing to the next one. Everything is prepared before anybody is locked out; what is left for then is to send it, and
to look at what it left. Durations are seconds.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import partial
from typing import Any, Callable, Iterable, NamedTuple, Sequence

from ...rollout_core.schema import patches, server_faults, statements
from .connection import Patch, PatchError, Provenance, one_row
from .driver import ExecStatus, generators, psycopg, sql

# A patch's own savepoint: its RELEASE fails if the patch has ended the transaction in which it was made.
_SAVEPOINT = "SAVEPOINT rollout_patch; "
UNDO_TRY = "ROLLBACK TO SAVEPOINT rollout_patch; RELEASE SAVEPOINT rollout_patch"
_SEPARATOR = "\n;\n"  # the text may end in a comment, or without its semicolon
_PUT_BACK = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; CLOSE ALL; DEALLOCATE ALL; UNLISTEN *;\n"
_DROP_TEMPORARY = "DISCARD TEMP;\n"  # no constraint on them waits any more
# The names of all constraints that can be deferred, and of those that begin so. A name may be another table's as well.
_DEFERRABLE = """
    SELECT string_agg(name, ', '), string_agg(name, ', ') FILTER (WHERE condeferred) {into} FROM (
        SELECT format('%I.%I', nspname, conname) AS name, condeferred
        FROM pg_constraint AS one JOIN pg_namespace ON pg_namespace.oid = connamespace
        WHERE condeferrable AND NOT EXISTS (
            SELECT FROM pg_constraint AS other
            WHERE (other.conname, other.connamespace) = (one.conname, one.connamespace) AND NOT condeferrable)
    ) AS deferrable_ones"""
# Deferred triggers run now: what fails is this patch's. Then each constraint is deferred as a new transaction has it.
# They are named, as ALL would also be true of constraints that are made later. To look for them takes longer than most
# patches do: so the names that were there before are tried first.
_CONSTRAINTS_BACK = """DO $rollout$
DECLARE all_names text := {all_names}; deferred_names text := {deferred_names};
BEGIN
    FOR attempt IN 1 .. 2 LOOP
        BEGIN
            IF attempt = 2 OR all_names IS NULL THEN {look}; END IF;
            IF all_names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || all_names || ' IMMEDIATE'; END IF;
            IF deferred_names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || deferred_names || ' DEFERRED'; END IF;
            RETURN;
        EXCEPTION WHEN undefined_object OR wrong_object_type THEN IF attempt = 2 THEN RAISE; END IF;
        END;
    END LOOP;
END $rollout$;
"""
_LOOK = _DEFERRABLE.format(into="INTO all_names, deferred_names")
_MAKES_DEFERRABLE = re.compile("deferr", re.IGNORECASE)
# Its own default start_time is that of the transaction, the same for all patches. statement_timestamp() is when the
# server received the patch.
_RECORD = """
    UPDATE LaunchpadDatabaseRevision
    SET start_time = statement_timestamp() AT TIME ZONE 'UTC', end_time = clock_timestamp() AT TIME ZONE 'UTC',
        branch_nick = {branch_nick}, revno = {revno}, revid = {revid}
    WHERE (major, minor, patch) = ({major}, {minor}, {patch})
    RETURNING """
_STATE = """
    pg_current_xact_id()::text AS rollout_transaction,
    (SELECT string_agg(concat_ws('-', major, minor, patch), ' ') FROM LaunchpadDatabaseRevision),
    extract(epoch FROM clock_timestamp() - statement_timestamp())::float"""
_OURS = b"rollout_transaction"
_RELEASE = ";\nRELEASE SAVEPOINT rollout_patch"
ENDED = "it ended the transaction that all patches share: what followed its END, COMMIT or ROLLBACK ran by itself"
_NO_ROW = "it did not insert its own row into LaunchpadDatabaseRevision"


class State(NamedTuple):
    """The state after a patch: the transaction's number, the revision rows, and the seconds the server was at it."""

    transaction: str
    rows: frozenset[patches.Row]
    seconds: float

    @classmethod
    def read(cls, values: Iterable[Any]) -> State:
        """Return the state from the values of `_STATE`, as text or as PostgreSQL's types."""
        transaction, rows, seconds = values
        numbers = (row.split("-") for row in (rows or "").split())
        return cls(transaction, frozenset((int(a), int(b), int(c)) for a, b, c in numbers), float(seconds))


class Prepared(NamedTuple):
    """A patch, ready to be sent: what follows its text, and the lines on which its statements begin."""

    patch: Patch
    after: str
    lines: Sequence[int]


def prepare(
    connection: psycopg.Connection[Any], pending: Sequence[Patch], provenance: Provenance | None
) -> list[Prepared]:
    """Return patches or undo files ready to be sent; `provenance` goes into each patch's row (None: an undo)."""
    names = one_row(connection, _DEFERRABLE.format(into=""))
    deferrable = names != (None, None)
    prepared = []
    for patch in pending:
        if _MAKES_DEFERRABLE.search(patch.text):
            deferrable, names = True, (None, None)
        ask = "SELECT"
        if provenance is not None:
            given = {**provenance._asdict(), **asdict(patch.name)}
            ask = sql.SQL(_RECORD).format(**{key: sql.Literal(each) for key, each in given.items()}).as_string(None)
        constraints = _constraints_back(*names) if deferrable else ""
        after = f"{_SEPARATOR}{_PUT_BACK}{constraints}{_DROP_TEMPORARY}{ask}{_STATE}{_RELEASE}"
        prepared.append(Prepared(patch, after, [line for line, _ in statements.split(patch.text)]))
    return prepared


def apply_all(
    connection: psycopg.Connection[Any],
    prepared: Sequence[Prepared],
    on_step: Callable[[Patch], None],
    check: Callable[[Patch, frozenset[patches.Row], frozenset[patches.Row]], str | None],
    attempts: Callable[[Patch, Callable[[str], State]], State] = lambda _, apply: apply(""),
) -> dict[str, float]:
    """Apply patches in order inside the caller's transaction; return the seconds of each, by its file's name.

    `on_step` gets each patch before it begins. `check` gets it with the rows before and after, and returns what is
    wrong with those. `attempts` gets it and a function that sends it behind settings of its own (`SET LOCAL …; `), and
    that it may call again after `UNDO_TRY`. Raises PatchError; the caller rolls back.
    """
    before = State.read(one_row(connection, f"SELECT {_STATE}"))
    seconds = {}
    for each in prepared:
        on_step(each.patch)
        after = attempts(each.patch, partial(_send, connection, each))
        if after.transaction != before.transaction:
            raise PatchError(each.patch, ENDED)
        if problem := check(each.patch, before.rows, after.rows):
            raise PatchError(each.patch, problem)
        seconds[str(each.patch.name)] = after.seconds
        before = after
    return seconds


def apply_patches(
    connection: psycopg.Connection[Any],
    prepared: Sequence[Prepared],
    on_step: Callable[[Patch], None] = lambda _: None,
    attempts: Callable[[Patch, Callable[[str], State]], State] = lambda _, apply: apply(""),
) -> dict[str, float]:
    """Apply patches as `apply_all` does. Each must leave exactly its own row behind."""
    return apply_all(connection, prepared, on_step, _wrong_rows, attempts)


def _constraints_back(all_names: str | None, deferred_names: str | None) -> str:
    """Return the statement that puts constraints back; without names it looks for them."""
    known = {"all_names": sql.Literal(all_names), "deferred_names": sql.Literal(deferred_names), "look": sql.SQL(_LOOK)}
    return sql.SQL(_CONSTRAINTS_BACK).format(**known).as_string(None)


def _send(connection: psycopg.Connection[Any], prepared: Prepared, settings: str) -> State:
    """Send a patch with all that belongs to it; return the state after it. Raises PatchError."""
    patch, before = prepared.patch, _SAVEPOINT + settings
    query = f"{before}{patch.text}{prepared.after}".encode()
    try:
        with connection.lock:
            connection.pgconn.send_query(query)
            results = connection.wait(generators.execute(connection.pgconn))
    except psycopg.Error as error:
        lost = server_faults.remedy(error.sqlstate)
        raise PatchError(patch, " ".join(str(error).split()), sqlstate=error.sqlstate, remedy=lost) from error
    last = results[-1]
    if last.status == ExecStatus.FATAL_ERROR:
        raise _told(connection, prepared, before, results)
    if last.status in (ExecStatus.COPY_IN, ExecStatus.COPY_OUT):
        connection.close()  # it would wait for data
        raise PatchError(patch, "COPY … FROM STDIN or TO STDOUT is for psql: write it as SQL")
    if len(results) < 2 or results[-2].status != ExecStatus.TUPLES_OK:
        raise PatchError(patch, "its text hides what is sent after it: does a string or a comment not end?")
    if not results[-2].ntuples:
        raise PatchError(patch, _NO_ROW)
    return State.read((results[-2].get_value(0, column) or b"").decode() for column in range(3))


def _told(connection: psycopg.Connection[Any], prepared: Prepared, before: str, results: Sequence[Any]) -> PatchError:
    """Return the error that the last of the results tells of."""
    error = psycopg.errors.error_from_result(results[-1])
    patch, said = prepared.patch, error.diag
    first = before.count(";")  # results that are not the patch's
    ended = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    if ended or (len(results) > 1 and results[-2].fname(0) == _OURS):  # only the RELEASE comes after that
        tags = [result.command_status for result in results]
        ends = max((number for number, tag in enumerate(tags) if tag in (b"COMMIT", b"ROLLBACK")), default=-1)
        return PatchError(patch, f"{ENDED} ({said.message_primary})", _line(prepared.lines, ends - first))
    detail = [said.message_primary or " ".join(str(error).split()), said.message_detail, said.message_hint]
    offset = int(said.statement_position or 0) - 1 - len(before)
    if said.statement_position and offset >= 0:  # what follows a text that is cut off fails after its end
        line: int | None = patch.text.rstrip().count("\n", 0, offset) + 1
    else:
        line = _line(prepared.lines, len(results) - 1 - first)
    return PatchError(
        patch, ": ".join(filter(None, detail)), line, error.sqlstate, server_faults.remedy(error.sqlstate)
    )


def _line(lines: Sequence[int], number: int) -> int | None:
    """Return the line of a statement; None if it is not the patch's, or if the text could not be split."""
    return lines[number] if 0 <= number < len(lines) else None


def _wrong_rows(patch: Patch, before: frozenset[patches.Row], after: frozenset[patches.Row]) -> str | None:
    if patch.name.row not in after:
        return _NO_ROW
    others = sorted((before | {patch.name.row}) ^ after)
    if not others:
        return None
    listed = ", ".join(patches.PatchName(*row).number for row in others)
    return f"it inserted or deleted rows of LaunchpadDatabaseRevision that are not its own ({listed})"
