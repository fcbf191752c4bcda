"""Applies a permissions file to a database: one look at the catalogs, and only the differences are executed (R18).

`read` and `remember` come before users are locked out, `apply` after the last patch, in its transaction: if the file
names something that the patches did not make, everything is rolled back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, NamedTuple, Sequence

from ...rollout_core.schema import permissions, permissions_file
from ...rollout_core.schema.permissions import Difference, Found
from ...rollout_core.schema.permissions_file import Key, WantedPermissions
from .connection import RolloutError, one_row
from .driver import psycopg
from .outage.run import WorkError

STEP = "permissions"
# What an object's permissions depend on, as text: its row's version (xmin), its names, and whose sequence it is.
_OBJECTS = """
    SELECT concat_ws(' ', 'r', relation.oid, relation.xmin, nspname, owned.refobjid, owning.xmin) AS version,
        CASE relation.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, nspname, relation.relname AS name,
        relation.relowner AS owner, owning.relname AS owned_by, relation.relacl AS items, NULL AS arguments
    FROM pg_class AS relation JOIN pg_namespace ON pg_namespace.oid = relation.relnamespace
    -- Serial columns own their sequence (deptype a); those of identity columns (i) need no privilege of their own.
    LEFT JOIN pg_depend AS owned ON relation.relkind = 'S' AND deptype = 'a' AND objid = relation.oid
        AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
    LEFT JOIN pg_class AS owning ON owning.oid = owned.refobjid
    WHERE relation.relkind = ANY ('{r,p,v,m,f,S}') AND nspname <> 'information_schema' AND nspname !~ '^pg_'
    UNION ALL
    SELECT concat_ws(' ', 'f', pg_proc.oid, pg_proc.xmin, nspname, oidvectortypes(proargtypes)),
        'ROUTINE', nspname, proname, proowner, NULL, proacl, oidvectortypes(proargtypes)
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'"""
_FACTS = f"""SELECT version, kind, nspname::text, name::text, coalesce('(' || arguments || ')', ''),
        format(CASE WHEN arguments IS NULL THEN '%%I.%%I' ELSE '%%I.%%I(%%s)' END, nspname, name, arguments),
        pg_get_userbyid(owner)::text, coalesce(owned_by::text, ''), items::text[]
    FROM ({_OBJECTS}) AS objects"""  # noqa: S608 (constants)
_SEPARATOR = "\x01"  # as one text: hosts may have no psycopg but the one in Python, which is slow with long arrays
_VERSIONS = f"SELECT string_agg(version, E'\\x01') FROM ({_OBJECTS}) AS objects"  # noqa: S608 (constants)
_ROLES = """
    SELECT oid, CASE WHEN rolsuper THEN 'superuser' WHEN rolcanlogin THEN 'user' ELSE 'group' END, '', rolname, '',
        quote_ident(rolname), '', '', ARRAY(
            SELECT DISTINCT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_roles.oid)
    FROM pg_roles WHERE rolname = ANY (%(roles)s)
    UNION ALL
    SELECT oid, 'SCHEMA', '', nspname, '', quote_ident(nspname), '', '', ARRAY(
        SELECT privilege_type FROM aclexplode(nspacl) WHERE grantee = 0 AND privilege_type = 'USAGE')
    FROM pg_namespace WHERE nspname = ANY (%(schemas)s)"""


class Remembered(NamedTuple):
    """What was as wanted when it was looked at: the oids of the file's roles, and objects (key, kind) by version."""

    roles: Mapping[str, int]
    objects: Mapping[str, tuple[Key, str]]


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


def difference(
    connection: psycopg.Connection[Any], wanted: WantedPermissions, remembered: Remembered | None = None
) -> Difference:
    """Return the statements that are needed, and what the file names that is not there (yet). Changes nothing.

    What was `remembered` and has the same version is not read again.
    """
    oids, roles = _roles(connection, wanted)
    if remembered is None or remembered.roles != oids:  # an oid of another name: all that is remembered may be wrong
        return permissions.difference(wanted, [*roles, *_objects(connection).values()])
    (listed,) = one_row(connection, _VERSIONS)
    versions = set((listed or "").split(_SEPARATOR))
    new = versions - remembered.objects.keys()
    changed = _objects(connection, list(new)) if new else {}
    same = dict(remembered.objects[version] for version in versions - new)
    return permissions.difference(wanted, [*roles, *changed.values()], same)


