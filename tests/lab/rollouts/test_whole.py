"""One whole monthly deployment, unattended, from plan to report (every rule that has a stage), and its schema back out.

What comes before the window was done once, for every test that begins there; here it goes on to its end.
"""

import re
import subprocess

import pytest
import yaml

from rollout import ROOT
from tests.lab.rollouts.answers import only

PROCESS = ROOT / "process.yml"
PATCHES = "SELECT format('patch-%s-%s-%s.sql', major, lpad(minor::text, 2, '0'), patch) FROM LaunchpadDatabaseRevision"


def columns(schema):
    """The lines of a dump in any order, for a column that came back stands last; without permissions, which r9 has."""
    lines = (line.strip().rstrip(",") for line in schema.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("GRANT ", "REVOKE ", "--")))


@pytest.fixture(scope="module")
def deployed(before_the_window, tmp_path_factory):
    """A rollout that went to its end, and the schema before it."""
    rollout = before_the_window.at_the_window(tmp_path_factory.mktemp("deployed") / "rollouts")
    before = rollout.schema()
    done = rollout.run("--at=-30m")
    assert done.returncode == 0, done.stdout + done.stderr
    return rollout, before


def test_a_whole_rollout(deployed, page):
    rollout, before = deployed
    assert rollout.outcomes() == [(stage["stage"], "ok") for stage in yaml.safe_load(PROCESS.read_text())]
    assert rollout.schema() != before
    assert set(rollout.pinned["patches"]) <= set(rollout.sql(PATCHES).split())
    for host in ("gac", "soybean"):
        status, headers, text = page(host)
        assert (status, headers["X-Revision"]) == (200, str(rollout.pinned["merged_revno"]))
        assert "going offline" not in text.lower(), "the banner must be down"
    requirements = (rollout.directory / "unusual-requirements.md").read_text()
    assert ("| lp-15 |" in requirements, "| lp-12 |" in requirements) == (True, False), "lp-12 has landed"
    chased = [e["facts"]["chase"] for e in rollout.journal if "chase" in e.get("facts", {})]
    assert [[owner["address"] for owner in owners] for owners in chased] == [["jml@lab.example"]], "once, who is known"
    report = (rollout.directory / "report.html").read_text()
    for entry in rollout.journal:
        if entry["event"] == "gate_answered":
            assert entry["by"] in report
    assert rollout.journal[-1]["event"] == "rollout_closed"
    afterwards = rollout.runbook()
    assert (afterwards.returncode, "No rollout is open." in afterwards.stdout) == (0, True)
    assert "Next: ./runbook.py plan new" in afterwards.stdout
    nothing_open = rollout.runbook("run")
    assert (nothing_open.returncode, "E-no-plan" in nothing_open.stderr) == (2, True)


def test_the_pinned_revision_is_below_the_tip_because_of_qa(deployed):
    rollout, _ = deployed
    (selected,) = [e for e in rollout.journal if e["event"] == "stage_finished" and e["stage"] == "select"]
    said = "\n".join(selected["facts"]["evidence"])
    tip = int(re.search(r"db-stable tip (\d+)", said)[1])
    assert rollout.pinned["revision"] < tip
    assert "45419" in said, "the blocking bug must be named"


@pytest.mark.drill
def test_a_schema_is_backed_out_after_its_commit(deployed):
    """The whole way back: undo files on a copy, the DBA's gate, the trees, the schema."""
    rollout, before = deployed
    patched = rollout.schema()
    assert patched != before
    done = rollout.directory
    planned = rollout.runbook("plan", "new", "--process", "schema_undo", "--of", done.name)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    (plan,) = rollout.records.glob("*-schema-undo/plan.yml")
    refused = rollout.runbook("run", "--plan", str(plan), *only(rollout, dba=False), "--at=-5h")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    assert "tried on a copy of the schema of launchpad_qastaging: 5 of 5 patches are round trips" in refused.stdout
    assert rollout.schema() == patched
    taken_back = rollout.runbook("run", "--plan", str(plan), *only(rollout, dba=True, go=True))
    assert taken_back.returncode == 0, taken_back.stdout + taken_back.stderr
    assert "cowboys that are on the served trees again, to be put back there: lp-12" in taken_back.stdout
    rows = "SELECT count(*) FROM LaunchpadDatabaseRevision"
    assert rollout.sql(rows).strip() == "2"
    assert columns(rollout.schema()) == columns(before)
    tables = "SELECT count(*) FROM information_schema.role_table_grants WHERE table_name = 'bugsummary'"
    assert rollout.sql(tables).strip() == "0"
    for host in ("gac", "soybean"):
        assert (rollout.lab.home(host) / "srv/launchpad/current").readlink().name == "r9"
    again = rollout.runbook("plan", "new", "--process", "schema_undo", "--of", done.name)
    assert again.returncode == 2
    assert f"\nE-backed-out  {done.name} was backed out before, by {plan.parent.name}." in again.stderr


def test_each_playbook_runs_by_hand_on_the_plan(at_the_window, ansible):
    plan = f"@{at_the_window.directory}/plan.yml"
    upgraded = ansible("ansible-playbook", "playbooks/qastaging_upgrade.yml", "-e", plan)
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    before = at_the_window.schema()
    locked = ansible("ansible-playbook", "playbooks/outage.yml", "-e", plan)
    assert locked.returncode != 0
    assert f"-e go={at_the_window.directory.name}" in locked.stdout
    assert at_the_window.schema() == before


def test_check_mode_changes_nothing(at_the_window):
    schema, journal = at_the_window.schema(), at_the_window.journal
    tried = at_the_window.runbook("run", "--check", "--at=-25m", "pause", "outage")
    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert (at_the_window.schema(), at_the_window.journal) == (schema, journal)


def test_two_runbooks_do_not_roll_out_at_once(untouched):
    holder = subprocess.Popen(["flock", str(untouched.directory / "lock"), "cat"], stdin=subprocess.PIPE)  # noqa: S607
    try:
        subprocess.run(["flock", "--nonblock", str(untouched.directory / "lock"), "true"], check=False)  # noqa: S607
        refused = untouched.run("--at=-30m")
    finally:
        holder.communicate()
    assert (refused.returncode, "E-locked" in refused.stderr) == (5, True)
