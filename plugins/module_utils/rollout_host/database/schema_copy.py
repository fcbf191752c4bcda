"""A copy of a database's schema on its own server, for trying undo files; it is always dropped in the end (R17).

Its schema and its revision rows are those of the database, its tables are empty. It is made with pg_dump and psql,
because a template must have no users connected.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple, Sequence

from ...rollout_core.schema.undo_files import Trip, judged
from .applying import apply_patches, prepare
from .connection import Patch, PatchError, Provenance, RolloutError, connect, one_row
from .driver import make_conninfo, psycopg, sql
from .work.undo_files import apply_undos

_NAME_BYTES = 63
_SUFFIX = "_schema_undo_check"
_LIKE = "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"
_VOLATILE = ("\\restrict", "\\unrestrict", "-- Dumped ")  # of pg_dump: another random key each time


class Tools(NamedTuple):
    """The paths of pg_dump and psql."""

    pg_dump: str
    psql: str

    def schema(self, dsn: str) -> str:
        """Return the schema as pg_dump prints it, so that two can be compared. Raises RolloutError E-no-copy."""
        argv = [self.pg_dump, "--schema-only", f"--dbname={dsn}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise _no_copy(done.stderr)
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(_VOLATILE))

    def copy(self, dsn: str, target: str, what: Sequence[str]) -> None:
        """Pipe `what` of one database into another. Raises RolloutError E-no-copy."""
        dumping = subprocess.Popen(
            [self.pg_dump, *what, f"--dbname={dsn}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        restoring = subprocess.run(
            [self.psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", f"--dbname={target}"],
            stdin=dumping.stdout,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        _, said = dumping.communicate()
        if dumping.returncode or restoring.returncode:
            raise _no_copy(said if dumping.returncode else restoring.stderr)


@contextmanager
def copy_of(connection: psycopg.Connection[Any], dsn: str, tools: Tools) -> Iterator[str]:
    """Yield the conninfo of a copy of the database of `connection`, whose own is `dsn`; it is dropped at the end.

    A copy that a killed check has left is dropped first. Raises RolloutError E-no-copy.
    """
    database = connection.info.dbname.encode()[: _NAME_BYTES - len(_SUFFIX)].decode(errors="ignore")
    name = sql.Identifier(f"{database}{_SUFFIX}")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    encoding, collate, ctype = one_row(connection, _LIKE)
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    connection.execute(drop)
    try:
        connection.execute(create.format(name, *(sql.Literal(each) for each in (encoding, collate, ctype))))
        target = make_conninfo(dsn, dbname=f"{database}{_SUFFIX}")
        tools.copy(dsn, target, ["--schema-only"])
        tools.copy(dsn, target, ["--data-only", "--table=launchpaddatabaserevision"])
        yield target
    finally:
        connection.execute(drop)


def round_trips(target: str, undos: Sequence[Patch], patches: Sequence[Patch], tools: Tools) -> list[Trip]:
    """Run the undo files in their order, then each patch again; return what became of each patch.

    Raises RolloutError E-undo-failed if an undo file fails.
    """
    with connect(target, "schema undo check") as copy:
        schemas = [tools.schema(target)]
        for undo in undos:
            try:
                with copy.transaction():
                    apply_undos(copy, prepare(copy, [undo], None))
            except PatchError as error:
                raise RolloutError(
                    f"E-undo-failed  on a copy of the schema: {error}.\n"
                    f"Nothing was touched but the copy, which is gone.\n"
                    f"Then: mend {undo.name}, and ./runbook.py run check"
                ) from error
            schemas.append(tools.schema(target))
        return list(_again(copy, target, patches, schemas, tools))


def _again(
    copy: psycopg.Connection[Any], target: str, patches: Sequence[Patch], schemas: list[str], tools: Tools
) -> Iterator[Trip]:
    """Apply the patches again; yield what became of each. `schemas` are those before the first undo and after each."""
    for number, patch in enumerate(patches):
        undone, before = schemas[-1 - number], schemas[-2 - number]
        try:
            with copy.transaction():
                apply_patches(copy, prepare(copy, [patch], Provenance()))
        except PatchError as error:
            yield Trip(str(patch.name), round_trip=False, says=f"NOT A ROUND TRIP: it cannot go in again: {error}")
            left = patches[number + 1 :]
            yield from (Trip(str(each.name), round_trip=False, says="not tried: one before it failed") for each in left)
            return
        yield judged(str(patch.name), before, undone, tools.schema(target))


def _no_copy(said: str) -> RolloutError:
    words = " ".join(said.split())
    return RolloutError(f"E-no-copy  the schema could not be copied: {words}\nNothing was touched. Then: mend that.")