def remember(connection: psycopg.Connection[Any], wanted: WantedPermissions) -> Remembered:
    """Return what is as wanted already, so that it is not read while users are out."""
    oids, _ = _roles(connection, wanted)
    objects = {
        version: (permissions.key_of(one), one.kind)
        for version, one in _objects(connection).items()
        if permissions.as_wanted(wanted, oids, one)
    }
    return Remembered(oids, objects)


def _roles(connection: psycopg.Connection[Any], wanted: WantedPermissions) -> tuple[dict[str, int], list[Found]]:
    """Return the oids of the file's roles, and what is found of roles and schemas."""
    names = {"roles": [*wanted.roles, *wanted.groups], "schemas": list(wanted.schemas)}
    rows = [(row[0], Found(*row[1:])) for row in connection.execute(_ROLES, names).fetchall()]
    oids = {one.name: oid for oid, one in rows if one.kind != permissions.SCHEMA and one.name in wanted.roles}
    return oids, [one for _, one in rows]


def _objects(connection: psycopg.Connection[Any], versions: Sequence[str] | None = None) -> dict[str, Found]:
    """Return objects by their version: all of them, or those of `versions`."""
    query = _FACTS if versions is None else f"{_FACTS} WHERE version = ANY (%(versions)s)"
    rows = connection.execute(f"{query} ORDER BY 2, 3, 4, 5".encode(), {"versions": versions or []}).fetchall()
    found = ((row[0], Found(*row[1:])) for row in rows)
    return {version: one._replace(items=one.items or ()) for version, one in found}


def apply(
    connection: psycopg.Connection[Any], wanted: WantedPermissions, remembered: Remembered | None = None
) -> list[str]:
    """Make the catalogs match the file, in the caller's transaction; return the statements that it took.

    What was `remembered` is looked at again only if it has changed since.

    Raises WorkError `E-permissions-unknown` if the file names something that is not there, `E-permissions-refused` if
    PostgreSQL refuses a statement; the caller rolls back.
    """
    found = difference(connection, wanted, remembered)
    if found.problems:
        raise _unknown(wanted, found.problems)
    if not found.statements:
        return []
    try:
        connection.execute(";\n".join(found.statements).encode())
    except psycopg.Error as error:
        said = ": ".join(filter(None, [error.diag.message_primary or str(error), error.diag.message_detail]))
        raise _refused(wanted, said) from error
    left = difference(connection, wanted, remembered).statements  # success is what the catalogs say
    if left:
        first = left[0] if len(left) == 1 else f"{left[0]} (and {len(left) - 1} more)"
        raise _refused(wanted, f"typed without an error, and without effect: {first}")
    return found.statements


def _unknown(wanted: WantedPermissions, problems: list[str]) -> WorkError:
    more = len(problems) - permissions_file.TOLD
    told = [f"E-permissions-unknown  {wanted.path} names what is not there after the patches:"]
    told += [f"    {problem}" for problem in problems[: permissions_file.TOLD]]
    told += [f"    and {more} more"] if more > 0 else []
    then = "correct the file on its branch, or back out what it belongs to (R17), and ./runbook.py run select"
    return WorkError("\n".join(told), then)


def _refused(wanted: WantedPermissions, said: str) -> WorkError:
    return WorkError(
        f"E-permissions-refused  PostgreSQL does not take what {wanted.path} says: {' '.join(said.split())}\n"
        "Perhaps not its owner granted it, or others depend on a grant option: psql shows who, with \\dp and \\du.",
        "revoke that by hand, as who granted it, and ./runbook.py run preflight",
    )
