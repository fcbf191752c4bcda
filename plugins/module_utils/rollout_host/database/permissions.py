"""Applies a permissions file to a database: one look at the catalogs, and only the differences are executed (R18).

`read` comes before users are locked out, `apply` after the last patch, in its transaction: if the file names something
that the patches did not make, everything is rolled back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...rollout_core.schema import permissions, permissions_file
from ...rollout_core.schema.permissions import Difference, Found
from ...rollout_core.schema.permissions_file import WantedPermissions
from .connection import RolloutError
from .driver import psycopg
from .outage.run import WorkError

STEP = "permissions"
# Serial columns own their sequence (deptype a); those of identity columns (i) need no privilege of their own.
_FACTS = """
    SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname::text, relname::text, '',
        format('%%I.%%I', nspname, relname), pg_get_userbyid(relowner)::text, coalesce((
            SELECT owning.relname::text FROM pg_depend JOIN pg_class AS owning ON owning.oid = refobjid
            WHERE relation.relkind = 'S' AND deptype = 'a' AND objid = relation.oid
                AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass), ''), relacl::text[]
    FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = ANY ('{r,p,v,m,f,S}') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
    UNION ALL
    SELECT 'ROUTINE', nspname, proname, format('(%%s)', oidvectortypes(proargtypes)),
        format('%%I.%%I(%%s)', nspname, proname, oidvectortypes(proargtypes)), pg_get_userbyid(proowner), '',
        proacl::text[]
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    UNION ALL
    SELECT CASE WHEN rolsuper THEN 'superuser' WHEN rolcanlogin THEN 'user' ELSE 'group' END, '', rolname, '',
        quote_ident(rolname), '', '', ARRAY(
            SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_roles.oid)
    FROM pg_roles WHERE rolname = ANY (%(roles)s)"""


def read(path: str) -> WantedPermissions:
    """Return the content of a permissions file of this host. Raises RolloutError `E-permissions-file`."""
    try:
        return permissions_file.parse(path, Path(path).expanduser().read_text(encoding="utf-8"))
    except permissions_file.UnreadableError as error:
        told = str(error)
    except OSError as error:
        told = f"{path}: {error.strerror}"
    except UnicodeDecodeError as error:
        told = f"{path}: it is not UTF-8: {error}"
    listed = told.replace("\n", "\n    ")
    raise RolloutError(
        f"E-permissions-file  the permissions file cannot be read:\n    {listed}\n"
        "Nothing was touched. roles/database/README.md has the format.\n"
        "Then: correct the file, or database_permissions in the inventory, and ./runbook.py run preflight"
    )


def difference(connection: psycopg.Connection[Any], wanted: WantedPermissions) -> Difference:
    """Return the statements that are needed, and what the file names that is not there (yet). Changes nothing."""
    rows = connection.execute(_FACTS, {"roles": list(wanted.roles)}).fetchall()
    return permissions.difference(
        wanted, [each._replace(items=each.items or ()) for each in (Found(*row) for row in rows)]
    )


def apply(connection: psycopg.Connection[Any], wanted: WantedPermissions) -> list[str]:
    """Make the catalogs match the file, in the caller's transaction; return the statements that it took.

    Raises WorkError `E-permissions-unknown` if the file names something that is not there, `E-permissions-refused` if
    PostgreSQL refuses a statement; the caller rolls back.
    """
    found = difference(connection, wanted)
    if found.problems:
        raise _unknown(wanted, found.problems)
    if not found.statements:
        return []
    try:
        connection.execute(";\n".join(found.statements).encode())
    except psycopg.Error as error:
        said = ": ".join(filter(None, [error.diag.message_primary or str(error), error.diag.message_detail]))
        raise _refused(wanted, said) from error
    left = difference(connection, wanted).statements  # success is what the catalogs say
    if left:
        first = left[0] if len(left) == 1 else f"{left[0]} (and {len(left) - 1} more)"
        raise _refused(wanted, f"typed without an error, and without effect: {first}")
    return found.statements


def _unknown(wanted: WantedPermissions, problems: list[str]) -> WorkError:
    more = len(problems) - permissions_file.TOLD
    told = [f"E-permissions-unknown  {wanted.path} names what is not there after the patches:"]
    told += [f"    {problem}" for problem in problems[: permissions_file.TOLD]]
    told += [f"    and {more} more"] if more > 0 else []
    then = "correct the file on db-stable, or back out what it belongs to (R17), and ./runbook.py run select"
    return WorkError("\n".join(told), then)


def _refused(wanted: WantedPermissions, said: str) -> WorkError:
    return WorkError(
        f"E-permissions-refused  PostgreSQL does not take what {wanted.path} says: {' '.join(said.split())}\n"
        "Perhaps not its owner granted it, or others depend on a grant option: psql shows who, with \\dp and \\du.",
        "revoke that by hand, as who granted it, and ./runbook.py run preflight",
    )
