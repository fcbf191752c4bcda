"""The preflight by itself, on a day long before the window (R18)."""

from __future__ import annotations

import psycopg

from lab import parts
from lab.drills.rollout import Rollout
from rollout.plan import model as plans


def test_on_any_day_it_looks_tells_and_counts_for_nothing(rollout: Rollout) -> None:
    looked = rollout.runbook("run", "preflight")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert " ✓ · lag " in looked.stdout
    assert "patches: NOT CHECKED, no revision is pinned" in looked.stdout
    assert "backup: NOT CHECKED" in looked.stdout
    assert "clock" not in looked.stdout, "compared, and nothing is to be said of it"
    assert "A look ahead, not on record: preflight is due " in looked.stdout
    assert not (rollout.directory / "journal.jsonl").exists()

    servers = parts.servers(rollout.lab)
    with psycopg.connect(servers.dsn("postgres", host=servers.standby), autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_pause()")
        looked = rollout.runbook("run", "preflight")
        standby.execute("SELECT pg_wal_replay_resume()")
    assert looked.returncode == 1, looked.stdout + looked.stderr
    assert "E-preflight  1 of " in looked.stdout
    assert "standby can sync: its replay is paused (" in looked.stdout
    assert f"on {servers.standby}: SELECT pg_wal_replay_resume()" in looked.stdout


def test_between_merge_and_delivery_no_tree_is_missed(rollout: Rollout) -> None:
    """What the plan has pinned is merged, and deliver is to come."""
    plan = plans.load(rollout.directory / "plan.yml")
    pinned = {"revision": 1, "patches": ["patch-2208-30-0.sql"], "merged_revno": 99999, "merged_revid": "merged"}
    plans.save(plans.Plan.model_validate({**plan.as_vars(), "pinned": pinned}), rollout.directory / "plan.yml")
    looked = rollout.runbook("run", "preflight")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert "patches: NOT CHECKED, the tree with the 1 pinned ones is not on this host yet" in looked.stdout
    assert "./runbook.py run deliver" in looked.stdout
    assert "no tree of a merge to look at yet on gac, soybean" in looked.stdout


def test_after_an_abort_it_looks_at_what_was_pinned_and_nothing_changes(rollout: Rollout) -> None:
    aborted = rollout.runbook("abort", "--reason", "the database is read-only", *rollout.answering())
    assert "Abort pack: " in aborted.stdout, aborted.stdout + aborted.stderr

    def kept() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in rollout.directory.glob("*.*")}

    before = kept()
    assert {"plan.yml", "journal.jsonl", "abort.md", "report.html"} <= set(before)
    looked = rollout.runbook("run", "preflight")
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert f"Rollout {rollout.directory.name} was aborted, and stays so." in looked.stdout
    assert " ✓ · lag " in looked.stdout
    assert "./runbook.py next" in looked.stdout
    assert {name: content for name, content in kept().items() if name in before} == before
