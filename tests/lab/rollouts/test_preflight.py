"""The preflight by itself, on a day long before the window (R18)."""

from __future__ import annotations

import psycopg

from lab import parts
from lab.drills.rollout import Rollout


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
