"""Modules database_upgrade, database_revisions and database_access on a real server (R9, R12, R18)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.schema import budget
from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, Database

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(run_module: Run, database: Database) -> Run:
    """Run a module on the database: `run(name, check=False, **arguments)`."""

    def call(name: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        arguments.setdefault("dsn", database.dsn())
        return run_module(name, arguments, check, env=database.environment())

    return call


@pytest.fixture
def upgrade(run: Run, database: Database) -> Run:
    def call(check: bool = False, **arguments: Any) -> dict[str, Any]:
        log = str(database.directory / "logs" / "upgrade.log")
        return run("database_upgrade", check, schema_directory=str(database.schema), log_file=log, **arguments)

    return call


def log(database: Database) -> str:
    return (database.directory / "logs" / "upgrade.log").read_text()


def test_upgrade_applies_all_pending_patches_and_locks_nobody_out(upgrade: Run, database: Database) -> None:
    user = database.user()
    answer = upgrade(branch_nick="devel", revno=12735)
    assert answer["changed"]
    assert [patch["patch"] for patch in answer["applied"]] == FOUR
    assert answer["applied"][0]["title"].startswith("Remember when a bug task was triaged")
    assert answer["rows"] == [list(row) for row in ROWS_AFTER]
    assert database.rows() == ROWS_AFTER
    assert user.execute("SELECT count(*) FROM BugSummary").fetchone() > (1000,)


def test_permissions_are_tried_with_the_patches_and_rolled_back(upgrade: Run, database: Database) -> None:
    """They may name what the patches make, a sequence that no statement names among it."""
    database.write(FOUR[0], f"CREATE ROLE tried_{database.name} LOGIN; CREATE TABLE Approval (id serial PRIMARY KEY);")
    file = database.directory / "security.cfg"
    given = "public.approval = SELECT\npublic.approval_id_seq = USAGE\n"
    file.write_text(f"[tried_{database.name}]\ntype=user\n{given}public.nothing = SELECT\n")
    answer = upgrade(permissions=str(file))
    assert answer["failed"]
    assert "E-permissions-unknown" in answer["msg"]
    assert f"{file}:5: role tried_{database.name}: there is no table, view or sequence public.nothing" in answer["msg"]
    assert "Nothing was kept" in answer["msg"]
    assert database.rows() == ROWS_BEFORE

    file.write_text(f"[tried_{database.name}]\ntype=user\n{given}")
    answer = upgrade(permissions=str(file))
    assert not answer["failed"], answer
    assert answer["permissions_tried"]
    assert database.rows() == ROWS_AFTER
    granted = "SELECT has_table_privilege(%s, 'approval', 'SELECT')"
    assert database.ask(granted, f"tried_{database.name}") == [(False,)]

    file.write_text("[launchpad]\ntype=user\npublic.nothing = SELECT\n")  # nothing is pending any more
    assert "public.nothing" in upgrade(permissions=str(file))["msg"]


def test_upgrade_twice_changes_nothing(upgrade: Run, database: Database) -> None:
    upgrade()
    before = database.dump()
    answer = upgrade()
    assert not answer["changed"]
    assert answer["applied"] == []
    assert database.dump() == before


def test_late_lower_number_is_applied(upgrade: Run, database: Database) -> None:
    upgrade()
    database.write("patch-2208-31-0.sql", "ALTER TABLE Branch ADD COLUMN late integer;")
    assert [patch["patch"] for patch in upgrade()["applied"]] == ["patch-2208-31-0.sql"]
    assert (2208, 31, 0) in database.rows()


def test_upgrade_log_is_what_the_budget_reads(upgrade: Run, database: Database) -> None:
    applied = upgrade()["applied"]
    seconds = budget.last_restore(log(database)).seconds
    assert seconds == {patch["patch"]: pytest.approx(patch["seconds"], abs=0.051) for patch in applied}
    lines = log(database).splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO    \S", line) for line in lines)
    assert any(re.search(r" 2208-28-1 previously applied \d{4}-\d\d-\d\d in 12\.0 seconds$", line) for line in lines)
    assert not any("2208-00-0" in line for line in lines), "the baseline is older than a month"


def test_sql_error_keeps_nothing_and_is_logged(upgrade: Run, database: Database) -> None:
    database.write(FOUR[2], "SELECT 1;\nUPDATE Branch SET nosuch = 1;")
    before = database.dump()
    answer = upgrade()
    assert answer["failed"]
    first, kept, *_ = answer["msg"].split("\n")
    assert first == (
        f"E-patch-failed  {database.name} did not take {FOUR[2]}, line 3: "
        'column "nosuch" of relation "branch" does not exist [42703].'
    )
    assert kept == "  Nothing was kept: the rows are as before."
    assert (answer["patch"], answer["line"], answer["sqlstate"]) == (FOUR[2], 3, "42703")
    assert database.dump() == before
    assert "applied just now" not in log(database)
    assert log(database).splitlines()[-1].split(" ", 3)[2] == "CRITICAL"


def test_unsound_patch_is_refused_with_all_problems(upgrade: Run, database: Database) -> None:
    database.write(FOUR[1], "SELECT 1;", row=False)
    database.write(FOUR[2], "VACUUM;")
    answer = upgrade()
    assert answer["failed"]
    assert f"{FOUR[1]}: has no row of its own" in answer["msg"]
    assert f"{FOUR[2]}:2: 'VACUUM' cannot run" in answer["msg"]
    assert database.rows() == ROWS_BEFORE


def test_what_the_server_takes_is_taken(upgrade: Run, database: Database) -> None:
    taken = """\ufeff-- From another editor.
        CREATE TABLE schema_version (id integer PRIMARY KEY); REINDEX TABLE schema_version;
        INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 57, 0) -- and no more"""
    (database.schema / FOUR[2]).write_bytes(taken.encode())
    answer = upgrade()
    assert not answer["failed"], answer
    assert answer["applied"][2]["title"] == "From another editor."
    assert database.rows() == ROWS_AFTER


def test_upgrade_in_check_mode(upgrade: Run, database: Database) -> None:
    before = database.dump()
    answer = upgrade(check=True)
    assert answer["changed"]
    assert [patch["patch"] for patch in answer["applied"]] == FOUR
    assert answer["rows"] == [list(row) for row in ROWS_AFTER]
    assert database.dump() == before
    assert not (database.directory / "logs").exists()


def test_upgrade_and_outage_exclude_each_other(upgrade: Run, database: Database) -> None:
    with database.admin("rollout 2026-12 access") as other:
        other.execute("SELECT pg_advisory_lock(22080400)")
        answer = upgrade()
    assert answer["failed"]
    assert answer["msg"].startswith("E-another-rollout  session ")
    assert database.rows() == ROWS_BEFORE


def test_revisions_are_read_from_the_table(run: Run, upgrade: Run, database: Database) -> None:
    applied = upgrade()["applied"]
    answer = run("database_revisions", present=FOUR, absent=["patch-2208-59-0.sql"])
    assert not answer["failed"], answer
    assert answer["rows"] == [list(row) for row in ROWS_AFTER]
    assert [timing["patch"] for timing in answer["timings"]] == FOUR
    for timing, patch in zip(answer["timings"], applied, strict=True):
        assert timing["seconds"] == pytest.approx(patch["seconds"], abs=0.01)


def test_revisions_that_are_not_as_they_should_be(run: Run) -> None:
    answer = run("database_revisions", present=["patch-2208-28-1.sql", *FOUR[:1]], absent=["patch-2208-00-0.sql"])
    assert answer["failed"]
    assert answer["msg"].startswith("E-wrong-rows  ")
    assert f"not applied: {FOUR[0]}; applied, and must not be: patch-2208-00-0.sql.\n" in answer["msg"]
    assert answer["rows"] == [list(row) for row in ROWS_BEFORE]


def test_open_access_is_left_alone(run: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    answer = run("database_access", state_directory=str(database.access_file.parent))
    assert not answer["changed"]
    assert answer["was"] == "open"
    assert database.limit() == 50


def leave_closed(database: Database, directory: Path) -> None:
    """As a killed run leaves it: the limit saved, access closed, a session of it still there."""
    directory.mkdir()
    saved = f'{{"database": "{database.name}", "connection_limit": 50, "run_id": "2026-12"}}'
    database.access_file.write_text(saved)
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")


def test_access_left_closed_is_opened_and_the_killed_run_ended(run: Run, database: Database) -> None:
    leave_closed(database, database.access_file.parent)
    left = database.admin("rollout 2026-12")
    left.execute("BEGIN")
    checked = run("database_access", check=True, state_directory=str(database.access_file.parent))
    assert checked["changed"]
    assert database.limit() == 0

    answer = run("database_access", state_directory=str(database.access_file.parent))

    assert answer["changed"]
    assert (answer["was"], answer["left_by"], answer["ended_sessions"]) == ("left closed", "2026-12", 1)
    assert database.limit() == 50
    assert not database.access_file.exists()
    assert left.closed or not database.ask("SELECT 1 FROM pg_stat_activity WHERE application_name = 'rollout 2026-12'")


def test_access_of_someone_else_stays_closed(run: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    answer = run("database_access", state_directory=str(database.access_file.parent))
    assert answer["failed"]
    assert answer["msg"].startswith("E-access-closed  ")
    assert database.limit() == 0


def test_the_first_patch_ever(run: Run, upgrade: Run, database: Database) -> None:
    """Without the table, what is said makes it; and an empty one is what a service begins with."""
    with database.admin() as admin:
        admin.execute("DROP TABLE LaunchpadDatabaseRevision")
    for failed in (upgrade(), run("database_revisions")):
        assert failed["msg"].startswith(
            f"E-no-revision-table  {database.name} has no table LaunchpadDatabaseRevision, in which each patch"
        )
        argv = shlex.split(failed["msg"].splitlines()[-1].partition("schema:  ")[2])
        assert argv[:4] == ["psql", "-d", database.name, "-c"]
    with database.admin() as admin:
        admin.execute(argv[4])
    assert run("database_revisions")["rows"] == []
    answer = upgrade(branch_nick="devel", revno=1)
    assert [patch["patch"] for patch in answer["applied"]] == FOUR
    assert all(each["seconds"] is not None for each in run("database_revisions", present=FOUR)["timings"])


def test_a_revision_table_with_other_columns_is_named(run: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute("ALTER TABLE LaunchpadDatabaseRevision DROP COLUMN revid")
    said = run("database_revisions")["msg"]
    assert said.startswith(f"E-revision-table  LaunchpadDatabaseRevision of {database.name} is another one: column")
    assert "revid text" in said
