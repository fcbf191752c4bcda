"""Module select_revision on real branches with their clients (R2, R8, R9)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.modules import git_branches
from tests.modules.both_branches import BOTH

SCHEMA = "database/schema"


def patch(number: str) -> dict[str, str]:
    """A sound patch, as files of the tree."""
    row = number.replace("-", ", ")
    text = f"-- About {number}.\nCREATE TABLE t (id serial);\nINSERT INTO LaunchpadDatabaseRevision VALUES ({row});\n"
    return {f"{SCHEMA}/patch-{number}.sql": text}


class Branches:
    """devel with the baseline, and db-stable grown from it; `land` adds a revision to either."""

    def __init__(self, root: Path, vcs: ModuleType) -> None:
        self.vcs, self.devel, self.db_stable = vcs, root / "devel", root / "db-stable"
        baseline = {
            f"{SCHEMA}/launchpad-2208-00-0.sql": "SELECT 1;\n",
            f"{SCHEMA}/security.cfg": "[public]\n",
            "app": "1\n",
        }
        vcs.create(self.devel, baseline, "[no-qa] Start.")
        vcs.branch(self.devel, self.db_stable)

    def land(self, message: str, files: dict[str, str | None] | None = None, on: str = "db_stable") -> str:
        tree: Path = getattr(self, on)
        return str(self.vcs.commit(tree, files or {"app": f"{message}\n"}, message))

    def merge(self, message: str) -> str:
        return str(self.vcs.merge(self.devel, self.db_stable, message))


@pytest.fixture
def vcs() -> ModuleType:
    return git_branches  # the rules are the same in every version control, and git is fast


@pytest.fixture
def branches(vcs: ModuleType, tmp_path: Path) -> Branches:
    return Branches(tmp_path / "branches", vcs)


in_both = pytest.mark.parametrize("vcs", BOTH, ids=lambda vcs: vcs.kind)


@pytest.fixture
def select(
    run_module: Callable[..., dict[str, Any]], branches: Branches, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`select(check=False, **arguments that differ)` calls the module."""
    (tmp_path / "home").mkdir()

    def call(check: bool = False, **different: Any) -> dict[str, Any]:
        arguments = {
            "vcs": branches.vcs.kind,
            "db_stable": branches.vcs.at(branches.db_stable),
            "devel": branches.vcs.at(branches.devel),
            "bug_tags": {1: ["qa-ok"], 2: ["qa-needstesting"], 3: ["qa-bad"]},
            "applied": [[2208, 0, 0]],
            "timings": {f"patch-2208-{n}-0.sql": 70.5 for n in (30, 31, 40)},
            "window_minutes": 90,
            "factor": 2,
            "plus_minutes": 10,
            "executable": branches.vcs.client,
            **different,
        }
        return run_module("select_revision", arguments, check, env={"HOME": str(tmp_path / "home")})

    return call


def everything(branches: Branches) -> dict[str, str]:
    """All that is in both trees and branches, to see that nothing changes."""
    roots = (branches.devel, branches.db_stable)
    return {str(p): p.read_bytes().hex() for root in roots for p in sorted(root.rglob("*")) if p.is_file()}


@in_both
@pytest.mark.parametrize("check", [False, True])
def test_the_highest_that_is_qa_ok(select: Callable[..., dict[str, Any]], branches: Branches, check: bool) -> None:
    branches.land("[r=stub][bug=1] Add a table.", patch("2208-30-0"))
    revid = branches.land("[r=jml]\n\t[no-qa] Use it.")
    branches.land("[r=stub][bug=2] Add another.", patch("2208-31-0"))
    branches.land("[r=jml][bug=4] In devel only.", on="devel")
    before = everything(branches)
    result = select(check)
    assert not result["changed"]
    assert everything(branches) == before
    assert (result["revision"], result["revid"], result["patches"]) == (3, revid, ["patch-2208-30-0.sql"])
    (text,) = patch("2208-30-0").values()
    assert result["digests"] == [f"patch-2208-30-0.sql={hashlib.sha256(text.encode()).hexdigest()}"]
    assert result["evidence"] == [
        "db-stable tip 4 · QA-ok up to 3 · 4 blocks: bug 2 is qa-needstesting",
        "1 patch, 70.5 s on staging → 12.4 min of 90",
    ]
    assert result["steps"] == [{"step": "patch-2208-30-0.sql", "seconds": 141.0}, {"step": "pad", "seconds": 600.0}]
    assert [(change["patch"], change["title"], change["revno"]) for change in result["schema_changes"]] == [
        ("patch-2208-30-0.sql", "About 2208-30-0.", 2)
    ]
    assert result["fits"] == [
        {"revision": revision, "patches": 1, "seconds": 70.5, "minutes": 12.4} for revision in (2, 3)
    ]
    assert [each["state"] for each in result["qa"]["revisions"]] == ["ok", "no-qa", "needstesting"]


