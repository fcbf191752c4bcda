"""Cowboys on every kind of tree: what has landed is told by the content of its revision (R16, R25)."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees
from tests.modules.app_trees import KINDS, Sample
from tests.modules.both_branches import APP

Call = Callable[..., dict[str, Any]]
PATH = "lib/lp/app.py"
BEFORE = APP.replace("two", "two of db-stable")
AFTER = BEFORE.replace("seven", "seven, by hand")
DIFF = "".join(
    difflib.unified_diff(BEFORE.splitlines(True), AFTER.splitlines(True), f"a/{PATH}", f"b/{PATH}")
)  # as `git diff` prints it
COWBOY = {"id": "lp-15", "who": "jml", "why": "slow", "diff": "lp-15.diff"}


class Host:
    """A host of the application, with the trees r4 and r5, in which the cowboy has landed."""

    def __init__(self, sample: Sample, root: Path, run_module: Call) -> None:
        self.sample, self.root, self.run_module = sample, root, run_module
        self.revids = {4: sample.revision(4)}
        sample.deliver(root / "r4", 4)
        sample.commit({PATH: "a new line\n" + AFTER})
        self.revids[5] = sample.revision(5)
        sample.deliver(root / "r5", 5)

    def call(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        answer = self.run_module(module, options, check, env={"HOME": str(self.root)})
        assert not answer["failed"], answer["msg"]
        return answer

    def deliver(self, number: int, check: bool = False) -> dict[str, Any]:
        named = {"dest": str(self.root / f"r{number}"), "store": str(self.root), "clean": True}
        return self.call("app_tree", check, **{**self.sample.options(number), **named})

    def cowboys(self, state: str, number: int, **options: Any) -> dict[str, Any]:
        known = {"cowboys": [COWBOY], "diffs": {"lp-15.diff": DIFF}, **self.sample.client()}
        return self.call("cowboys", tree=str(self.root / f"r{number}"), host="gac", state=state, **{**known, **options})

    def contained(self, number: int) -> str:
        """Return the cowboy's state in a revision, as qastaging's tree tells it."""
        known = {"cowboys": [COWBOY], "diffs": {"lp-15.diff": DIFF}, **self.sample.client()}
        tree = str(self.root / f"r{number}")
        return str(self.call("cowboys_review", tree=tree, revision=self.revids[number], **known)["cowboys"][0]["state"])


@pytest.fixture(params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path: Path, run_module: Call) -> Host:
    return Host(app_trees.sample(request.param, tmp_path), tmp_path / "srv", run_module)


def test_applied_once_told_from_what_landed_and_taken_out(host: Host) -> None:
    file = host.root / "r4" / PATH
    assert host.cowboys("reviewed", 4)["cowboys"][0]["state"] == "to_apply"
    assert host.cowboys("applied", 4)["files"] == [PATH]
    assert file.read_text() == AFTER
    assert not host.cowboys("applied", 4)["changed"]
    assert host.contained(4) == "to_apply"
    assert [entry["path"] for entry in host.deliver(4, check=True)["reverted"]] == [PATH]

    assert host.cowboys("applied", 5)["changed"] is False
    assert host.cowboys("reviewed", 5)["cowboys"][0]["state"] == "landed"
    assert host.contained(5) == "landed"

    assert host.cowboys("removed", 4)["files"] == [PATH]
    assert file.read_text() == BEFORE
    assert not host.deliver(4, check=True)["changed"]


def test_a_change_that_is_on_no_list_is_reported(host: Host) -> None:
    host.cowboys("applied", 4)
    serving = {"serving_tree": str(host.root / "r4")}
    assert host.cowboys("reviewed", 5, **serving)["unlisted"] == []
    (host.root / "r4/README").write_text("by hand\n")
    assert host.cowboys("reviewed", 5, **serving)["unlisted"] == ["README"]


def test_what_others_have_put_there_cannot_be_told(host: Host, tmp_path: Path) -> None:
    (tmp_path / "by-hand").mkdir()
    found = host.cowboys("reviewed", 5, serving_tree=str(tmp_path / "by-hand"))
    assert (found["unlisted"], found["unlisted_known"]) == ([], False)
