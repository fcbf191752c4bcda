"""A downtime that is no deployment, on the lab (R18)."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from lab.drills.rollout import Rollout
from lab.layout import Lab
from lab.waiting import eventually
from tests.lab.rollouts.answers import only

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


@pytest.mark.drill
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
