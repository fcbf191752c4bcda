"""What goes wrong ends in a clear message, the right exit code and the database unchanged, until the commit."""

import os
import re
import shutil
import signal

import pytest

from lab import lab as embedded
from rollout import ROOT
from rollout.journal import store


@pytest.fixture
def unchanged(at_the_window):
    """The rollout at its window; afterwards the database must be as it was, open, and the services running."""
    before = at_the_window.schema()
    yield at_the_window
    assert at_the_window.schema() == before
    assert at_the_window.sql("SELECT datconnlimit FROM pg_database WHERE datname = 'launchpad_prod'").strip() == "-1"
    assert "enabled: no" not in (at_the_window.lab.home("gac") / "cron.ini").read_text().lower()


def test_a_gate_answered_no(unchanged):
    stopped = unchanged.run("--at=-30m", answers={"go": False})
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    assert "E-gate-no  outage: GO for the outage? was answered no" in stopped.stdout
    assert unchanged.outcomes()[-1] == ("pause", "ok")
    assert [e["stage"] for e in unchanged.journal if e["event"] == "undo_finished"] == ["pause"]


def test_no_terminal_and_no_answers_is_no_at_once(untouched):
    stopped = untouched.runbook("run", "--at=-21d")
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    assert "answered no by nobody" in stopped.stdout
    assert untouched.outcomes() == [], "nothing was begun"


@pytest.mark.drill
def test_thirty_one_minutes_late(unchanged):
    paused = unchanged.run("pause", "--at=-30m")
    assert paused.returncode == 0, paused.stdout + paused.stderr
    stopped = unchanged.run("--at=31m")
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert re.search(r"E-late-abort  outage has not begun; .* late \(limit 30:00\)", stopped.stdout), stopped.stdout
    assert [e["stage"] for e in unchanged.journal if e["event"] == "undo_finished"] == ["pause"]
    assert unchanged.journal[-1]["outcome"] == "aborted"


@pytest.mark.drill
def test_a_host_that_does_not_answer(unchanged):
    stopped = run_without(unchanged, "gac")
    assert stopped.returncode == 6, stopped.stdout + stopped.stderr
    assert "E-unreachable  gac does not answer" in stopped.stdout
    assert "NOT UNDONE: pause" in stopped.stdout


def test_without_the_database_host_nobody_knows_whose_the_service_is_and_nothing_begins(unchanged):
    refused = run_without(unchanged, "wildcherry")
    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert "E-claim-unknown  wildcherry does not answer" in refused.stderr
    assert "▸" not in refused.stdout


def run_without(rollout, host):
    """Run the window while a host takes no connection."""
    part = next(part for part in embedded.status(rollout.lab.directory) if part.name == f"ssh-{host}")
    os.kill(part.pid, signal.SIGTERM)
    try:
        return rollout.run("--at=-30m")
    finally:
        embedded.up(rollout.lab.directory, say=lambda _: None)


@pytest.mark.drill
def test_a_smoke_failure_keeps_the_new_schema_and_opens_an_incident(at_the_window):
    before = at_the_window.schema()
    page = at_the_window.lab.links
    (gone,) = [path for path in sorted(page.rglob("*")) if path.is_file()][:1]
    gone.unlink()
    stopped = at_the_window.run("--at=-30m")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert gone.name in stopped.stdout
    assert "the new schema is kept" in stopped.stdout
    assert at_the_window.schema() != before
    incident = at_the_window.directory / "incident-1.md"
    assert gone.name in incident.read_text()
    assert "! Incident 1: its `problem` is NOT ANNOUNCED (R24)." in stopped.stdout
    assert "▸ tell" not in stopped.stdout, "nobody hears that it is done"
    gone.write_text("back")
    assert at_the_window.run().returncode == 0, "only smoke and done are left"


@pytest.mark.drill
def test_a_merge_conflict_and_a_developers_resolution(rollout, brz, tmp_path):
    """R10: nothing is committed, the commands that are shown work, and the second run goes through."""
    home, pqm = tmp_path / "developer", rollout.lab.home("prae") / "archives/rocketfuel/launchpad/devel"
    devel, before = f"{rollout.lab.bazaar_url}devel", rollout.schema()
    brz("branch", devel, "landing")
    changed = home / "landing/lib/lp/projects.py"
    changed.write_text(changed.read_text().replace("status < 25", "status < 26"))
    brz("commit", "-m", "[r=jml][bug=40561] Count what is incomplete, too.", cwd=home / "landing")
    brz("push", devel, cwd=home / "landing")

    stopped = rollout.run("select", "rc_mode", "merge", "--at=-48h")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "E-merge-conflict" in stopped.stdout
    assert "lib/lp/projects.py" in stopped.stdout
    assert rollout.schema() == before
    assert brz("status", str(pqm)) == ""
    assert brz("revision-info", "-d", devel) == brz("revision-info", "-d", str(home / "landing"))

    (shown,) = re.findall(
        r"A developer reproduces it: +brz (branch \S+ fix) && cd fix && brz (merge .+)", stopped.stdout
    )
    brz(*shown[0].split())
    with pytest.raises(AssertionError, match="conflict"):
        brz(*shown[1].split(), cwd=home / "fix")
    brz("resolve", "--take-other", "--all", cwd=home / "fix")
    brz("commit", "-m", "Resolve.", cwd=home / "fix")
    merged = rollout.run("merge", "--resolution", str(home / "fix"))
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert rollout.outcomes()[-2:] == [("rc_mode", "ok"), ("merge", "ok")], "RC mode was left with the failure"


