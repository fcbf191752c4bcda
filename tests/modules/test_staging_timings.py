"""Module staging_timings on log files (R9)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.database_servers import FOUR, Database

RESTORE = """\
{day} 03:00:00 INFO    Applying trusted.sql
{day} 03:03:41 INFO    2208-28-1 applied 2011-02-28 in 12.0 seconds
{day} 03:03:41 INFO    2208-30-0 applied just now in {seconds} seconds
"""
FAILED = (
    "{day} 03:00:00 INFO    Applying trusted.sql\n{day} 03:00:01 CRITICAL patch-2208-30-0.sql failed to update it\n"
)


@pytest.fixture
def read(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`read(pattern, check=False)` calls the module with a home of its own and the logs in it."""

    def call(pattern: str = "~/logs/*-staging_restore.log", check: bool = False) -> dict[str, Any]:
        return run_module("staging_timings", {"logs": pattern}, check, env={"HOME": str(tmp_path)})

    return call


def write(home: Path, name: str, text: str, written_at: int) -> Path:
    log = home / "logs" / name
    log.parent.mkdir(exist_ok=True)
    log.write_text(text)
    os.utime(log, (written_at, written_at))
    return log


@pytest.mark.parametrize("check", [False, True])
def test_last_restore_of_the_last_log(read: Callable[..., dict[str, Any]], tmp_path: Path, check: bool) -> None:
    write(tmp_path, "2011-03-15-staging_restore.log", RESTORE.format(day="2011-03-15", seconds=90.1), 100)
    appended = RESTORE.format(day="2011-03-01", seconds=80.5) + RESTORE.format(day="2011-03-08", seconds=70.5)
    log = write(tmp_path, "2011-03-08-staging_restore.log", appended, 200)
    write(tmp_path, "other.log", RESTORE.format(day="2011-03-16", seconds=1.0), 300)
    result = read(check=check)
    assert result["timings"] == {"patch-2208-30-0.sql": 70.5}
    assert (result["log"], result["line"], result["at"]) == (str(log), 4, "2011-03-08T03:03:41+00:00")
    assert result["evidence"] == (
        "1 patch timed in the staging restore of Tue 8 Mar 2011 03:03 UTC (2011-03-08-staging_restore.log)"
    )
    assert not result["changed"]


def test_written_at_the_same_time_the_last_by_name(read: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    for day, seconds in (("2011-03-08", 70.5), ("2011-03-01", 80.5)):
        write(tmp_path, f"{day}-staging_restore.log", RESTORE.format(day=day, seconds=seconds), 100)
    assert read()["timings"] == {"patch-2208-30-0.sql": 70.5}


def test_no_log_at_all(read: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    result = read()
    assert result["failed"]
    assert result["msg"].startswith("E-no-restore-log  No file matches ~/logs/*-staging_restore.log")
    assert "2208-30-0 applied just now in 70.5 seconds" in result["msg"]


def test_nothing_usable_in_it(read: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    log = write(tmp_path, "a-staging_restore.log", "Nothing.\n", 100)
    result = read()
    assert result["failed"]
    assert result["msg"].startswith(f"E-no-timings  {log}: no upgrade in it")
    assert "2208-30-0 applied just now in 70.5 seconds" in result["msg"]


def test_an_older_restore_does_not_stand_in_for_one_that_failed(
    read: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    write(tmp_path, "2011-03-01-staging_restore.log", RESTORE.format(day="2011-03-01", seconds=80.5), 100)
    text = RESTORE.format(day="2011-03-07", seconds=80.5) + FAILED.format(day="2011-03-08")
    log = write(tmp_path, "2011-03-08-staging_restore.log", text, 200)
    result = read()
    assert result["failed"]
    assert f"{log}: its last upgrade (line 4) failed: patch-2208-30-0.sql failed" in result["msg"]


def test_bytes_that_are_no_text(read: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    log = write(tmp_path, "a-staging_restore.log", "", 100)
    log.write_bytes(b"\xff\xfe NOTICE: caf\xe9\n" + RESTORE.format(day="2011-03-08", seconds=70.5).encode())
    assert read()["timings"] == {"patch-2208-30-0.sql": 70.5}


def test_what_qastaging_measured(run_module: Callable[..., dict[str, Any]], database: Database) -> None:
    """Every patch has its time there, the ones of an earlier upgrade too: production may lack them still."""

    def ask() -> dict[str, Any]:
        return run_module("staging_timings", {"kind": "qastaging", "dsn": database.dsn()}, env=database.environment())

    with database.admin() as admin:
        admin.execute("UPDATE LaunchpadDatabaseRevision SET end_time = NULL")
    nothing = ask()
    assert nothing["msg"].startswith(f"E-no-timings  No row of the revision table of {database.name} says how long")
    arguments = {"dsn": database.dsn(), "schema_directory": str(database.schema)}
    upgraded = run_module("database_upgrade", arguments, env=database.environment())
    answer = ask()
    assert answer["timings"] == {each["patch"]: each["seconds"] for each in upgraded["applied"]}
    assert answer["evidence"].startswith(f"{len(FOUR)} patches timed by qastaging's own upgrades, the last of ")
    assert answer["evidence"].endswith(f" ({database.name})")


def test_times_by_hand_have_a_source(run_module: Callable[..., dict[str, Any]]) -> None:
    def ask(**given: Any) -> dict[str, Any]:
        return run_module("staging_timings", {"kind": "given", **given})

    seconds = {"patch-2208-30-0.sql": 70.5}
    answer = ask(seconds=seconds, source="stub, on a copy\nof 6 Dec 2026")
    assert answer["timings"] == seconds
    assert answer["evidence"] == "1 patch timed by hand: stub, on a copy of 6 Dec 2026"
    for given in ({"seconds": seconds}, {"seconds": seconds, "source": "  "}, {"source": "stub"}):
        assert ask(**given)["msg"].startswith("E-no-timings-source  ")
    for wrong in (
        {"patch-2208-30-0.sql": "fast"},
        {"patch-2208-30-0.sql": -1},
        {"2208": 1},
        {"patch-2208-30-0.sql": True},
    ):
        assert ask(seconds=wrong, source="stub")["msg"].startswith("E-bad-timing  "), wrong
