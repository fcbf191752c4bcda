"""Module database_outage on real servers: users out, patches in one transaction, users in whatever happens (R18)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.modules.database_servers import FOUR, ROWS_AFTER, ROWS_BEFORE, Database

Run = Callable[..., dict[str, Any]]
THIRD = FOUR[2]


@pytest.fixture
def run(run_module: Run, database: Database) -> Run:
    """Run the outage: `run(check=False, **arguments)`."""

    def call(check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module("database_outage", database.outage(**more), check, env=database.environment())

    return call


def test_patches_go_in_and_users_come_back(run: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 50")
    users = [database.user() for _ in range(10)]
    dba = database.admin()

    answer = run(branch_nick="devel", revno=12735, revid="pqm@example.com-1")

    assert not answer["failed"], answer
    assert answer["changed"]
    assert answer["committed"]
    assert answer["ended_sessions"] == 10
    assert database.rows() == ROWS_AFTER
    for user in users:
        with pytest.raises(psycopg.OperationalError):
            user.execute("SELECT 1")
    assert dba.execute("SELECT 1").fetchone() == (1,), "a superuser's session was ended"
    database.assert_users_are_in(limit=50)
    assert [step["step"] for step in answer["steps"]] == [
        "close access", "end connections", *FOUR, "commit and open access",
    ]  # fmt: skip
    assert sum(step["seconds"] for step in answer["steps"]) == pytest.approx(answer["outage_seconds"], abs=0.005)
    closed, opened = (datetime.fromisoformat(answer[key]) for key in ("closed_at", "opened_at"))
    assert (opened - closed).total_seconds() == pytest.approx(answer["outage_seconds"], abs=0.005)
    assert answer["standby_seconds"] is not None
    access = f"{answer['closed_at'][11:21]}–{answer['opened_at'][11:21]}"
    assert f" · users locked out {access} · 10 connections ended · standby caught up " in answer["summary"]
    assert database.rows(host=database.servers.standby) == ROWS_AFTER


def test_rows_record_where_each_patch_came_from_and_its_own_time(run: Run, database: Database) -> None:
    answer = run(branch_nick="devel", revno=12735, revid="pqm@example.com-1")

    rows = database.ask(
        "SELECT branch_nick, revno, revid, extract(epoch FROM end_time - start_time)::float, start_time"
        " FROM LaunchpadDatabaseRevision WHERE minor >= 30 ORDER BY minor"
    )
    assert {row[:3] for row in rows} == {("devel", 12735, "pqm@example.com-1")}
    measured = [step["seconds"] for step in answer["steps"] if step["step"] in FOUR]
    assert [row[3] for row in rows] == pytest.approx(measured, abs=0.1)
    assert [row[4] for row in rows] == sorted({row[4] for row in rows}), "patches share a start_time"


def test_times_are_those_of_the_rehearsal_clock(run: Run) -> None:
    answer = run(clock_offset=86400 * 365)
    assert datetime.fromisoformat(answer["closed_at"]) - datetime.now().astimezone() > timedelta(days=364)


def test_nothing_pending_is_no_outage(run: Run, database: Database) -> None:
    run()
    user = database.user()
    answer = run()
    assert not answer["changed"]
    assert answer["committed"]
    assert answer["steps"] == []
    assert answer["summary"] == "no outage: nothing was pending"
    assert user.execute("SELECT 1").fetchone() == (1,), "a user was locked out for nothing"


def test_check_mode_touches_nothing(run: Run, database: Database) -> None:
    before, user = database.dump(), database.user()
    answer = run(check=True)
    assert answer["changed"]
    assert not answer["committed"]
    assert answer["diff"]["after"].split()[2:] == ["2208-30-0", "2208-56-0", "2208-57-0", "2208-58-1"]
    assert user.execute("SELECT 1").fetchone() == (1,)
    assert database.dump() == before
    assert not database.access_file.parent.exists()


@pytest.mark.parametrize(
    ("sql", "line", "said"),
    [
        (
            "UPDATE Branch SET name = '';\n\nALTER TABLE Branch\n  ADD UNIQUE (name);",
            4,
            "could not create unique index",
        ),
        ("SELECT 1;\nALTER TABLE Branch\n  ADD COLUMN x nosuchtype;", 4, 'type "nosuchtype" does not exist'),
        ("DO $$ BEGIN\n  PERFORM 1 / 0;\nEND $$;", 2, "division by zero"),
    ],
    ids=["when it runs", "where it is parsed", "in a function"],
)
def test_sql_error_in_the_third_of_four(run: Run, database: Database, sql: str, line: int, said: str) -> None:
    database.write(THIRD, sql)
    before = database.dump()
    answer = run()
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-patch-failed  the database did not take {THIRD}, line {line}: ")
    assert said in answer["msg"]
    assert "Nothing was kept" in answer["msg"]
    assert "Access is open again" in answer["msg"]
    assert not answer["committed"]
    assert not answer["irreversible"]
    assert not answer["locked_out"]
    assert [step["step"] for step in answer["steps"]][-3:] == [THIRD, "roll back", "open access"]
    assert database.dump() == before
    database.assert_users_are_in()


@pytest.mark.parametrize(
    ("sql", "row", "said"),
    [
        ("SELECT 1;", False, "has no row of its own"),
        ("ALTER DATABASE launchpad CONNECTION LIMIT 7;", True, "moves the limit that keeps users out"),
        ("CREATE INDEX CONCURRENTLY i ON Branch (name);", True, "'CREATE INDEX CONCURRENTLY i"),
        ("COMMIT;", True, "'COMMIT' would end the one transaction"),
        ("BEGIN;", True, "'BEGIN' cannot run"),
        ("VACUUM Branch;", True, "'VACUUM Branch' cannot run"),
        ("COPY Person FROM STDIN;", True, "'COPY Person FROM STDIN' is COPY … FROM STDIN, which is for psql"),
    ],
)
def test_unsound_patch_is_refused_before_the_outage(
    run: Run, database: Database, sql: str, row: bool, said: str
) -> None:
    database.write(THIRD, sql, row=row)
    before, user = database.dump(), database.user()
    answer = run()
    assert answer["failed"]
    assert answer["msg"].startswith("E-unsound-patch  ")
    assert said in answer["msg"]
    assert THIRD in answer["msg"]
    assert user.execute("SELECT 1").fetchone() == (1,), "a user was locked out for nothing"
    assert answer["outage_seconds"] == 0
    assert database.dump() == before


@pytest.mark.parametrize(
    ("trick", "said"),
    [
        ("DELETE FROM LaunchpadDatabaseRevision WHERE minor = 57;", "did not insert its own row"),
        ("DELETE FROM LaunchpadDatabaseRevision WHERE minor = 28;", "not its own (2208-28-1)"),
    ],
)
def test_rows_that_do_not_fit_at_the_end_of_a_patch(run: Run, database: Database, trick: str, said: str) -> None:
    database.write(THIRD, "SELECT 1;")
    with (database.schema / THIRD).open("a") as file:
        file.write(trick)
    before = database.dump()
    answer = run()
    assert answer["failed"]
    assert said in answer["msg"]
    assert database.dump() == before
    database.assert_users_are_in()


@pytest.mark.parametrize(
    ("patches", "said"),
    [
        (FOUR[:3], "patch-2208-58-1.sql is pending, but not pinned"),
        ([*FOUR, "patch-2208-59-0.sql"], "patch-2208-59-0.sql is pinned, but has no file here"),
        ([*FOUR, "patch-2208-28-1.sql"], "patch-2208-28-1.sql is pinned, but already applied"),
        (["patch-2208-30.0.sql"], "E-bad-patch-name"),
    ],
)
def test_other_patches_than_the_plan_pinned(run: Run, database: Database, patches: list[str], said: str) -> None:
    user = database.user()
    answer = run(patches=patches)
    assert answer["failed"]
    assert said in answer["msg"]
    assert user.execute("SELECT 1").fetchone() == (1,)
    assert database.rows() == ROWS_BEFORE


def test_misnamed_patch_is_not_skipped_silently(run: Run, database: Database) -> None:
    (database.schema / "patch-2208-60.0.sql").write_text("SELECT 1;")
    answer = run()
    assert answer["failed"]
    assert answer["msg"].startswith("E-misnamed-patch  ")
    assert "patch-2208-60.0.sql" in answer["msg"]


def test_access_closed_by_someone_else_is_refused(run: Run, database: Database) -> None:
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    answer = run()
    assert answer["failed"]
    assert answer["msg"].startswith("E-access-closed  ")
    assert f"""-c 'ALTER DATABASE "{database.name}" CONNECTION LIMIT -1'""" in answer["msg"]
    assert database.rows() == ROWS_BEFORE
    assert database.limit() == 0, "somebody else's access was opened"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"user": "launchpad"}, "E-not-superuser"),
        ({"host": "standby"}, "E-not-the-primary"),
        ({"host": "127.0.0.1"}, "E-no-connection"),
    ],
)
def test_connection_that_will_not_do(run: Run, database: Database, change: dict[str, str], error: str) -> None:
    if change.get("host") == "standby":
        change = {"host": database.servers.standby}
    answer = run(dsn=database.dsn(**change))
    assert answer["failed"]
    assert answer["msg"].startswith(f"{error}  ")
    assert database.rows() == ROWS_BEFORE
