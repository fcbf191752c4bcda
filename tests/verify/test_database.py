"""The database: rows of the revision table (R8, R18), access, and the standbys."""

from __future__ import annotations

import time

import pytest

from plugins.module_utils.rollout_core.schema.patches import PatchName

testinfra_hosts = ["ansible://database"]
ROWS = "SELECT major, minor, patch FROM LaunchpadDatabaseRevision"


@pytest.fixture
def query(host, variable):
    """`query(sql, dsn)`: the rows as lists of text, by psql on the database host; its ~/.pgpass has the password."""

    def run(sql: str, dsn: str | None = None) -> list[list[str]]:
        dsn = dsn or variable("database_dsn")
        answer = host.run("psql --no-psqlrc -v ON_ERROR_STOP=1 -At -F ' ' -d %s -c %s", dsn, sql)
        assert answer.rc == 0, f"{dsn}: {answer.stderr}"
        return [line.split(" ") for line in answer.stdout.splitlines()]

    return run


@pytest.fixture
def standbys(variable) -> list[str]:
    return [standby["dsn"] for standby in variable("database_standbys") or []]


def numbers(rows: list[list[str]]) -> set[tuple[int, ...]]:
    return {tuple(int(number) for number in row) for row in rows}


def test_pinned_patches_are_rows(query, pinned, deployed):
    pinned_rows = {patch: PatchName.parse(patch).row for patch in pinned("patches")}
    rows = numbers(query(ROWS))
    there = [patch for patch, row in pinned_rows.items() if row in rows]
    assert there == (list(pinned_rows) if deployed else []), f"rows: {sorted(rows)}"


def test_access_is_open(query):
    ((allowed, limit),) = query("SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = current_database()")
    assert (allowed, limit != "0") == ("t", True), f"datallowconn {allowed}, datconnlimit {limit}"


def test_pools_are_open(query, variable):
    pools = [*(variable("database_pools") or [])]
    for standby in variable("database_standbys") or []:
        pools += standby.get("pools") or []
    if not pools:
        pytest.skip("the inventory names no pool of pgbouncer")
    for pool in pools:
        rows = [row for row in query("SHOW DATABASES", pool["console"]) if row[0] == pool["database"]]
        assert rows, f"{pool['console']}: no database {pool['database']}"
        assert rows[0][-2:] == ["0", "0"], f"{pool['database']}: paused {rows[0][-2]}, disabled {rows[0][-1]}"


def test_nothing_of_the_upgrade_is_left_running(query):
    left = query(
        "SELECT pid, application_name, state, query_start FROM pg_stat_activity WHERE application_name LIKE 'rollout%'"
    )
    assert not left, f"sessions: {left}"


def test_standbys_stream(query, standbys):
    streaming = query("SELECT application_name, state, replay_lag FROM pg_stat_replication WHERE state = 'streaming'")
    assert len(streaming) == len(standbys), f"{len(standbys)} standbys in the inventory, streaming: {streaming}"


def test_standbys_are_in_sync(query, standbys):
    if not standbys:
        pytest.skip("the inventory names no standby")
    for standby in standbys:
        sent = query("SELECT pg_current_wal_lsn()")[0][0]
        deadline = time.monotonic() + 30
        behind = f"SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() >= '{sent}', pg_last_wal_replay_lsn()"
        while (state := query(behind, standby)[0])[:2] != ["t", "t"] and time.monotonic() < deadline:
            time.sleep(0.2)
        assert state[:2] == ["t", "t"], f"{standby}: in recovery {state[0]}, replayed {state[2]} of {sent}"
        assert numbers(query(ROWS, standby)) == numbers(query(ROWS))
