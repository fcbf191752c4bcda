"""Patches as they are sent: whole, each as if it were alone, in a transaction that stays the same one (R18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ansible.module_utils
import pytest

from tests.modules.conftest import PROJECT
from tests.modules.database_servers import FOUR, ROWS_BEFORE, Database, both_versions

ansible.module_utils.__path__.append(str(PROJECT / "plugins" / "module_utils"))
from plugins.module_utils.rollout_core.schema.patches import PatchName  # noqa: E402
from plugins.module_utils.rollout_host.database.applying import apply_patches, prepare  # noqa: E402  as on a host
from plugins.module_utils.rollout_host.database.connection import (  # noqa: E402
    PatchError,
    Provenance,
    connect,
    read_patch,
)

Run = Callable[..., dict[str, Any]]
ROW = "INSERT INTO LaunchpadDatabaseRevision VALUES (2208, {}, 0)"


@pytest.fixture
def apply(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Apply texts, the numbers of which begin with 2208-70-0, in one transaction; each gets its row before its end."""
    monkeypatch.setenv("HOME", str(database.directory / "home"))

    def call(*texts: str, ask: str = "SELECT") -> list[tuple[Any, ...]]:
        patches = []
        for number, text in enumerate(texts, 70):
            file = database.schema / f"patch-2208-{number}-0.sql"
            file.write_text(text.replace("ROW", ROW.format(number)))
            patches.append(read_patch(str(database.schema), PatchName.parse(file.name)))
        with connect(database.dsn(), "upgrade") as connection, connection.transaction():
            apply_patches(connection, prepare(connection, patches, Provenance("devel", 7, "x'y")))
            return connection.execute(ask.encode()).fetchall()

    return call


@both_versions
@pytest.mark.parametrize(
    "text",
    [
        "ROW",
        "ROW; -- the end",
        "ROW; /* the end */",
        "\ufeffROW;\n",
        "ROW;;\n;",
        "-- é; it's\nSELECT 'é;''', $$;'$$; ROW;",
    ],
)
def test_texts_end_as_they_like(apply: Callable[..., Any], text: str) -> None:
    ask = "SELECT branch_nick, revno, revid, end_time >= start_time FROM LaunchpadDatabaseRevision WHERE minor = 70"
    assert apply(text, ask=ask) == [("devel", 7, "x'y", True)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 1;\nSELECT\n nosuch;\nROW;", 'line 3: column "nosuch" does not exist [42703]'),
        ("SELECT 1;\n\nSELECT 1/0;\nROW;", "line 3: division by zero [22012]"),
        ("SELECT 'é';\nROW;\n ROW;", "line 3: duplicate key value"),
        ("ROW;\nCREATE TABLE Half (\n", 'line 2: syntax error at or near ";" [42601]'),
        ("-- its\n-- row\nROW;\nROLLBACK;", "line 4: it ended the transaction that all patches share"),
        ("ROW;\nCOMMIT;\nSELECT 1/0;", "line 2: it ended the transaction"),
        ("ROW; COMMIT; BEGIN; SAVEPOINT rollout_patch;", ": it ended the transaction that all patches share"),
        ("SELECT 1;", ": it did not insert its own row"),
        ("ROW; DELETE FROM LaunchpadDatabaseRevision WHERE minor = 28;", "are not its own (2208-28-1)"),
        ("CREATE TABLE A (i int UNIQUE INITIALLY DEFERRED);\nINSERT INTO A VALUES (1), (1); ROW;", "a_i_key"),
        ("ROW;\nCOPY Person FROM STDIN;", "is for psql"),
        ("ROW; /* no end", "unterminated /* comment"),
    ],
)  # fmt: skip
def test_what_fails_is_named_with_its_line(apply: Callable[..., Any], text: str, says: str) -> None:
    with pytest.raises(PatchError) as raised:
        apply("ROW;", text)
    assert str(raised.value).startswith("patch-2208-71-0.sql")
    assert says in str(raised.value)
    assert raised.value.remedy is None


LEFT = {
    "search path": ("CREATE SCHEMA Lp; SET search_path = Lp", "current_schema()", "public"),
    "local search path": ("CREATE SCHEMA Lp; SET LOCAL search_path = Lp", "current_schema()", "public"),
    "role": ("GRANT ALL ON LaunchpadDatabaseRevision TO launchpad; SET ROLE launchpad", "current_user", "postgres"),
    "session's user": (
        "GRANT ALL ON LaunchpadDatabaseRevision TO launchpad; SET SESSION AUTHORIZATION launchpad",
        "session_user",
        "postgres",
    ),
    "triggers off": (
        "SET session_replication_role = replica",
        "current_setting('session_replication_role')",
        "origin",
    ),
    "encoding": ("SET client_encoding = 'LATIN1'", "'é'", "é"),
    "backslashes": ("SET standard_conforming_strings = off", "length('\\n')", "2"),
    "time zone": ("SET TIME ZONE 'Asia/Tokyo'", "current_setting('timezone')", "UTC"),
    "temporary table": ("CREATE TEMP TABLE Person AS SELECT 1 AS x", "'person'::regclass::text", "person"),
    "prepared": ("PREPARE p AS SELECT 1", "(SELECT count(*) FROM pg_prepared_statements)", "0"),
    "cursor": (
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "(SELECT count(*) FROM pg_cursors WHERE name = 'c')",
        "0",
    ),
    "timeout": ("SET lock_timeout = '7ms'; SET statement_timeout = '7d'", "current_setting('lock_timeout')", "0"),
}


