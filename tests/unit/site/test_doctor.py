"""What `doctor` sees from here: the words CHANGE ME, an inventory, a schedule, channels, each with its mend."""

from __future__ import annotations

import shutil
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rollout import ROOT, site
from rollout.announcing.channels import Channel
from rollout.engine import doctor
from rollout.journal.file import NAME, Journal
from rollout.outcomes import RunbookError
from rollout.plan import creation
from tests.unit.journals import event

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
PRODUCTION = ROOT / "inventories" / "production"


def test_what_is_not_filled_in_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "plan.yml").write_text("people: CHANGE ME\n")
    assert doctor.filled_in(tmp_path).ok, "what rollouts wrote is not the site's to fill in"
    (tmp_path / "hosts.yml").write_text("all:\n  host: a.example.com  # CHANGE ME\n" * 13)
    look = doctor.filled_in(tmp_path)
    assert (look.ok, look.found) == (False, "13 places say CHANGE ME")
    assert look.mend[0] == "hosts.yml:2  host: a.example.com  # CHANGE ME"
    assert look.mend[-2:] == ("… and 1 more", "Put in what is right, and take the words CHANGE ME out.")


def test_the_placeholders_of_production_are_found() -> None:
    looks = {look.what: look for look in doctor.of_the_site(PRODUCTION, NOW)}
    assert {name: look.ok for name, look in looks.items()} == {
        "files": False,
        "inventory": True,
        "schedule": True,
        "channels": False,
    }
    assert any("announcements.yml:" in line for line in looks["channels"].mend)


def test_an_inventory_and_a_schedule_that_cannot_be_read(tmp_path: Path) -> None:
    shutil.copytree(PRODUCTION, tmp_path / "x")
    (tmp_path / "x" / "hosts.yml").write_text("all: [\n")
    (tmp_path / "x" / "schedule.yml").write_text("schedule: 7\n")
    looks = {look.what: look for look in doctor.of_the_site(tmp_path / "x", NOW)}
    assert not looks["inventory"].ok
    assert looks["schedule"].found.startswith("E-bad-input  ")
    assert any("schedule.yml:1" in line for line in looks["schedule"].mend)
    assert looks["schedule"].lines()[0].startswith("✗ schedule: E-bad-input  ")


def test_a_channel_is_connected_to_and_nothing_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        channel = Channel("status", "status", f"mastodon://token@127.0.0.1:{port}", "status account")
        assert doctor.reachable(channel) == "status account answers; nothing was said there"
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b""
    with pytest.raises(RunbookError, match=f"E-unreachable  status account: .*\n.*nc -vz 127.0.0.1 {port}"):
        doctor.reachable(channel)


def test_a_rollout_at_work_is_looked_at_in_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So nothing of it is written, and Ctrl-C, which ends all that is marked with the directory, ends nothing of it."""
    monkeypatch.setattr(site, "var", lambda: tmp_path)
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path / "rollouts"))
    made = creation.new_plan(PRODUCTION, NOW, None, None).parent
    Journal(made / NAME).write(event("stage_started", stage="select", attempt=1))
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    kept = doctor.plan_to_look_at(PRODUCTION, NOW)
    assert kept.directory.parent == tmp_path / "doctor"
    assert kept.plan.id == made.name
    assert kept.journal.entries == Journal(made / NAME).entries
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    (made / "plan.yml").unlink()
    assert doctor.plan_to_look_at(PRODUCTION, NOW).journal.entries == [], "without an open plan, a draft"
    assert not (made / "plan.yml").exists()
