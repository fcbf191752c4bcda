"""After a rollout that was undone: the hosts are as before, and the journal knows what comes next (R19-R21)."""

import pytest

from rollout import ROOT
from rollout.engine import verification
from rollout.journal.file import Journal
from rollout.plan import model as plans
from tests.unit.journals import lines

SAYS = {"source": "two branches of the same name", "mended_at": "now", "new_pin": "no"}


@pytest.fixture
def undone(at_the_window):
    """A rollout whose outage failed in its third patch and was taken back: production has two branches of one name."""
    columns = "name, owner, product, lifecycle_status, last_scanned_id, revision_count"
    at_the_window.sql(f"INSERT INTO Branch (id, {columns}) SELECT -1, {columns} FROM Branch LIMIT 1")  # noqa: S608
    before, third = at_the_window.schema(), at_the_window.pinned["patches"][2]
    stopped = at_the_window.runbook("run", *at_the_window.answering(texts=SAYS), "--at=-30m")
    assert stopped.returncode == 1, stopped.stdout + stopped.stderr
    assert third in stopped.stdout
    assert "branch__owner__product__name__key" in stopped.stdout
    assert [e["stage"] for e in at_the_window.journal if e["event"] == "undo_finished"] == ["outage", "pause"]
    assert at_the_window.schema() == before
    return at_the_window


def announced(entries):
    """What went out, in order; a message that is not out everywhere stops the rollout."""
    return [entry["message"] for entry in entries if entry["event"] == "announcement_queued"]


def look(rollout):
    return verification.verify(rollout.directory, ROOT / "inventories/lab", "as_before")


@pytest.mark.drill
def test_from_the_undo_to_the_next_attempt(undone):
    """Everything is as before, somebody who closes access is found out, and the next attempt needs no new merge."""
    (verified,) = [entry for entry in undone.journal if entry["event"] == "verified"]
    assert verified["outcome"] == "ok", verified
    assert set(verified["hosts"]) == {"gac", "soybean", "wildcherry"}

    undone.sql("ALTER DATABASE launchpad_prod CONNECTION LIMIT 0")
    found = look(undone)
    undone.sql("ALTER DATABASE launchpad_prod CONNECTION LIMIT -1")
    assert not found.ok
    assert found.hosts["wildcherry"].failed == ["test_access_is_open: datallowconn t, datconnlimit 0"]
    assert not found.hosts["gac"].failed
    assert look(undone).ok

    undone.sql("DELETE FROM Branch WHERE id = -1")
    (told,) = [entry for entry in undone.journal if entry["event"] == "next_attempt"]
    again = (undone.directory / told["plan"]).resolve()
    done = undone.runbook("run", *undone.answering(), "--plan", str(again))
    assert done.returncode == 0, done.stdout + done.stderr
    journal = lines(Journal(again.with_name("journal.jsonl")).entries)
    assert [e["stage"] for e in journal if e["event"] == "stage_carried"] == [
        "select",
        "rc_mode",
        "merge",
        "blessing",
        "qastaging",
        "rc_mode_end",
    ]
    started = [e["stage"] for e in journal if e["event"] == "stage_started"]
    first = ["confirm", "announce", "review", "chase", "remind", "deliver", "preflight", "starting", "pause"]
    assert started[: len(first)] == first
    assert announced(undone.journal)[-2:] == ["starting", "aborted"]
    assert announced(journal) == ["announcer_note", "new_date", "chase", "reminder", "starting", "done"]
    (new_date,) = [e for e in journal if e["event"] == "announcement_queued" and e["message"] == "new_date"]
    assert "08.00 UTC 11th of December 2026" in new_date["texts"]["lp_announce"]["title"]
    assert SAYS["source"] in new_date["texts"]["lp_announce"]["body"].replace("\n", " ")
    (outage,) = [e for e in journal if e["event"] == "stage_started" and e["stage"] == "outage"]
    assert outage["at"].startswith("2026-12-11T08:00:0"), "in the backup window"
    assert plans.load(again).pinned.model_dump()["merged_revno"] == undone.pinned["merged_revno"]
    assert verification.verify(again.parent, ROOT / "inventories/lab", "deployed").ok