@pytest.mark.drill
def test_a_patch_that_leaves_no_row_is_found_on_qastaging(rollout, brz, tmp_path):
    """Its text has the INSERT, so it can be pinned; run, it leaves no row. Production never sees it (R12)."""
    home, db_stable = tmp_path / "developer", f"{rollout.lab.bazaar_url}db-stable"
    brz("branch", "-r", "18", db_stable, "landing")
    row = "INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 62, 0)"
    patch = home / "landing/database/schema/patch-2208-62-0.sql"
    patch.write_text(f"{row};\nDELETE FROM LaunchpadDatabaseRevision WHERE minor = 62;\n")
    brz("add", cwd=home / "landing")
    brz("commit", "-m", "[r=stub][no-qa] Trust me.", cwd=home / "landing")
    brz("push", "--overwrite", db_stable, cwd=home / "landing")
    (log,) = (rollout.lab.home("sourcherry") / "logs").glob("*-staging_restore.log")
    timed = log.read_text().splitlines(keepends=True)  # the real script logs this line before it looks for the row
    log.write_text("".join([*timed, re.sub(r"2208-\d\d-\d", "2208-62-0", timed[-1])]))
    before = rollout.schema()

    stopped = rollout.run("select", "rc_mode", "merge", "qastaging", "--at=-48h")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    ok = [(stage, "ok") for stage in ("select", "rc_mode", "merge")]
    assert rollout.outcomes() == [*ok, ("qastaging", "failed")]
    assert "patch-2208-62-0.sql" in rollout.journal[-1]["message"]
    assert rollout.schema() == before
    assert "STILL ON: the branch is in RC mode since" in stopped.stdout, "the merge stands, fixes must land (R13)"

    aborted = rollout.runbook("abort", "--reason", "the patch must go")
    assert aborted.returncode == 4, aborted.stdout + aborted.stderr
    assert "the branch is in RC mode since" in rollout.runbook("status").stdout
    ended = rollout.runbook("run", "rc_mode_end")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "the branch is in RC mode" not in rollout.runbook("status").stdout
    assert store.outcome(rollout.directory) == "aborted"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("minutes: 90", "minutes: 95", r"plan\.yml:\d+: rollout\.window\.minutes: a window is always 90 minutes"),
        ("pinned: {}", "pinned: {revision: 4711}", r"plan\.yml:\d+: rollout\.pinned\.revision: E-pin-unknown"),
        ("cowboys/lp-15.diff", "cowboys/lp-51.diff", r"plan\.yml:\d+: rollout\.cowboys\.\d\.diff: cowboy lp-15"),
        ("title: ", "titel: ", r"plan\.yml:\d+: rollout\.process\.0\.titel: is not a field that is known here"),
    ],
)
def test_a_bad_plan_is_refused_before_anything_is_touched(untouched, old, new, says):
    path = untouched.directory / "plan.yml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    refused = untouched.run("--at=-48h")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert re.search(says, refused.stdout + refused.stderr), refused.stdout + refused.stderr


def test_an_unknown_gate_in_the_answers_file_is_named(untouched):
    refused = untouched.run("--at=-48h", answers={"qastagin": True})
    assert refused.returncode == 2
    gates = "stakeholders, losas, dba, pin, qastaging, back_out, cowboys, go"
    says = rf"answers\.yml:\d+: answers\.qastagin: no such gate; the process has {gates}"
    assert re.search(says, refused.stderr)


def test_an_inventory_without_a_database_host(untouched, tmp_path):
    inventory = tmp_path / "inventory"
    shutil.copytree(ROOT / "inventories/lab", inventory)
    hosts = inventory / "hosts.yml"
    hosts.write_text(hosts.read_text().replace("hosts: {wildcherry: {ansible_user: postgres}}", "hosts: {}"))
    (untouched.directory / "plan.yml").rename(tmp_path / "plan.yml")
    planned = untouched.runbook("plan", "new", "-i", str(inventory))
    assert planned.returncode == 0, planned.stdout + planned.stderr
    refused = untouched.runbook("run", "--at=-48h")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    says = r"hosts\.yml: expected a group `database` with a host; playbooks/\w+\.yml:\d+ needs it"
    assert re.search(says, refused.stderr), refused.stderr


def test_a_rehearsal_is_for_labs(untouched, tmp_path):
    shutil.copytree(ROOT / "inventories/lab", tmp_path / "inventory")
    (tmp_path / "inventory/group_vars/all/rehearsal.yml").unlink()
    (untouched.directory / "plan.yml").rename(tmp_path / "plan.yml")
    untouched.runbook("plan", "new", "-i", str(tmp_path / "inventory"))
    refused = untouched.runbook("run", "--at=-48h")
    assert (refused.returncode, "E-no-rehearsal" in refused.stderr) == (2, True)
