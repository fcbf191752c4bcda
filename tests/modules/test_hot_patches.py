"""What cannot be in the one transaction, against what PostgreSQL itself says of it (R18)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.errors import ActiveSqlTransaction

from tests.modules.database_servers import FOUR, ROWS_BEFORE, Database, both_versions

TABLE = Path(__file__).parents[1] / "unit" / "patches" / "transaction.yml"
NEEDED = """
    CREATE TABLE Parts (id integer) PARTITION BY RANGE (id);
    CREATE TABLE Parts1 PARTITION OF Parts FOR VALUES FROM (1) TO (2);
    CREATE MATERIALIZED VIEW Seen AS SELECT 1 AS one; CREATE UNIQUE INDEX seen_one ON Seen (one);
    CREATE TYPE Mood AS ENUM ('ok');"""


@both_versions
def test_the_table_is_what_the_server_says(database: Database) -> None:
    rows = [row for row in yaml.safe_load(TABLE.read_text()) if row.get("refused", True)]
    wrong = []
    with database.admin() as admin:
        admin.execute(NEEDED)
        for row in rows:
            if row["says"] not in ("hot", None) or admin.info.server_version < row.get("since", 0):
                continue
            admin.execute("BEGIN")
            try:
                admin.execute(row["sql"].encode())
                refused = None
            except psycopg.Error as error:
                refused = type(error)
            admin.execute("ROLLBACK")
            if refused is not (ActiveSqlTransaction if row["says"] == "hot" else None):
                wrong.append((row["sql"], refused))
    assert wrong == []


PARTITIONED = (
    "CREATE TABLE Parts (id integer) PARTITION BY RANGE (id); CREATE INDEX i ON Parts (id); REINDEX TABLE Parts;"
)
TOO_NEW = "ALTER TYPE Mood ADD VALUE 'sad'; SELECT 'sad'::Mood;"
FAILED = f"E-patch-failed  the database did not take {FOUR[2]}, line 2: "


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("CREATE INDEX CONCURRENTLY i ON Bug (id);", f"E-unsound-patch  {FOUR[2]}:2: 'CREATE INDEX CONCURRENTLY i "),
        (PARTITIONED, f"{FAILED}REINDEX TABLE cannot run inside a transaction block"),
        (TOO_NEW, f'{FAILED}unsafe use of new value "sad" of enum type mood: New enum values must be committed before'),
    ],
    ids=["found before", "found by the server alone", "a value that is too new"],
)
def test_the_advice_is_a_hot_patch(database: Database, run_module: Callable[..., Any], sql: str, says: str) -> None:
    with database.admin() as admin:
        admin.execute("CREATE TYPE Mood AS ENUM ('ok')")
    database.write(FOUR[2], sql)
    answer = run_module("database_outage", database.outage(), env=database.environment())
    assert answer["msg"].startswith(says)
    assert "make it a hot patch, applied by itself on another day, and drop it from this merge" in answer["msg"]
    assert database.rows() == ROWS_BEFORE
    database.assert_users_are_in()
