"""The outage of a rollout where users come through pgbouncer: `ROLLOUT_LAB_POOLER=pgbouncer ./runbook.py lab up`."""

import dataclasses
import re
import shutil

import psycopg
import pytest

from lab import hosts, parts, pgbouncer, processes
from lab.drills.rollout import Rollout
from lab.layout import DATABASE, STANDBY_POOL, Lab
from lab.waiting import eventually
from tests.modules.pgbouncers import need_pgbouncer


@pytest.fixture
def behind_pgbouncer(before_the_window, lab, tmp_path):
    """A rollout right before its window, on the lab as it would be had it been made with the pooler."""
    need_pgbouncer()
    with_pooler = dataclasses.replace(lab, pooler=True)
    pgbouncer.create(parts.pooler(with_pooler), parts.servers(lab), parts.pools(lab))
    with_pooler.save()
    try:
        rollout = before_the_window.at_the_window(tmp_path / "rollouts")
        hosts.give_passwords(with_pooler, parts.servers(lab))
        yield Rollout(rollout.records, with_pooler)
    finally:
        lab.save()
        running = processes.running(lab.run, "pgbouncer")
        processes.stop([running] if running else [])
        shutil.rmtree(parts.pooler(lab).directory)


def console(lab: Lab) -> psycopg.Connection:
    passfile = lab.home("wildcherry") / ".pgpass"
    return psycopg.connect(f"{parts.pooler(lab).console()} passfile={passfile}", autocommit=True)


def pools(lab: Lab) -> dict[str, tuple[int, int]]:
    """Paused and disabled, as pgbouncer says it of each pool."""
    with console(lab) as connection:
        rows = connection.execute("SHOW DATABASES").fetchall()
    return {row[0]: row[-2:] for row in rows if row[0] != "pgbouncer"}


def clients(lab: Lab) -> set[str]:
    """The application_name of everyone who is connected to it."""
    with console(lab) as connection:
        return {client[-1] for client in connection.execute("SHOW CLIENTS").fetchall()}


def commands(lab: Lab) -> list[tuple[str, str]]:
    """What was typed at the console for databases that there are, in order: the preflight tries one that is not."""
    log = (lab.run / "pgbouncer.log").read_text()
    typed = re.findall(r"LOG (\w+) '(\w+)' command issued", log)
    return [(command, database) for command, database in typed if "no_such_database" not in database]


def test_an_outage_behind_pgbouncer(behind_pgbouncer, ansible, page):
    rollout, lab = behind_pgbouncer, behind_pgbouncer.lab
    eventually(lambda: {"site-gac", "site-soybean"} <= clients(lab), "the site to come through it")
    where = ("-e", f"@{rollout.directory}/plan.yml", "-e", f"rollout_journal={rollout.directory}/journal.jsonl")
    preflight = ansible("ansible-playbook", "playbooks/preflight.yml", *where)
    assert preflight.returncode == 0, preflight.stdout

    done = rollout.run("pause", "outage", "--at=-30m")

    assert done.returncode == 0, done.stdout + done.stderr
    (outage,) = [e for e in rollout.journal if e["event"] == "stage_finished" and e["stage"] == "outage"]
    steps = [step["step"] for step in outage["facts"]["outage_steps"]]
    assert steps == ["close access", "end connections", *steps[2:-2], "commit", "open access"], steps
    assert steps[2:-2][: len(rollout.pinned["patches"])] == rollout.pinned["patches"]
    assert commands(lab) == [
        *((command, DATABASE) for command in ("DISABLE", "KILL", "RESUME", "ENABLE")),
        *((command, STANDBY_POOL) for command in ("DISABLE", "KILL", "RESUME", "ENABLE")),
    ]
    assert pools(lab) == {DATABASE: (0, 0), STANDBY_POOL: (0, 0)}
    limit = rollout.sql(f"SELECT datconnlimit FROM pg_database WHERE datname = '{DATABASE}'")  # noqa: S608
    assert limit.strip() == "-1"
    assert page("gac")[0] == 200


@pytest.mark.drill
def test_an_aborted_outage_opens_every_pool(behind_pgbouncer):
    rollout, lab = behind_pgbouncer, behind_pgbouncer.lab
    before = rollout.schema()
    columns = "name, owner, product, lifecycle_status, last_scanned_id, revision_count"
    rollout.sql(f"INSERT INTO Branch (id, {columns}) SELECT -1, {columns} FROM Branch LIMIT 1")  # noqa: S608
    stopped = rollout.run("--at=-30m")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "E-patch-failed" in stopped.stdout
    assert [e["stage"] for e in rollout.journal if e["event"] == "undo_finished"] == ["outage", "pause"]
    (verified,) = [e for e in rollout.journal if e["event"] == "verified"]
    assert verified["outcome"] == "ok", verified["hosts"]
    assert ("KILL", DATABASE) in commands(lab)
    assert pools(lab) == {DATABASE: (0, 0), STANDBY_POOL: (0, 0)}
    assert rollout.schema() == before
