"""The archive that `ansible-galaxy collection build` makes is all that an outage needs, and documents every module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.modules.database_servers import Database

PROJECT = Path(__file__).resolve().parents[2]
MODULES = {f"downtime.runbook.{path.stem}" for path in (PROJECT / "plugins/modules").glob("[!_]*.py")}
PARTS = {"MANIFEST.json", "FILES.json", "README.md", "docs", "meta", "playbooks", "plugins", "roles"}
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - downtime.runbook.database_outage: {dsn: "{{ dsn }}", schema_directory: "{{ schema }}", patches: "{{ patches }}",
        run_id: by-itself, state_directory: "{{ state }}", detach: true}
      register: begun
    - downtime.runbook.database_outage_progress: {answer_file: "{{ begun.answer_file }}", dsn: "{{ dsn }}",
        patches: "{{ patches }}", run_id: by-itself, state_directory: "{{ state }}"}
      register: outage
      until: outage.finished
      retries: 100
      delay: 0
      when: not begun.finished
"""


class Elsewhere:
    """A directory with nothing of the checkout in it, where Ansible finds only what was installed there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.collections = directory / "collections"

    def ansible(self, program: str, *arguments: str | Path, **env: str) -> str:
        """What the program prints; fails the test when the program fails."""
        own = {
            "HOME": str(self.directory),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",  # the virtual environment has a link to the checkout
            "ANSIBLE_LOCALHOST_WARNING": "false",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        done = subprocess.run(
            [Path(sys.executable).parent / program, *arguments],
            cwd=self.directory,
            env={**inherited, **own, **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """The built archive in `dist/`, installed into `collections/`."""
    elsewhere = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    elsewhere.ansible("ansible-galaxy", "collection", "build", PROJECT, "--output-path", elsewhere.directory / "dist")
    (archive,) = (elsewhere.directory / "dist").iterdir()
    elsewhere.ansible("ansible-galaxy", "collection", "install", "--offline", "-p", elsewhere.collections, archive)
    return elsewhere


def test_archive_has_what_a_collection_needs_and_nothing_else(elsewhere: Elsewhere) -> None:
    (archive,) = (elsewhere.directory / "dist").iterdir()
    with tarfile.open(archive) as packed:
        names = packed.getnames()
    assert {name.partition("/")[0] for name in names} == PARTS
    assert not [name for name in names if name.endswith(("__pycache__", "ruff.toml"))]


def test_every_module_is_documented(elsewhere: Elsewhere) -> None:
    told = json.loads(elsewhere.ansible("ansible-doc", "--type", "module", "--json", *sorted(MODULES)))
    assert set(told) == MODULES
    here = {name: told[name]["doc"]["filename"] for name in told}
    assert not {name: path for name, path in here.items() if not path.startswith(str(elsewhere.collections))}


def test_ten_lines_take_an_outage(elsewhere: Elsewhere, database: Database) -> None:
    from tests.modules.database_servers import FOUR, ROWS_AFTER

    (elsewhere.directory / "outage.yml").write_text(PLAYBOOK)
    variables = {
        "ansible_python_interpreter": sys.executable,
        "dsn": database.dsn(),
        "schema": str(database.schema),
        "patches": FOUR,
        "state": str(database.directory / "state"),
    }
    elsewhere.ansible(
        "ansible-playbook", "outage.yml", "-e", json.dumps(variables), **database.environment("by-itself")
    )
    assert database.rows() == ROWS_AFTER
    database.assert_users_are_in()
