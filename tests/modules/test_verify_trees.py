"""`verify` looks at trees of every kind: which revision is current, and whether the way back is kept (R18)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.engine.verification import HostState, verify
from tests.modules import app_trees
from tests.modules.app_trees import KINDS, Sample

NAMES = {"bzr": "r4", "git": "{{ rollout.pinned.merged_revid[:12] }}", "archive": "app-4"}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HostState]:
    """A host for each kind, switched to db-stable 4, looked at in one go; and one whose git tree is not the merge."""
    directory = tmp_path_factory.mktemp("verify")
    samples = {kind: app_trees.sample(kind, directory / kind) for kind in KINDS}
    hosts = {kind: host(samples[kind], directory / kind / "srv", 4) for kind in KINDS}
    hosts["other"] = host(samples["git"], directory / "other" / "srv", 3)
    (directory / "site").mkdir()
    (directory / "site/hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"app": {"hosts": hosts}}}}))
    pinned = {"merged_revno": 4, "merged_revid": samples["git"].revision(4)}
    plan = {"id": "2026-12", "pinned": pinned, "inventory": "x", "cowboys": []}
    (directory / "plan.yml").write_text(yaml.safe_dump({"rollout": plan}))
    return verify(directory, directory / "site", "deployed").hosts


def host(sample: Sample, root: Path, revno: int) -> dict[str, Any]:
    """Deliver and switch; return the host's variables. The archive and git trees are of the same revision."""
    revid = sample.revision(revno)
    name = NAMES[sample.kind].replace("{{ rollout.pinned.merged_revid[:12] }}", revid[:12])
    sample.deliver(root / name, revno)
    (root / "before").mkdir()
    (root / "current").symlink_to(name)
    (root / "previous").symlink_to("before")
    known = {"app_tree_kind": sample.kind, "app_tree_root": str(root), "app_tree_name": NAMES[sample.kind]}
    client = {"app_tree_executable": sample.client().get("executable", "")}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {**known, **client, **local, "production_status_file": str(root / "status.yml")}


@pytest.mark.parametrize("kind", ["git", "archive"])
def test_what_is_as_it_should_be_passes(found: dict[str, HostState], kind: str) -> None:
    assert found[kind].failed == []
    assert found[kind].passed >= 3


def test_bazaar_s_tree_is_at_another_id_and_that_is_said(found: dict[str, HostState]) -> None:
    """The plan's id is git's: so the number is right, and the id is not."""
    (failed,) = found["bzr"].failed
    assert failed.startswith("test_current_tree_is_at_the_merge: ")
    assert "r4 is at 4 jml@lab.example-" in failed


def test_a_tree_of_another_revision_is_told(found: dict[str, HostState]) -> None:
    assert {line.partition(":")[0] for line in found["other"].failed} == {
        "test_current_tree",
        "test_current_tree_is_at_the_merge",
    }
