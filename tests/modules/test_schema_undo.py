"""Backing a schema out after its commit (R17): undo files are tried on a copy, then run while access is closed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.database_servers import FOUR, ROWS_BEFORE, RUN, SCHEMA, Database, both_versions, wait_for

UNDOS = [f"{name[:-4]}.undo.sql" for name in reversed(FOUR)]


class SchemaUndo:
    """A database with the four patches, and what takes them back."""

    def __init__(self, run_module: Callable[..., dict[str, Any]], database: Database) -> None:
        self.run_module, self.database = run_module, database
        self.before = database.dump()
        applied = run_module("database_outage", database.outage(), env=database.environment())
        assert applied["committed"], applied
        self.patched = database.dump()
        for name in UNDOS:
            shutil.copy(SCHEMA / name, database.schema)

    def check(self, **more: Any) -> dict[str, Any]:
        args = {"dsn": self.database.dsn(), "patches": FOUR, "schema_directory": str(self.database.schema)}
        path = f"{self.database.servers.binaries}:{os.environ['PATH']}"
        return self.run_module(
            "database_schema_undo_check", {**args, **more}, env={**self.database.environment(), "PATH": path}
        )

    def outage(self, check: bool = False, **more: Any) -> dict[str, Any]:
        return self.run_module(
            "database_outage", self.arguments(**more), check, diff=True, env=self.database.environment()
        )

    def arguments(self, **more: Any) -> dict[str, Any]:
        tried = more.pop("undo_files", None) or self.check()["undo_files"]
        return self.database.outage(work="schema_undo", undo_files=tried, **more)

    def write(self, name: str, old: str, new: str) -> None:
        path: Path = self.database.schema / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def databases(self) -> list[str]:
        found = self.database.ask("SELECT datname FROM pg_database WHERE datname LIKE '%back_out_check'")
        return [name for (name,) in found]


@pytest.fixture
def undo(run_module: Callable[..., dict[str, Any]], database: Database) -> SchemaUndo:
    return SchemaUndo(run_module, database)


@both_versions
def test_every_patch_of_the_lab_is_a_round_trip(undo: SchemaUndo) -> None:
    with undo.database.user():  # qastaging is never without its users
        found = undo.check()
    assert not found["failed"], found
    assert [(trip["patch"], trip["round_trip"]) for trip in found["trips"]] == [(name, True) for name in FOUR]
    assert [item.partition("=")[0] for item in found["undo_files"]] == UNDOS
    assert found["losses"] == [
        "patch-2208-58-1.undo.sql:2: DROP TABLE BugSummary",
        "patch-2208-30-0.undo.sql:2: ALTER TABLE BugTask DROP COLUMN date_triaged",
    ]
    assert found["evidence"][0].endswith(": 4 of 4 patches are round trips")
    assert undo.databases() == []
    assert undo.database.dump() == undo.patched


def test_what_an_undo_leaves_behind_is_told(undo: SchemaUndo) -> None:
    undo.write("patch-2208-58-1.undo.sql", "DROP TABLE BugSummary;", "")
    undo.write("patch-2208-56-0.undo.sql", "DROP INDEX translationmessage__msgstr__idx;", "")
    found = undo.check()
    says = {trip["patch"]: trip["says"] for trip in found["trips"]}
    assert says["patch-2208-30-0.sql"].startswith("a round trip: ")
    assert says["patch-2208-56-0.sql"].startswith(
        "NOT A ROUND TRIP: it cannot go in again: patch-2208-56-0.sql, line 6: "
    )
    assert says["patch-2208-57-0.sql"] == says["patch-2208-58-1.sql"] == "not tried: one before it failed"
    assert found["evidence"][0].endswith(": 1 of 4 patches are round trips")
    assert found["evidence"][1].startswith("patch-2208-56-0.sql: NOT A ROUND TRIP: ")


def test_a_difference_is_shown(undo: SchemaUndo) -> None:
    """What somebody changed since is not what the patch makes."""
    with undo.database.admin() as connection:
        connection.execute("ALTER TABLE BugTask ALTER COLUMN date_triaged SET DEFAULT now()")
    (trip,) = [trip for trip in undo.check()["trips"] if trip["patch"] == "patch-2208-30-0.sql"]
    assert trip["says"].startswith("NOT A ROUND TRIP: undone and applied again it differs: ")
    assert "date_triaged" in trip["says"]


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            "DROP TABLE BugSummary",
            "DROP TABLE BugSumary",
            "E-undo-failed  on a copy of the schema: patch-2208-58-1.undo",
        ),
        (
            "(2208, 58, 1)",
            "(2208, 57, 0)",
            "E-unsound-undo  patch-2208-58-1.undo.sql: deletes the row of another patch",
        ),
        (
            "DROP TABLE BugSummary;",
            "DROP TABLE BugSummary; COMMIT;",
            "E-unsound-undo  patch-2208-58-1.undo.sql:2: 'COMMIT' would end",
        ),
    ],
)
def test_an_undo_that_cannot_run(undo: SchemaUndo, old: str, new: str, error: str) -> None:
    undo.write("patch-2208-58-1.undo.sql", old, new)
    found = undo.check()
    assert found["msg"].startswith(error), found
    assert undo.databases() == []
    assert undo.database.dump() == undo.patched


def test_a_patch_without_an_undo_file(undo: SchemaUndo) -> None:
    (undo.database.schema / "patch-2208-57-0.undo.sql").unlink()
    said = undo.check()["msg"]
    assert said.startswith("E-no-undo-file  ")
    assert "has no patch-2208-57-0.undo.sql: so nothing can be undone" in said
    assert "restore from the backup" in said


@both_versions
def test_undone_while_access_is_closed(undo: SchemaUndo) -> None:
    answer = undo.outage()
    assert not answer["failed"], answer
    assert (answer["committed"], answer["changed"]) == (True, True)
    assert [step["step"] for step in answer["steps"]][2:6] == UNDOS
    assert undo.database.rows() == ROWS_BEFORE
    assert undo.database.dump() == undo.before
    undo.database.assert_users_are_in()
    again = undo.outage(undo_files=["patch-2208-30-0.undo.sql=0"])
    assert (again["failed"], again["changed"], again["outage_seconds"]) == (False, False, 0.0)


def test_check_mode_undoes_nothing(undo: SchemaUndo) -> None:
    answer = undo.outage(check=True)
    assert answer["summary"] == "no outage: check mode, 4 patches are to be undone"
    assert answer["diff"]["after"] == "2208-00-0\n2208-28-1\n"
    assert undo.database.dump() == undo.patched


def test_other_files_than_were_tried(undo: SchemaUndo) -> None:
    tried = undo.check()["undo_files"]
    undo.write("patch-2208-30-0.undo.sql", "what was known", "all that was known")
    answer = undo.outage(undo_files=tried)
    assert answer["msg"].startswith("E-not-tried  patch-2208-30-0.undo.sql in ")
    assert answer["outage_seconds"] == 0
    assert not undo.outage(check=True, undo_files=[])["committed"], "none was tried"


def test_what_went_in_since_may_rest_on_it(undo: SchemaUndo) -> None:
    with undo.database.admin() as connection:
        connection.execute("INSERT INTO LaunchpadDatabaseRevision VALUES (2209, 1, 0)")
    assert undo.check()["msg"].startswith("E-applied-since  2209-01-0 went in after these patches")


def test_an_undo_that_fails_in_the_outage_keeps_everything(undo: SchemaUndo) -> None:
    """What users have written since was not on the copy: another table refers to what would go."""
    tried = undo.check()["undo_files"]
    with undo.database.admin() as connection:
        connection.execute("CREATE TABLE Since (summary integer REFERENCES BugSummary)")
    schema = undo.database.dump()
    answer = undo.outage(undo_files=tried)
    assert answer["msg"].startswith("E-undo-failed  the database did not take patch-2208-58-1.undo.sql, line 2: ")
    assert "Nothing was undone: the rows are as before. Access is open again" in answer["msg"]
    assert (answer["committed"], answer["locked_out"]) == (False, False)
    assert undo.database.dump() == schema
    undo.database.assert_users_are_in()


def test_stopped_in_the_middle_nothing_is_undone(
    undo: SchemaUndo, start_module: Callable[..., Any], database: Database
) -> None:
    arguments = undo.arguments()
    with database.admin() as blocker:
        blocker.execute("BEGIN; LOCK TABLE Branch IN ACCESS SHARE MODE")
        running = start_module("database_outage", arguments, env=database.environment())
        wait_for(database.waiting, "the second undo to wait for the lock")
        args = {
            "dsn": database.dsn(),
            "patches": FOUR,
            "stop_run": RUN,
            "state_directory": str(database.directory / "state"),
        }
        stopped = undo.run_module("database_outage_stop", args, env=database.environment("stop"))
    assert (stopped["answer"], stopped["survivors"]) == ("rolled_back", [])
    assert stopped["summary"] == "nothing was undone: the rows are as before; access is open"
    assert running.result()["failed"]
    assert database.dump() == undo.patched
    database.assert_users_are_in()


def test_when_it_is_committed_a_stop_is_too_late(undo: SchemaUndo, database: Database) -> None:
    undo.outage()
    args = {
        "dsn": database.dsn(),
        "patches": FOUR,
        "stop_run": RUN,
        "state_directory": str(database.directory / "state"),
    }
    stopped = undo.run_module("database_outage_stop", args, env=database.environment("stop"))
    assert (stopped["answer"], stopped["summary"]) == ("too_late", "the patches are undone; access is open")


def test_the_permissions_of_before_are_set_with_it(undo: SchemaUndo, database: Database) -> None:
    """What the rollout granted for its code goes in the same transaction."""
    with database.admin() as connection:
        connection.execute("GRANT INSERT ON Person TO cron")
    file = database.directory / "security.cfg"
    file.write_text("[cron]\ntype = user\npublic.person = SELECT\n")
    answer = undo.outage(permissions=str(file))
    assert not answer["failed"], answer
    assert [step["step"] for step in answer["steps"]][6] == "permissions"
    granted = (
        "SELECT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'cron' AND table_name = %s"
    )
    assert database.ask(granted, "person") == [("SELECT",)]
    assert database.ask(granted, "branch") == []
