"""Module database_preflight: every finding at once, each with what to do (R18)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from plugins.module_utils.rollout_core.schema import patches
from tests.modules.database_servers import FOUR, Database, both_versions
from tests.modules.preflighting import NewRun, Run, failed, found, new_run

ALWAYS = {
    *(
        "server",
        "settings",
        "event triggers",
        "trial",
        "access",
        "other runs",
        "roles",
        "lock holders",
        "subscriptions",
        "patches",
        *FOUR,
        "extensions",
        "standbys",
        "lag",
        "standby can sync",
    ),
    *("transactions", "fragile users", "bad users", "superusers", "prepared transactions", "synchronous standbys"),
    *("remote_apply", "reserved connections", "locks", "disk", "backup", "state directory", "clock"),
}


OF_PATCHES = {"extensions", "roles", "lock holders", "subscriptions"}


@pytest.fixture
def run(run_module: NewRun, database: Database) -> Run:
    """Run the preflight: `run(check=False, **arguments)`."""
    return new_run(run_module, database)


@both_versions
def test_all_is_well(run: Run, database: Database) -> None:
    before, user = database.dump(), database.user()
    answer = run()
    assert not answer["failed"], [finding for finding in answer["findings"] if not finding["ok"]] or answer
    assert not answer["changed"]
    assert {finding["check"] for finding in answer["findings"]} == ALWAYS | {"worker"}
    assert answer["summary"].startswith(f"{len(answer['findings'])} of {len(answer['findings'])} ✓ · lag ")
    assert answer["summary"].endswith(" s · no transaction over 60 s")
    assert [remark.partition(":")[0] for remark in answer["remarks"]] == ["backup", "clock"]
    assert user.execute("SELECT 1").fetchone() == (1,)
    assert database.dump() == before
    brought = found(answer, "worker").partition("brought as ")[2]
    assert brought == str(next((database.directory / "state").glob("*.pyz")))


def test_check_mode_brings_nothing(run: Run, database: Database) -> None:
    answer = run(check=True)
    assert not answer["failed"], answer
    assert {finding["check"] for finding in answer["findings"]} == ALWAYS
    assert not (database.directory / "state").exists()


def test_all_findings_at_once(run: Run, database: Database) -> None:
    database.write(FOUR[2], "CREATE INDEX CONCURRENTLY i ON Branch (name);", row=False)
    user = database.user()
    user.execute("BEGIN")
    user.execute("UPDATE Branch SET name = 'hunter2' WHERE id = 1")
    with database.admin() as admin:
        admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    missing = {"dsn": database.dsn(host=database.servers.standby)}

    answer = run(standbys=[missing, missing], max_transaction_seconds=0, fragile_users=["launchpad"])

    assert failed(answer) == {FOUR[2], "standbys", "transactions", "fragile users", "access"}
    message = answer["msg"]
    assert message.startswith(f"E-preflight  5 of {len(answer['findings'])} checks of {database.name} failed")
    assert f"{FOUR[2]}: has no row of its own" in message
    assert "cannot run inside the one transaction" in message
    assert "standbys: 1 streaming: standby at " in message
    assert "(expected: 2 streaming)" in message
    assert "transactions: launchpad (" in message
    assert "UPDATE Branch SET name = '' WHERE id = 1" in message
    assert "hunter2" not in str(answer)
    assert "stop by hand what connects as launchpad" in message
    assert "access: closed by someone else (expected: open)" in message
    assert f"""ALTER DATABASE "{database.name}" CONNECTION LIMIT -1'""" in message
    assert message.endswith("\n  Then: ./runbook.py run preflight")
    user.execute("COMMIT")  # its session was left alone