def test_the_tree_tells_what_a_revision_brings(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    """Renamed, mended, taken out again: what counts is what the branch holds at a revision, text and names."""
    placeholder = patch("2208-99-0")[f"{SCHEMA}/patch-2208-99-0.sql"]
    branches.land("[no-qa] A placeholder.", {f"{SCHEMA}/patch-2208-99-0.sql": placeholder})
    branches.land("[bug=3] Slow.", patch("2208-50-0"))
    branches.land(
        "[no-qa] Its number.", {f"{SCHEMA}/patch-2208-99-0.sql": None, f"{SCHEMA}/patch-2208-40-0.sql": "SELECT 1;\n"}
    )
    branches.land("[rollback=3] Out.", {f"{SCHEMA}/patch-2208-50-0.sql": None})
    blocked = select()
    assert blocked["failed"]
    assert "patch-2208-40-0.sql: has no row of its own" in blocked["msg"]
    branches.land("[no-qa] Mend it.", patch("2208-40-0"))
    result = select()
    assert (result["revision"], result["patches"]) == (6, ["patch-2208-40-0.sql"])


@in_both
def test_patches_come_with_a_merge_too(
    select: Callable[..., dict[str, Any]], branches: Branches, tmp_path: Path
) -> None:
    side = branches.vcs.branch(branches.db_stable, tmp_path / "side")
    branches.vcs.commit(side, patch("2208-30-0"), "work")
    branches.vcs.merge(branches.db_stable, side, "[r=stub][bug=1] Land the branch.")
    result = select()
    assert (result["revision"], result["patches"]) == (2, ["patch-2208-30-0.sql"])
    assert result["schema_changes"][0]["message"] == "Land the branch."


def test_the_budget_binds(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    branches.land("[bug=1] a", patch("2208-30-0"))
    branches.land("[bug=1] b", patch("2208-31-0"))
    result = select(window_minutes=14)
    assert (result["revision"], result["patches"]) == (2, ["patch-2208-30-0.sql"])
    assert result["evidence"][2] == ("left behind: 3: over budget: 2 patches, 141.0 s on staging → 14.7 min of 14")


def test_what_production_has_is_not_pending(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    branches.land("[bug=1] a", {**patch("2208-30-0"), **patch("2208-31-0")})
    assert select(applied=[[2208, 0, 0], [2208, 31, 0]])["patches"] == ["patch-2208-30-0.sql"]


def test_a_merge_that_stands_is_recognised_by_ancestry(
    select: Callable[..., dict[str, Any]], branches: Branches
) -> None:
    revid = branches.land("[bug=1] a", patch("2208-30-0"))
    branches.merge("Merge db-stable 77.")  # the wrong number, as in reality
    branches.land("[bug=2] b", patch("2208-31-0"))
    for pinned in ({}, {"revision": 2}):
        result = select(**pinned)
        assert (result["revision"], result["revid"], result["patches"]) == (2, revid, ["patch-2208-30-0.sql"])
        assert "devel has 2 already: there is nothing to merge" in result["evidence"]
    done = select(applied=[[2208, 0, 0], [2208, 30, 0]], bug_tags={})
    assert done["msg"].startswith("E-nothing-deployable")


def test_what_was_backed_out_is_chosen_again_only_when_it_is_mended(
    select: Callable[..., dict[str, Any]], branches: Branches
) -> None:
    """R17: its QA counts again, and its patches come with the next merge, which takes the back-out back."""
    branches.land("[bug=1] a", patch("2208-30-0"))
    branches.land("[no-qa] with it")
    branches.merge("Merge db-stable 3.")
    back_out = {f"{SCHEMA}/patch-2208-30-0.sql": None}
    branches.land("[release-critical=lead][rollback=2] Back out the merge.", back_out, on="devel")
    branches.land("[no-qa] b")
    blocked = select(bug_tags={1: ["qa-bad"]})
    assert blocked["msg"].startswith("E-nothing-deployable")
    assert "2 blocks: bug 1 is qa-bad" in blocked["msg"]
    result = select()
    assert (result["revision"], result["patches"]) == (4, ["patch-2208-30-0.sql"])
    assert [each["revision"] for each in result["fits"]] == [3, 4]
    assert "3 was in devel and backed out, so nothing below it can be merged" in select(revision=2)["msg"]


def test_one_that_devel_has_long_since(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    first = branches.vcs.tip(branches.db_stable)[1]
    branches.land("[bug=1] a", patch("2208-30-0"))
    branches.merge("Merge db-stable 2.")
    result = select(revision=1)
    assert (result["revision"], result["revid"]) == (1, first)


def test_nothing_to_deploy(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    assert select()["msg"].startswith("E-nothing-to-deploy  devel has all of db-stable (tip 1)")


def test_more_revisions_than_a_first_look(select: Callable[..., dict[str, Any]], branches: Branches) -> None:
    for number in range(40):
        branches.land(f"[no-qa] {number}")
    assert select()["revision"] == 41


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        (4, ["E-pin-blocked  db-stable 4", "3 blocks: bug 2 is qa-needstesting", "The highest that may: db-stable 2"]),
        (99, ["E-pin-unknown  db-stable has no revision 99: its tip is 4", "The highest that may: db-stable 2"]),
    ],
)
def test_pinned_by_hand(
    select: Callable[..., dict[str, Any]], branches: Branches, pinned: int, said: list[str]
) -> None:
    branches.land("[bug=1] a")
    branches.land("[bug=2] b")
    branches.land("[bug=1] c")
    result = select(revision=pinned)
    assert result["failed"]
    for part in said:
        assert part in result["msg"]


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({"db_stable": "/nowhere"}, "E-{vcs} "),
        ({"db_stable": "--help"}, "E-bad-branch  db_stable is '--help'"),
        ({"schema_directory": "../database"}, "E-bad-branch  schema_directory is '../database'"),
        ({"schema_directory": "schema"}, "E-no-schema-directory "),
        ({"bug_tags": {"lp-1": ["qa-ok"]}}, "E-bad-argument  bug_tags: lp-1"),
        ({"bug_tags": {"1": "qa-ok"}}, "E-bad-argument  bug_tags: 1: 'qa-ok'; expected a bug number and a list"),
        ({"applied": [[2208, 30]]}, "E-bad-argument  applied: [2208, 30]"),
        ({"timings": {"patch-2207-97.0.sql": 1.0}}, "E-bad-argument  'patch-2207-97.0.sql' is not the name of a"),
        ({"timings": {"patch-2208-30-0.sql": "fast"}}, "E-bad-argument  timings: patch-2208-30-0.sql: 'fast'"),
        ({"executable": "/nowhere/client"}, "E-{vcs} "),
    ],
)
def test_bad_arguments(
    select: Callable[..., dict[str, Any]], branches: Branches, different: dict[str, Any], said: str
) -> None:
    branches.land("[bug=1] a", patch("2208-30-0"))
    result = select(**different)
    assert result["failed"]
    assert result["msg"].startswith(said.format(vcs=branches.vcs.kind))


def test_branches_that_have_nothing_in_common(
    select: Callable[..., dict[str, Any]], branches: Branches, tmp_path: Path
) -> None:
    branches.vcs.create(tmp_path / "other", {"app": "2\n"}, "Start.")
    assert select(devel=branches.vcs.at(tmp_path / "other"))["msg"].startswith("E-unrelated-branches ")


@in_both
def test_the_first_patch_of_a_service_makes_the_directory(
    select: Callable[..., dict[str, Any]], branches: Branches, vcs: ModuleType
) -> None:
    first = {path.replace(SCHEMA, "db/schema"): text for path, text in patch("2208-30-0").items()}
    branches.land("[r=stub][bug=1] Our first table.", first)
    branches.land("[bug=2] Not yet.", {"db/schema/patch-2208-31-0.sql": "SELECT 1;\n"})
    result = select(schema_directory="db/schema", applied=[])
    assert not result["failed"], result["msg"]
    assert result["patches"] == ["patch-2208-30-0.sql"]
    refused = select(schema_directory="db/schemas", applied=[])
    assert refused["msg"].startswith("E-no-schema-directory  ")
