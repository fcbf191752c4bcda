"""Module merge_fix on real branches: which revision may go out instead of the merge (R11, R13)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.modules import git_branches
from tests.modules.both_branches import APP, Site
from tests.modules.both_branches import site as new_site
from tests.modules.test_back_outs import played, state

SCENARIOS = yaml.safe_load(Path(__file__).with_name("fixes.yml").read_text(encoding="utf-8"))
APPROVERS = {"lead": "lab-lead", "architect": "lab-architect", "strategist": "lab-strategist"}


@pytest.fixture
def judge(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`judge(system, site, revision, fixed_in)` calls the module."""

    def call(system: ModuleType, site: Site, merged: int, fixed_in: int, **different: Any) -> dict[str, Any]:
        arguments = {
            "vcs": system.kind,
            "executable": system.client,
            "tree": str(site.pqm),
            "source": str(site.db_stable),
            "revision": merged,
            "push_to": str(site.devel),
            "fixed_in": fixed_in,
            "approvers": APPROVERS,
        }
        return run_module("merge_fix", {**arguments, **different}, env={"HOME": str(tmp_path)})

    return call


def tell(system: ModuleType, site: Site, story: list[dict[str, Any]]) -> None:
    """Make it happen on devel."""
    for chapter in story:
        if "devel" in chapter:
            system.commit(site.devel, chapter["devel"], chapter["says"])
        elif "back_out" in chapter:
            system.back_out(site.devel, chapter["back_out"], chapter["says"])
        else:
            message = chapter.get("says", "Merge db-stable.")
            system.merge_revision(site.devel, site.db_stable, chapter["merge"], message)


@pytest.mark.parametrize(("system", "scenario"), played(SCENARIOS))
def test_scenario(
    judge: Callable[..., dict[str, Any]], tmp_path: Path, system: ModuleType, scenario: dict[str, Any]
) -> None:
    site = new_site(system, tmp_path / "site")
    tell(system, site, scenario["story"])
    before = state(system, site)
    found = judge(system, site, scenario.get("merge", 3), scenario["fixed_in"])
    assert state(system, site) == before, "it reads, and touches nothing"
    if "refused" in scenario:
        assert found["failed"], found
        assert found["msg"].startswith(scenario["refused"] + "  "), found["msg"]
        assert all(said in found["msg"] for said in scenario.get("said", [])), found["msg"]
        return
    assert not found["failed"], found["msg"]
    assert not found["changed"]
    assert (found["revno"], found["revid"]) == (scenario["fixed_in"], system.revision(site.devel, scenario["fixed_in"]))
    assert found["merge"]["revid"] == system.revision(site.devel, found["merge"]["revno"])
    assert {each["revno"]: each["reason"] for each in found["landed"]} == scenario["approved"]
    assert found["changed_patches"] == scenario.get("patches", [])


def test_another_revision_than_the_pinned_one_is_refused(judge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    system = git_branches
    site = new_site(system, tmp_path / "site")
    tell(system, site, [{"merge": 3}, {"devel": {"README": "mended"}, "says": "[release-critical=lab-lead] Fix."}])
    found = judge(system, site, 3, 4, revid="0" * 40)
    assert found["msg"].startswith("E-revision-mismatch "), found


def test_a_fix_of_the_same_is_backed_out_before_the_merge_is(
    run_module: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """What docs/operations.md says of a back-out (R17) that conflicts with the fix."""
    system = git_branches
    site = new_site(system, tmp_path / "site")
    fix = {"lib/lp/app.py": APP.replace("two", "two, mended")}
    tell(system, site, [{"merge": 4}, {"devel": fix, "says": "[release-critical=lab-lead] Fix."}])
    words = {"what": "db-stable 4", "reason": "a patch is not good", "approver": "lab-lead"}
    where = {"vcs": "git", "tree": str(site.pqm), "push_to": str(site.devel), "committer": "PQM <pqm@lab.example>"}
    arguments = {**where, **words, "revno": 3, "revid": system.revision(site.devel, 3)}
    refused = run_module("merge_back_out", arguments, env={"HOME": str(tmp_path)})
    assert refused["msg"].startswith("E-back-out-conflict "), refused
    tell(system, site, [{"back_out": 4, "says": "[release-critical=lab-lead][rollback=4] Not this fix."}])
    done = run_module("merge_back_out", arguments, env={"HOME": str(tmp_path)})
    assert done["revno"] == 6, done
    system.pull(site.pqm, site.devel)
    assert (site.pqm / "lib/lp/app.py").read_text() == APP