def test_other_patches_than_pinned_do_not_hide_the_rest(run: Run, database: Database) -> None:
    database.write(FOUR[0], "SELECT 1;", row=False)
    chosen = [patches.digest(name, (database.schema / name).read_text()) for name in FOUR]
    database.write(FOUR[1], "SELECT 2;")
    answer = run(patches=FOUR[:3], digests=chosen[1:], standbys=[])
    assert failed(answer) == {"patches", FOUR[0], "standbys"}
    assert "patch-2208-58-1.sql is pending, but not pinned" in answer["msg"]
    assert [f"{name} is not what it was when it was chosen" in answer["msg"] for name in FOUR] == [
        False,  # nobody said what it was
        True,
        False,
        False,
    ]


def test_tree_that_was_not_delivered(run: Run, database: Database) -> None:
    answer = run(schema_directory=str(database.directory / "nowhere"))
    assert failed(answer) == {"patches"}
    assert "the merged tree was not delivered to this host" in answer["msg"]
    assert "\n      ./runbook.py run deliver\n" in answer["msg"]


def test_tree_that_is_yet_to_come(run: Run, database: Database) -> None:
    nowhere = {"schema_directory": str(database.directory / "nowhere"), "delivered": False}
    script = {"upgrade_command": ["./full-update.py"], "permissions": ""}
    answer = run(**nowhere, **script)
    assert not answer["failed"], answer
    assert found(answer, "patches") == "NOT CHECKED, the tree with the 4 pinned ones is not on this host yet"
    assert "./runbook.py run deliver" in "".join(answer["remarks"])
    answer = run(delivered=False)  # an earlier attempt has brought it
    assert found(answer, "patches") == "4 pending"


def test_as_long_as_nothing_is_pinned_the_rest_is_looked_at(run: Run) -> None:
    answer = run(schema_directory="", patches=[])
    assert not answer["failed"], answer
    assert found(answer, "patches").startswith("NOT CHECKED")
    assert {finding["check"] for finding in answer["findings"]} == (ALWAYS | {"worker"}) - {*FOUR, *OF_PATCHES}


def test_extension_that_is_not_installed_anywhere(run: Run, database: Database) -> None:
    database.write(FOUR[1], "CREATE EXTENSION nowhere_to_be_found;\nCREATE EXTENSION plpgsql VERSION '99';")
    answer = run()
    assert failed(answer) == {"extensions"}
    told = found(answer, "extensions")
    for host in (database.servers.primary, database.servers.standby):
        assert f"nowhere_to_be_found ({FOUR[1]}, line 2) on {host}" in told
        assert f"plpgsql 99 ({FOUR[1]}, line 3) on {host}" in told


def test_permissions_file(run: Run, database: Database) -> None:
    file = database.directory / "security.cfg"
    file.write_text("[launchpad]\ntype=user\npublic.person = SELECT\npublic.bugsummary = SELECT\n")
    answer = run(permissions=str(file))
    assert not answer["failed"], answer
    assert found(answer, "permissions") == f"{file}, 1 of its lines after the patches"

    file.write_text("[nobody_here]\ntype=user\npublic.nothing = SELECT\n")
    answer = run(permissions=str(file))
    assert failed(answer) == {"permissions"}
    assert "role nobody_here is not there" in answer["msg"]

    file.write_text("what is this")
    assert "E-permissions-file" in run(permissions=str(file))["msg"]


def test_permissions_for_what_a_pending_patch_makes_and_drops(run: Run, database: Database) -> None:
    """What the preflight says of it is what the outage meets."""
    database.write(
        FOUR[0], f"CREATE ROLE approver_{database.name} LOGIN; CREATE TABLE Approval (id serial PRIMARY KEY);"
    )
    file = database.directory / "security.cfg"
    section = f"[approver_{database.name}]\ntype=user\npublic.approval = SELECT\npublic.approval_id_seq = USAGE\n"
    file.write_text(section)
    answer = run(permissions=str(file))
    assert not answer["failed"], answer
    assert found(answer, "permissions") == f"{file}, 3 of its lines after the patches"

    database.write(FOUR[1], f"DROP ROLE approver_{database.name};")
    answer = run(permissions=str(file))
    assert failed(answer) == {"permissions"}
    assert f"{file}:1: role approver_{database.name} is not there" in answer["msg"]

    file.write_text("[launchpad]\ntype=user\npublic.person = SELECT\n")
    database.write(FOUR[1], "DROP TABLE Person CASCADE;")
    answer = run(permissions=str(file))
    assert failed(answer) == {"permissions"}
    assert f"{file}:3: person, which a pending patch drops" in answer["msg"]


