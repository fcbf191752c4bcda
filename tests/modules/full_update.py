#!/usr/bin/env python3
"""A stand-in for the site's whole-outage script, written from what is known of the real one: lines, order, exit codes.

It really patches: everything in one transaction, with psycopg; it really ends sessions, and where it is told of a
pgbouncer or a standby, it really closes and opens the one and pauses the other. As the real one does, it exits 0 when a
patch leaves no row or lacks its semicolon, having rolled everything back. STAND_IN in the environment makes it go wrong
otherwise.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

KILL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
    WHERE datname = current_database() AND backend_type = 'client backend' AND NOT rolsuper"""

KILL_ALL = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def log(text: str, level: str = "INFO") -> None:
    now = datetime.now(UTC)
    print(f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03} {level:<7} {text}", flush=True)


def pending(connection: psycopg.Connection, schema: Path) -> list[Path]:
    rows = connection.execute("SELECT major, minor, patch FROM LaunchpadDatabaseRevision").fetchall()
    applied = {"patch-{}-{:02d}-{}.sql".format(*row) for row in rows}
    return [path for path in sorted(schema.glob("patch-????-??-?.sql")) if path.name not in applied]


def number(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.stem.split("-")[1:])


def apply(connection: psycopg.Connection, patches: list[Path], revid: str) -> str | None:
    """Apply all patches; returns what is wrong with one of them."""
    log("Applying patches.")
    for path in patches:
        log(f"Applying {path}")
        text, begun = path.read_text(), datetime.now(UTC).replace(tzinfo=None)
        if not text.rstrip().endswith(";"):
            return f"Last non-whitespace character of {path} must be a semicolon"
        connection.execute(text.encode())
        record = """UPDATE LaunchpadDatabaseRevision SET start_time = %s, end_time = %s, revid = %s
            WHERE (major, minor, patch) = (%s, %s, %s)"""
        values = [begun, datetime.now(UTC).replace(tzinfo=None), revid, *number(path)]
        if connection.execute(record, values).rowcount != 1:
            return f"{path} failed to update LaunchpadDatabaseRevision correctly"
    return None


def tell(connection: psycopg.Connection, patches: list[Path]) -> None:
    for path in patches:
        query = """SELECT extract(epoch FROM end_time - start_time)::float FROM LaunchpadDatabaseRevision
            WHERE (major, minor, patch) = (%s, %s, %s)"""
        (seconds,) = connection.execute(query, number(path)).fetchone()
        log("{}-{:02d}-{} applied just now in {:.1f} seconds".format(*number(path), seconds))


def console(given: argparse.Namespace, *commands: str) -> None:
    """What it says to pgbouncer, if there is one."""
    if given.pgbouncer:
        with psycopg.connect(given.pgbouncer, autocommit=True) as admin:
            for command in commands:
                admin.execute(f"{command} {given.primary}".encode())


def replay(given: argparse.Namespace, what: str) -> None:
    log(f"{what} replication to {given.primary}_standby.")
    if given.standby:
        with psycopg.connect(given.standby, autocommit=True) as standby:
            standby.execute("SELECT pg_wal_replay_pause()" if what == "Pausing" else "SELECT pg_wal_replay_resume()")


def enable(given: argparse.Namespace) -> None:
    log(f"Enabling access to {given.primary}.")
    console(given, "RESUME", "ENABLE")


def recover(given: argparse.Namespace, connection: psycopg.Connection, begun: datetime) -> None:
    log("Rolling back all schema and security changes.", "WARNING")
    connection.rollback()
    enable(given)
    over = "Primary reenabled despite earlier failures. Outage over {}, but we have problems"
    log(over.format(datetime.now(UTC) - begun), "WARNING")
    replay(given, "Resuming")


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--dsn", required=True)
    options.add_argument("--schema", type=Path, required=True)
    options.add_argument("--revid", default="")
    options.add_argument("--pgbouncer", help="conninfo of its console; without it only the lines tell of access")
    options.add_argument("--primary", default="launchpad_qastaging_main", help="what pgbouncer calls it")
    options.add_argument("--standby", help="conninfo")
    given, mood = options.parse_args(), os.environ.get("STAND_IN")
    with psycopg.connect(given.dsn, fallback_application_name="full-update") as connection:
        patches = pending(connection, given.schema)
        for path in patches:
            log(f"{path.name} is pending")
        if mood == "fragile":
            log("Fragile system publish_distro running. launchpad_prod has 1 connections.", "CRITICAL")
            return 99
        log("Streaming replicas syncing.")
        replay(given, "Pausing")
        return outage(given, connection, patches, mood)


def outage(given: argparse.Namespace, connection: psycopg.Connection, patches: list[Path], mood: str | None) -> int:
    begun = datetime.now(UTC)
    log("Outage starts.")
    log(f"Disabling access to {given.primary}.")
    console(given, "DISABLE", "KILL")
    connection.execute(KILL)
    if mood == "ruthless":
        connection.execute(KILL_ALL)
    log("Preflight check succeeded. Starting upgrade.")
    if mood == "crash":
        raise RuntimeError("a bug in the script")
    wrong = apply(connection, patches, given.revid)
    if mood in ("hang", "deaf"):
        signal.signal(signal.SIGINT, signal.SIG_IGN if mood == "deaf" else signal.default_int_handler)
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # it has to be ended as well
        try:
            time.sleep(600)
        except KeyboardInterrupt:
            recover(given, connection, begun)
            return 1
    if wrong:
        log(wrong, "CRITICAL")
        log("upgrade.py failed [2]", "CRITICAL")
        recover(given, connection, begun)
        return 0
    tell(connection, patches)
    if mood == "dry":
        connection.rollback()
    connection.commit()
    if mood == "disabled":
        log(f"Enabling access to {given.primary}.")
        log("Primary is still disabled in pgbouncer. Outage ongoing.", "WARNING")
        return 96
    enable(given)
    log(f"Outage complete. {datetime.now(UTC) - begun}")
    replay(given, "Resuming")
    log("Something else." if mood == "last line" else "All good. All done.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
