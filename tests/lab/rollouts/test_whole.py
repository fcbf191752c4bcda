"""One whole monthly deployment, unattended, from plan to report (every rule that has a stage)."""

import re
import subprocess

import yaml

from rollout import ROOT

PROCESS = ROOT / "process.yml"
PATCHES = "SELECT format('patch-%s-%s-%s.sql', major, lpad(minor::text, 2, '0'), patch) FROM LaunchpadDatabaseRevision"


def test_a_whole_rollout(rollout, page):
    before = rollout.schema()
    done = rollout.run("--at=-49h")
    assert done.returncode == 0, done.stdout + done.stderr
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


def test_the_pinned_revision_is_below_the_tip_because_of_qa(rollout):
    done = rollout.run("select", "--at=-48h")
    assert done.returncode == 0, done.stdout + done.stderr
    tip = int(re.search(r"db-stable tip (\d+)", done.stdout)[1])
    assert rollout.pinned["revision"] < tip
    assert "45419" in done.stdout, "the blocking bug must be named"


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


def test_two_runbooks_do_not_roll_out_at_once(at_the_window):
    holder = subprocess.Popen(["flock", str(at_the_window.directory / "lock"), "cat"], stdin=subprocess.PIPE)  # noqa: S607
    try:
        subprocess.run(["flock", "--nonblock", str(at_the_window.directory / "lock"), "true"], check=False)  # noqa: S607
        refused = at_the_window.run("--at=-30m")
    finally:
        holder.communicate()
    assert (refused.returncode, "E-locked" in refused.stderr) == (5, True)
