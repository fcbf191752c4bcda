"""A tree of git by the playbooks alone, on one real host: delivered, switched to, served, and switched back (R18)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.rollout_core.journal import text
from tests.modules import app_trees
from tests.modules.app_trees import Sample
from tests.modules.playing import Played, play


class Site(ThreadingHTTPServer):
    """A site that serves the tree which `current` led to when it was last restarted; X-Revision is the tree's name."""

    def __init__(self, root: Path) -> None:
        self.root, self.restarted = root, root.parent / "restarted"
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Answer(BaseHTTPRequestHandler):
    """Answers any page."""

    server: Site

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Revision", self.server.restarted.read_text().strip())
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "srv/by-hand").mkdir(parents=True)
    (tmp_path / "srv/current").symlink_to("by-hand")  # as before the first rollout
    server = Site(tmp_path / "srv")
    server.restarted.write_text("by-hand\n")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def inventory(sample: Sample, site: Site) -> dict[str, Any]:
    """What a site with git says in its group_vars; its trees are named by the short id."""
    return {
        "app_tree_kind": "git",
        "app_tree_root": str(site.root),
        "app_tree_branch": sample.system.at(sample.site.db_stable),
        "app_tree_name": "{{ rollout.pinned.merged_revid[:12] }}",
        "app_tree_restart": ["sh", "-c", f"basename $(readlink {site.root}/current) > {site.restarted}"],
        "app_tree_site_url": site.url,
        "app_tree_free_megabytes": 1,
        "cowboys_root": "{{ app_tree_root }}",
        "production_status_file": str(site.root / "status.yml"),
        "claim_host": "",
    }


def test_delivered_switched_served_and_back(tmp_path: Path, site: Site) -> None:
    sample = app_trees.sample("git", tmp_path / "sample")
    revid = sample.revision(4)
    plan = {
        "id": "2026-12",
        "window": {"start": "2999-12-09T08:00:00Z", "minutes": 90},
        "policy": {"abort_after_minutes": 30},
        "process": [{"stage": "switch", "due": "0m", "window": True, "expects": {"minutes": 1, "from": "guess"}}],
        "pinned": {"merged_revid": revid, "merged_revno": 4, "target_branch": "main"},
    }
    entry = {"seq": 1, "at": "2026-12-07T08:00:00Z", "event": "stage_finished", "stage": "deliver", "outcome": "ok"}
    (tmp_path / "journal.jsonl").write_text(text.line(entry, text.FIRST_PREV))
    known = {"rollout": plan, "rollout_journal": str(tmp_path / "journal.jsonl"), **inventory(sample, site)}

    def played(playbook: str) -> Played:
        found = play(playbook, tmp_path, ["app", "database"], known, HOME=str(tmp_path))
        assert found.code == 0, found.output
        return found

    told = played("trees_deliver").told["evidence"]
    assert f"{revid[:12]} on database-host (was there): revision {revid}" in told
    assert "NOBODY CAN TELL what was changed by hand on app-host: what serves there is none of our trees" in told
    sample.site.db_stable.rename(tmp_path / "gone")  # nothing is fetched any more
    assert site.restarted.read_text() == "by-hand\n"

    assert f"app-host serve {revid[:12]}, X-Revision {revid[:12]}" in played("trees_switch").told["evidence"][-1]
    assert (site.root / "current").readlink() == Path(revid[:12])
    assert app_trees.contents(site.root / "current") == app_trees.contents(tmp_path / "gone")

    assert played("trees_switch_back").told["evidence"] == ["as before: app-host serves by-hand (HTTP 200)"]
    assert site.restarted.read_text() == "by-hand\n"
