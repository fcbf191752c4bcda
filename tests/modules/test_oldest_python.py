"""The host half runs on the oldest Python that it promises, or the oldest that can be had (Debian's PyPy is 3.9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees, preflighting
from tests.modules.database_servers import FOUR, ROWS_AFTER, Database, wait_for
from tests.modules.oldest_python import HostPython, OldestPython
from tests.modules.test_services_switch import ORIGINAL, START

IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path[0] = "."
import plugins
failures = {}
names = [found.name for found in pkgutil.walk_packages(plugins.__path__, "plugins.")]
names = [name for name in names if "doc_fragments" not in name]  # Ansible reads them on the control machine
for name in names:
    try:
        importlib.import_module(name)
    except Exception as error:
        failures[name] = repr(error)
print(json.dumps({"version": sys.version_info[:2], "count": len(names), "failures": failures}))
"""
NOT_FOR_HOSTS = {  # the control machine's library irc, and Ansible's own halves there
    "plugins.module_utils.rollout_host.chat.irc",
    "plugins.action.rollout_claim",
    "plugins.lookup.run_by_hand",
}


def detached_outage(python: HostPython, database: Database) -> dict[str, Any]:
    """The answer of an outage whose worker was detached and then asked until it had ended."""
    begun = python.module("database_outage", database.outage(detach=True), env=database.environment())
    keys = ("dsn", "patches", "run_id", "state_directory")
    look = {key: value for key, value in database.outage().items() if key in keys}

    def ended() -> dict[str, Any] | None:
        answer = begun
        if not begun["finished"]:
            arguments = {**look, "answer_file": begun["answer_file"]}
            answer = python.module("database_outage_progress", arguments, env=database.environment())
        return answer if answer["finished"] else None

    return wait_for(ended, "the outage to end", 60)


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> OldestPython:
    return OldestPython(tmp_path_factory.mktemp("oldest"))


def test_every_file_of_both_halves_can_be_imported(oldest: OldestPython) -> None:
    found = json.loads(oldest.run(IMPORT_ALL))
    assert found["count"] > 100
    assert set(found["failures"]) <= NOT_FOR_HOSTS, found


def test_a_preflight_looks_at_everything(oldest: OldestPython, database: Database) -> None:
    oldest.needs_psycopg()
    answer = preflighting.new_run(oldest.module, database)()
    assert not answer["failed"], answer
    assert len(answer["findings"]) > 15


def test_an_outage_is_detached_and_ends(oldest: OldestPython, database: Database) -> None:
    oldest.needs_psycopg()
    answer = detached_outage(oldest, database)
    assert (answer["failed"], answer["committed"]) == (False, True), answer
    assert [step["step"] for step in answer["steps"] if step["step"].startswith("patch-")] == FOUR
    assert database.rows() == ROWS_AFTER


def test_services_are_paused_and_resumed(oldest: OldestPython, tmp_path: Path) -> None:
    ini = tmp_path / "cron.ini"
    ini.write_bytes(ORIGINAL.encode())
    banner = {"name": "banner", "kind": "banner", "path": str(tmp_path / "banner")}
    services = [banner, {"name": "cron", "kind": "cron", "path": str(ini)}]
    given = {"services": services, "window_start": START, "state_directory": str(tmp_path / "state")}
    paused = oldest.module("services_switch", {**given, "state": "paused"}, diff=True)
    assert (paused["failed"], [each["changed"] for each in paused["services"]]) == (False, [True, True]), paused
    resumed = oldest.module("services_switch", {**given, "state": "running"}, diff=True)
    assert (resumed["changed"], ini.read_bytes()) == (True, ORIGINAL.encode()), resumed


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_a_tree_comes_and_is_switched_to(oldest: OldestPython, tmp_path: Path, kind: str) -> None:
    sample = app_trees.sample(kind, tmp_path)
    options = {**sample.options(), "dest": str(tmp_path / "srv/r4"), "clean": True}
    assert oldest.module("app_tree", options)["changed"]
    assert not oldest.module("app_tree", options)["changed"]
    (tmp_path / "srv/r4/README").write_text("by hand\n")
    assert oldest.module("app_tree", options)["reverted"] == [{"change": "modified", "path": "README"}]
    assert oldest.module("app_tree_switch", {"root": str(tmp_path / "srv"), "to": "r4"})["revno"] == 4