@pytest.mark.parametrize("left", LEFT)
def test_nothing_is_left_for_the_next_one(apply: Callable[..., Any], left: str) -> None:
    statement, question, answer = LEFT[left]
    second = f"CREATE TABLE Found AS SELECT ({question})::text AS it; ROW;"
    asked = f"SELECT it, ({question})::text FROM public.Found"  # noqa: S608 (constants)
    assert apply(f"ROW; {statement};", second, ask=asked) == [(answer, answer)]


def test_a_constraint_that_a_later_patch_makes_is_as_it_says(apply: Callable[..., Any]) -> None:
    late = (
        "CREATE TABLE Late (i int UNIQUE INITIALLY DEFERRED); INSERT INTO Late VALUES (1), (1); DELETE FROM Late; ROW;"
    )
    assert apply("ROW;", late, ask="SELECT i FROM Late") == []


@pytest.mark.parametrize("mode", ["DEFERRED", "IMMEDIATE"])
def test_constraints_are_checked_with_their_patch_and_as_they_begin(apply: Callable[..., Any], mode: str) -> None:
    tables = "CREATE TABLE Late (i int UNIQUE INITIALLY DEFERRED); CREATE TABLE Now (i int UNIQUE DEFERRABLE);"
    first = tables + f"INSERT INTO Late VALUES (1); ROW; SET CONSTRAINTS ALL {mode};"  # noqa: S608 (constants)
    for table, text in (("late", "VALUES (1)"), ("now", "VALUES (1), (1)")):
        with pytest.raises(PatchError, match=f"patch-2208-71-0.sql.*{table}_i_key"):
            apply(first, f"INSERT INTO {table} {text}; ROW; DELETE FROM Now;")  # noqa: S608 (constants)
    assert apply(first, "INSERT INTO Late VALUES (1); DELETE FROM Late; ROW;", ask="SELECT i FROM Late") == []


@pytest.fixture
def outage(run_module: Run, database: Database) -> Callable[..., dict[str, Any]]:
    def call(**more: Any) -> dict[str, Any]:
        return run_module("database_outage", database.outage(standbys=[], **more), env=database.environment())

    return call


def test_what_a_patch_has_committed_is_told(outage: Run, database: Database) -> None:
    """A text is read as servers have read it since 9.1; one that is set up otherwise finds an END in it."""
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} SET standard_conforming_strings = off")
    database.write(FOUR[0], "CREATE TABLE Kept (id integer);")
    database.write(FOUR[1], r"SELECT '\''; END; SELECT 'x' -- '" + "\n;")
    answer = outage()
    first, kept, then = answer["msg"].splitlines()[:3]
    assert first.startswith(f"E-patch-failed  the database did not take {FOUR[1]}")
    assert "it ended the transaction that all patches share" in first
    assert kept.startswith("  KEPT: the transaction was committed before its end, the rows 2208-30-0 are in the table")
    assert then == f"  Then: fix {FOUR[1]}, or back it out (R17), and ./runbook.py run select"
    assert (answer["committed"], answer["irreversible"]) == (False, True)
    assert database.rows() == [*ROWS_BEFORE, (2208, 30, 0)]
    database.assert_users_are_in()


def test_a_fault_of_the_server_is_not_the_patchs(outage: Run, database: Database) -> None:
    database.write(FOUR[0], "SELECT pg_terminate_backend(pg_backend_pid());")
    answer = outage()
    first, kept, then = answer["msg"].splitlines()[:3]
    assert first.startswith(f"E-server-fault  the server failed at {FOUR[0]}")
    assert kept.startswith("  Nothing was kept: the rows are as before.")
    assert then.startswith("  Then: see in the server's log who ended its session")
    assert then.endswith("./runbook.py run preflight")
    database.assert_users_are_in()


@both_versions
def test_what_is_told_as_committed_is_on_disk(outage: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
        admin.execute("""
            CREATE TABLE AtCommit (setting text);
            CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO AtCommit VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER keep AFTER UPDATE ON LaunchpadDatabaseRevision DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN (NEW.minor = 58) EXECUTE FUNCTION keep()""")
    assert outage()["committed"]
    assert database.ask("SELECT setting FROM AtCommit") == [("local",)]