def test_the_site_s_own_scripts(run: Run, database: Database) -> None:
    script = database.schema / "full-update.py"
    script.touch(mode=0o644)
    answer = run(upgrade_command=["./full-update.py", "-v"])
    assert failed(answer) == {"scripts"}
    assert "cannot be run: ./full-update.py (" in answer["msg"]
    script.chmod(0o755)
    assert not run(upgrade_command=["./full-update.py", "-v"])["failed"]
    answer = run(upgrade_command=["./full-update.py"], upgrade_command_closes_access=True, permissions_command=["true"])
    assert failed(answer) == {"scripts"}
    assert "the upgrade script sets permissions itself" in answer["msg"]
    assert "set database_pools" in answer["msg"]


def test_state_directory_that_cannot_be_written(run: Run, database: Database) -> None:
    (database.directory / "file").write_text("")
    answer = run(state_directory=str(database.directory / "file" / "state"))
    assert failed(answer) == {"state directory"}


def test_no_room_for_a_database_written_anew(run: Run, database: Database) -> None:
    answer = run(rewrite_factor=1e9)
    assert failed(answer) == {"disk"}
    assert "of tables written anew" in answer["msg"]
    assert "of WAL" in answer["msg"]
    assert f"df -h {database.servers.directory}/primary/data" in answer["msg"]


@pytest.mark.parametrize(("host", "fails"), [(1000.9, set()), (1008.0, {"clock"}), (990.0, {"clock"})])
def test_clock(run: Run, host: float, fails: set[str]) -> None:
    answer = run(clock={"asked": 1000, "host": host, "answered": 1001}, max_clock_difference_seconds=5)
    assert {finding["check"] for finding in answer["findings"] if not finding["ok"]} == fails


def test_backup(run: Run, database: Database) -> None:
    marker = database.directory / "backup.done"
    assert failed(run(backup_marker=str(marker))) == {"backup"}
    marker.touch()
    answer = run(backup_marker=str(marker))
    assert not answer["failed"], answer
    assert found(answer, "backup").endswith(f" s old ({marker})")
    yesterday = time.time() - 30 * 3600
    os.utime(marker, (yesterday, yesterday))
    assert "backup: 30 h old" in run(backup_marker=str(marker))["msg"]


def test_user_that_is_no_superuser(run: Run, database: Database) -> None:
    answer = run(dsn=database.dsn(user="launchpad"))
    assert "server" in failed(answer)
    assert "launchpad is not a superuser" in answer["msg"]


def test_standby_in_the_place_of_the_primary(run: Run, database: Database) -> None:
    answer = run(dsn=database.dsn(host=database.servers.standby))
    assert "server" in failed(answer)
    assert f"{database.servers.standby} is a standby" in answer["msg"]


def test_without_a_server_the_host_is_looked_at(run: Run, database: Database) -> None:
    (database.directory / "file").write_text("")
    nowhere = database.dsn(host="127.0.0.1")
    answer = run(dsn=nowhere, state_directory=str(database.directory / "file"))
    assert failed(answer) == {"server", "state directory"}
    assert "server: E-no-connection  connection failed" in answer["msg"]
    assert f"psql '{nowhere}'" in answer["msg"]


@pytest.mark.parametrize("given", [{}, {"clock": {"asked": 1, "host": 2}}])
def test_arguments_that_are_not_enough(run_module: Callable[..., dict[str, Any]], given: dict[str, Any]) -> None:
    dsn = {"dsn": "dbname=x"} if given else {}
    answer = run_module("database_preflight", {**dsn, **given})
    assert answer["failed"]
    assert "missing required arguments" in answer["msg"]
