"""Makes a schema of Launchpad's size: tables, functions, roles, a permissions file and a month's patches.

Everything is computed, never random: the same at every run.
"""

from collections.abc import Iterator
from pathlib import Path

from lab.layout import DATA

TABLES, FUNCTIONS, ROLES, GRANTS, PATCHES = 318, 150, 25, 1000, 55  # with the lab's own dozen: 330 tables
NEW_TABLES = range(0, PATCHES, 3)  # the patches that make one
BASELINE = DATA / "schema" / "launchpad-2208-00-0.sql"
PRIVILEGES = ("SELECT", "SELECT, INSERT", "SELECT, INSERT, UPDATE", "SELECT, INSERT, UPDATE, DELETE")


def tables() -> str:
    """Return the statements that make the schema, from the lab's baseline on, and its roles."""
    made = [f"CREATE ROLE bench_{role} NOLOGIN" for role in range(ROLES)]
    for number in range(TABLES):
        of = f"REFERENCES T{number - 1}" if number else ""
        made.append(
            f"CREATE TABLE T{number} (id serial PRIMARY KEY, name text NOT NULL UNIQUE, other integer {of},"
            f" status integer NOT NULL DEFAULT {number % 7} CHECK (status >= 0), owner integer REFERENCES Person,"
            f" date_created timestamp without time zone NOT NULL DEFAULT timezone('UTC', now()), body text)"
        )
        made.append(f"CREATE INDEX t{number}__owner__idx ON T{number} (owner, status)")
    made += [
        f"CREATE FUNCTION f{number}(integer, text) RETURNS integer LANGUAGE sql AS 'SELECT $1 + {number}'"
        for number in range(FUNCTIONS)
    ]
    made.append("ALTER TABLE T1 ADD CONSTRAINT t1__late UNIQUE (other, id) DEFERRABLE INITIALLY DEFERRED")
    return ";\n".join(made)


def permissions() -> str:
    """Return the permissions file as it is with the patches: some of its lines are of tables that they make."""
    known = [f"public.t{number}" for number in range(TABLES)] + [f"public.new{number}" for number in NEW_TABLES]
    lines: dict[int, dict[str, str]] = {role: {} for role in range(ROLES)}
    for number in range(GRANTS):  # every table has three grants or so, to roles that differ from table to table
        table, again = number % len(known), number // len(known)
        lines[(table + 7 * again) % ROLES][known[table]] = PRIVILEGES[(table + again) % 4]
    return "".join(
        f"[bench_{role}]\ntype = group\n" + "".join(f"{table} = {words}\n" for table, words in of.items())
        for role, of in lines.items()
    )


def write_patches(directory: Path) -> list[str]:
    """Write the patches; return their names, in order."""
    names = []
    for number in range(PATCHES):
        name = f"patch-2208-{10 + number}-0.sql"
        row = f"INSERT INTO LaunchpadDatabaseRevision VALUES (2208, {10 + number}, 0);"  # noqa: S608 (computed)
        text = "\n".join([*_statements(number), row])
        (directory / name).write_text(
            f"-- Patch {number}; one of a month's.\nSET client_min_messages = ERROR;\n\n{text}\n"
        )
        names.append(name)
    return names


def _statements(number: int) -> Iterator[str]:
    table, other = f"T{number * 5}", f"T{number * 5 + 2}"
    yield f"ALTER TABLE {table} ADD COLUMN added integer;"
    yield f"COMMENT ON COLUMN {table}.added IS 'What was added; and why it''s there.';"
    yield f"CREATE INDEX t{number}__added__idx ON {table} (added) WHERE added IS NOT NULL;"
    yield f"ALTER TABLE {other} ADD CONSTRAINT valid_name CHECK (name ~ '^[a-z0-9+.-]+$');"
    yield f"UPDATE {table} SET added = 1 WHERE name = 'a;b';"  # noqa: S608 (computed)
    yield (
        f"CREATE OR REPLACE FUNCTION f{number}(integer, text) RETURNS integer LANGUAGE plpgsql AS $$\n"
        f"BEGIN\n    IF $1 > {number} THEN RETURN 1; END IF;  -- as before; mostly\n    RETURN 2;\nEND;\n$$;"
    )
    yield f"ALTER TABLE {other} ALTER COLUMN body SET DEFAULT '';"
    if number in NEW_TABLES:
        yield f"CREATE TABLE New{number} (id serial PRIMARY KEY, t integer REFERENCES {table}, name text NOT NULL);"
    else:
        yield f"ALTER TABLE {other} ALTER COLUMN status DROP NOT NULL;"
    yield f"DROP INDEX t{number * 5 + 2}__owner__idx;"
