"""What goes wrong ends in a clear message, the right exit code and the database unchanged; after the commit it is kept."""

import os
import re
import signal

import psycopg
import pytest

from lab import lab as embedded


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


def test_no_terminal_and_no_answers_is_no_at_once(unchanged):
    stopped = unchanged.runbook("run", "--at=-30m")
    assert stopped.returncode == 3, stopped.stdout + stopped.stderr
    assert "answered no by nobody" in stopped.stdout


def test_thirty_one_minutes_late(unchanged):
    paused = unchanged.run("pause", "--at=-30m")
    assert paused.returncode == 0, paused.stdout + paused.stderr
    stopped = unchanged.run("--at=31m")
    assert stopped.returncode == 4, stopped.stdout + stopped.stderr
    assert re.search(r"E-late-abort  outage has run 0:0\d of about .* late \(limit 30:00\)", stopped.stdout), (
        stopped.stdout
    )
    assert [e["stage"] for e in unchanged.journal if e["event"] == "undo_finished"] == ["outage", "pause"]
    assert unchanged.journal[-1]["outcome"] == "aborted"


def test_an_sql_error_in_the_third_of_four_patches(unchanged):
    """Production has rows that staging had not: what QA cannot see."""
    third = unchanged.pinned["patches"][2]
    assert len(unchanged.pinned["patches"]) >= 4
    unchanged.sql(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.minor = {int(third[11:13])} THEN RAISE EXCEPTION 'production is different'; END IF; RETURN NEW; END $$; CREATE TRIGGER refuse BEFORE INSERT ON LaunchpadDatabaseRevision FOR EACH ROW EXECUTE FUNCTION refuse()"
    )  # noqa: E501
    try:
        before = unchanged.schema()
        stopped = unchanged.run("--at=-30m")
        assert stopped.returncode == 1, stopped.stdout + stopped.stderr
        assert third in stopped.stdout
        assert "production is different" in stopped.stdout
        assert unchanged.schema() == before
    finally:
        unchanged.sql("DROP TRIGGER refuse ON LaunchpadDatabaseRevision; DROP FUNCTION refuse()")


def test_a_host_that_does_not_answer(unchanged):
    part = next(part for part in embedded.status(unchanged.lab.directory) if part.name == "ssh-wildcherry")
    os.kill(part.pid, signal.SIGTERM)
    try:
        stopped = unchanged.run("--at=-30m")
    finally:
        embedded.up(unchanged.lab.directory, say=lambda _: None)
    assert stopped.returncode == 6, stopped.stdout + stopped.stderr
    assert "E-unreachable  wildcherry does not answer" in stopped.stdout
    assert "NOT UNDONE: outage" in stopped.stdout


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
    gone.write_text("back")
    assert at_the_window.run().returncode == 0, "only smoke and done are left"


def test_a_merge_conflict_and_a_developers_resolution(rollout, brz, tmp_path):
    """R10: nothing is committed, the commands that are shown work, and the second run goes through."""
    devel, home = f"{rollout.lab.bazaar_url}devel", tmp_path / "developer"
    brz("branch", devel, "landing")
    changed = home / "landing/docroot/index.html"
    changed.write_text(changed.read_text().replace("<h1>", "<h1 class='wide'>").replace("<p", "<p class='wide'"))
    brz("commit", "-m", "[r=jml][bug=40561] Widen it.", cwd=home / "landing")
    brz("push", devel, cwd=home / "landing")
    before = rollout.schema()

    stopped = rollout.run("--at=-48h")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert "E-merge-conflict" in stopped.stdout
    assert "docroot/index.html" in stopped.stdout
    assert "--resolution" in stopped.stdout
    assert rollout.schema() == before
    assert brz("status", str(rollout.lab.home("prae") / "archives/rocketfuel/launchpad/devel")) == ""

    brz("branch", devel, "fix")
    source = f"{rollout.lab.bazaar_url}db-stable"
    with pytest.raises(AssertionError, match="conflict"):
        brz("merge", "-r", str(rollout.pinned["revision"]), source, cwd=home / "fix")
    brz("resolve", "--take-other", "--all", cwd=home / "fix")
    brz("commit", "-m", "Resolve.", cwd=home / "fix")
    merged = rollout.run("merge", "--resolution", str(home / "fix"))
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert rollout.outcomes()[-1] == ("merge", "ok")


def test_a_patch_that_leaves_no_row_is_found_on_qastaging(rollout, brz, tmp_path):
    """Its text has the INSERT, so that it can be pinned; run, it inserts nothing. Production never sees it (R12)."""
    # the patch takes the place of the first pending one
    pytest.skip("written once the lab's history is final")


@pytest.fixture
def elsewhere(rollout, tmp_path):
    """The rollout's plan file, for tests that break it."""
    return rollout.directory / "plan.yml"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("minutes: 90", "minutes: 95", r"plan\.yml:\d+: rollout\.window\.minutes: a window is always 90 minutes"),
        ("pinned: {}", "pinned: {revision: 4711}", r"plan\.yml:\d+: rollout\.pinned\.revision: E-no-such-revision"),
        ("cowboys/lp-15.diff", "cowboys/lp-51.diff", r"plan\.yml:\d+: rollout\.cowboys\.\d\.diff: cowboy lp-15"),
        ("title: ", "titel: ", r"plan\.yml:\d+: rollout\.process\.0\.titel: is not a field that is known here"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(rollout, elsewhere, old, new, says):
    text = elsewhere.read_text()
    assert old in text
    elsewhere.write_text(text.replace(old, new, 1))
    refused = rollout.run("--at=-48h")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert re.search(says, refused.stdout + refused.stderr), refused.stdout + refused.stderr
    assert not any(
        stage == "merge" for stage, _ in (rollout.outcomes() if (rollout.directory / "journal.jsonl").exists() else [])
    )


def test_an_unknown_gate_in_the_answers_file_is_named(rollout):
    refused = rollout.run("--at=-48h", answers={"qastagin": True})
    assert refused.returncode == 2
    assert re.search(
        r"answers\.yml:\d+: answers\.qastagin: no such gate; the process has pin, qastaging, cowboys, go",
        refused.stderr,
    )


def test_an_inventory_without_a_database_host(rollout, tmp_path):
    pytest.skip("needs an inventory directory beside the lab's")


def test_psycopg_is_the_real_one(rollout):
    with psycopg.connect(rollout.dsn, passfile=str(rollout.lab.home("wildcherry") / ".pgpass")) as connection:
        assert connection.info.server_version >= 180000
