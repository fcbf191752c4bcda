"""Downtimes that are no deployment, on the lab: a partial downtime (R18), and a schema that is undone (R17)."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from lab.drills.rollout import Rollout
from lab.layout import Lab
from lab.waiting import eventually

REINDEX = "inventories/lab/playbooks/reindex.yml"
INDEXES = """
    SELECT oid, relfilenode FROM pg_class JOIN pg_index ON indexrelid = oid
    WHERE indrelid = 'translationmessage'::regclass ORDER BY oid"""


@pytest.fixture
def partial(fresh_lab: Lab, tmp_path: Path) -> Rollout:
    """The plan of a partial downtime around the lab's example of a site's own playbook."""
    made = Rollout(tmp_path / "rollouts", fresh_lab)
    made.records.mkdir()
    planned = made.runbook("plan", "new", "--process", "partial_downtime", "--playbook", REINDEX)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    return made


def only(rollout: Rollout, **answers: bool) -> tuple[str, str]:
    """`--answers FILE` with these answers and no others."""
    path = rollout.records / "answers.yml"
    said = ", ".join(f"{gate}: {'yes' if yes else 'no'}" for gate, yes in answers.items())
    path.write_text(f"by: lab coordinator\nanswers: {{{said}}}\n")
    return "--answers", str(path)


def test_a_partial_downtime(partial: Rollout) -> None:
    """Its runbook is killed while access is closed: users stay out, and `resume` carries it through."""
    before = partial.sql(INDEXES)
    with psycopg.connect(partial.dsn, autocommit=True, application_name="dba") as dba:
        dba.execute("BEGIN; LOCK TABLE TranslationMessage IN ROW EXCLUSIVE MODE")
        runbook = partial.start("run", *only(partial, go=True), "--at=-49h")
        waits = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND wait_event_type = 'Lock'"
        eventually(lambda: partial.sql(waits), "the site's playbook to wait for the lock", seconds=90)
        os.killpg(runbook.pid, signal.SIGKILL)
        runbook.wait()
        with pytest.raises(psycopg.OperationalError, match="too many connections for database"):
            psycopg.connect(partial.users_dsn)
        stands = partial.runbook("status").stdout
        assert "Access to the database is closed since " in stands
        assert "./runbook.py run open_access" in stands
        dba.execute("COMMIT")
    resumed = partial.runbook("resume", *only(partial, go=True, resume=True))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "it was in the middle of work" in resumed.stdout
    assert [stage for stage, outcome in partial.outcomes() if outcome == "ok"] == [
        stage["stage"] for stage in partial.plan["process"]
    ]
    assert partial.sql(INDEXES) != before
    assert partial.sql("SELECT setting FROM pg_settings WHERE name = 'maintenance_work_mem'").strip() == "98304"
    psycopg.connect(partial.users_dsn).close()
    assert partial.survivors() == []


def test_a_schema_is_backed_out_after_its_commit(at_the_window: Rollout) -> None:
    """The whole way back: undo files on a copy, the DBA's gate, the trees, the schema."""
    before = at_the_window.schema()
    deployed = at_the_window.run()
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    patched = at_the_window.schema()
    assert patched != before
    done = at_the_window.directory
    planned = at_the_window.runbook("plan", "new", "--process", "schema_undo", "--of", done.name)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    (plan,) = at_the_window.records.glob("*-schema-back-out/plan.yml")
    refused = at_the_window.runbook("run", "--plan", str(plan), *only(at_the_window, dba=False), "--at=-5h")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "tried on a copy of the schema of launchpad_qastaging: 5 of 5 patches are round trips" in refused.stdout
    assert at_the_window.schema() == patched
    taken_back = at_the_window.runbook("run", "--plan", str(plan), *only(at_the_window, dba=True, go=True))
    assert taken_back.returncode == 0, taken_back.stdout + taken_back.stderr
    assert "cowboys that are on the served trees again, to be put back there: lp-12" in taken_back.stdout
    rows = "SELECT count(*) FROM LaunchpadDatabaseRevision"
    assert at_the_window.sql(rows).strip() == "2"
    assert columns(at_the_window.schema()) == columns(before)
    tables = "SELECT count(*) FROM information_schema.role_table_grants WHERE table_name = 'bugsummary'"
    assert at_the_window.sql(tables).strip() == "0"
    for host in ("gac", "soybean"):
        assert (at_the_window.lab.home(host) / "srv/launchpad/current").readlink().name == "r9"
    again = at_the_window.runbook("plan", "new", "--process", "schema_undo", "--of", done.name)
    assert again.returncode == 2
    assert again.stderr.startswith(f"E-backed-out  {done.name} was backed out before, by {plan.parent.name}.")


def columns(schema: str) -> list[str]:
    """The lines of a dump in any order, for a column that came back stands last; without permissions, which r9 has."""
    lines = (line.strip().rstrip(",") for line in schema.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("GRANT ", "REVOKE ", "--")))
