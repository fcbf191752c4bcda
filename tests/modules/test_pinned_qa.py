"""Modules landed_bugs and pinned_qa on real branches of both kinds: what the merge asks last (R8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.modules.both_branches import BOTH


class Site:
    """devel, and db-stable with six revisions that devel lacks: 2 to 7."""

    def __init__(self, root: Path, vcs: ModuleType) -> None:
        self.vcs, self.devel, self.db_stable = vcs, root / "devel", root / "db-stable"
        vcs.create(self.devel, {"app": "1\n"}, "[r=jml][bug=90] Start.")
        vcs.branch(self.devel, self.db_stable)
        self.revids = {1: vcs.tip(self.devel)[1]}
        for message in (
            "[r=stub][bug=1] A table.",
            "[r=jml][bug=2,\n\t3] Folded.",
            "[no-qa] x",
            "[bug=1] Again.",
            "[rollback=3] Out.",
            "[bug=4] More.",
        ):
            revid = vcs.commit(self.db_stable, {"app": f"{message}\n"}, message)
            self.revids[vcs.tip(self.db_stable)[0]] = revid
        vcs.commit(self.devel, {"devel": "1\n"}, "[bug=91] In devel only.")


@pytest.fixture(params=BOTH, ids=lambda vcs: vcs.kind)
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    return Site(tmp_path / "branches", request.param)


@pytest.fixture
def call(run_module: Callable[..., dict[str, Any]], site: Site, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`call(module, check=False, **arguments)`."""

    def call(module: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
        where = {"vcs": site.vcs.kind, "db_stable": site.vcs.at(site.db_stable), "devel": site.vcs.at(site.devel)}
        arguments = {**where, "executable": site.vcs.client, **arguments}
        return run_module(module, arguments, check, env={"HOME": str(tmp_path / "home")})

    return call


@pytest.fixture
def judge(call: Callable[..., dict[str, Any]], site: Site) -> Callable[..., dict[str, Any]]:
    """`judge(revision, bug_tags)`: as it was pinned."""

    def judge(revision: int, bug_tags: dict[int, list[str]], **different: Any) -> dict[str, Any]:
        arguments = {"revision": revision, "revid": site.revids[revision], "bug_tags": bug_tags, **different}
        return call("pinned_qa", **arguments)

    return judge


@pytest.mark.parametrize("check", [False, True])
def test_bugs_of_what_devel_lacks_and_of_nothing_else(call: Callable[..., dict[str, Any]], check: bool) -> None:
    answer = call("landed_bugs", check)
    assert (answer["bugs"], answer["revisions"], answer["changed"]) == ([1, 2, 3, 4], 6, False)


def test_nothing_landed(call: Callable[..., dict[str, Any]], site: Site) -> None:
    site.vcs.merge(site.devel, site.db_stable, "Merge db-stable 7.")
    answer = call("landed_bugs")
    assert (answer["bugs"], answer["revisions"]) == ([], 0)


def test_the_pinned_revision_by_the_tags_of_today(judge: Callable[..., dict[str, Any]]) -> None:
    """The rule itself: tests/unit/deployable/pins.yml."""
    good = {1: ["qa-ok"], 2: ["qa-untestable"], 3: ["qa-ok"]}
    assert judge(5, good)["evidence"] == ["db-stable 5 is still QA-ok: 4 revisions that devel lacks"]
    answer = judge(5, {**good, 2: ["qa-bad"], 4: ["qa-ok"]})
    assert answer["failed"]
    assert answer["msg"].split("\n") == [
        "E-pin-not-qa  db-stable 5, pinned, is not QA-ok any more.",
        "  3 is bad: bug 2 is qa-bad; rolled back by 6",
        "  Nothing was merged.",
        "  Once QA is done and the tags say so:  ./runbook.py run",
        "  Or what is QA-ok today:  set rollout.pinned.revision to 7 in the plan, and ./runbook.py run select",
    ]


@pytest.mark.parametrize("pinned", [1, 4])
def test_what_devel_has_already_passes_whatever_its_tags_say(
    judge: Callable[..., dict[str, Any]], site: Site, pinned: int
) -> None:
    site.vcs.merge(site.devel, site.db_stable, "Merge db-stable 99.")
    answer = judge(pinned, {1: ["qa-bad"]})
    assert answer["evidence"] == [f"devel has db-stable {pinned} already: there is nothing to merge"]


def test_what_was_backed_out_is_judged_again_until_it_is_back(
    call: Callable[..., dict[str, Any]], judge: Callable[..., dict[str, Any]], site: Site
) -> None:
    """The next merge takes the back-out back, so all that it brought comes again (R17)."""
    good = {1: ["qa-ok"], 2: ["qa-ok"], 3: ["qa-ok"]}
    site.vcs.merge(site.devel, site.db_stable, "Merge db-stable 7.")
    merge = site.vcs.tip(site.devel)[0]
    site.vcs.commit(site.devel, {"devel": "2\n"}, f"[rollback={merge}] Back out the merge of db-stable 7.")
    assert call("landed_bugs")["bugs"] == [1, 2, 3, 4]
    assert judge(5, {**good, 1: ["qa-bad"]})["msg"].startswith("E-pin-not-qa  db-stable 5")
    assert judge(5, good)["evidence"] == ["db-stable 5 is still QA-ok: 4 revisions that devel lacks"]
    site.vcs.commit(site.devel, {"devel": "1\n"}, f"[rollback={merge + 1}] Take back the back-out.")
    assert judge(5, {1: ["qa-bad"]})["evidence"] == ["devel has db-stable 5 already: there is nothing to merge"]


def test_a_number_that_names_another_revision_now(judge: Callable[..., dict[str, Any]], site: Site) -> None:
    answer = judge(4, {}, revid=site.revids[5])
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-pin-moved  db-stable 4 is not {site.revids[5]} any more")
    assert "Nothing was merged" in answer["msg"]


def test_nothing_is_pinned_yet(call: Callable[..., dict[str, Any]]) -> None:
    answer = call("pinned_qa", revision=0, revid="", bug_tags={})
    assert answer["msg"].startswith("E-not-settled  No revision is pinned yet.\n  Nothing was merged.")


def test_bad_arguments(judge: Callable[..., dict[str, Any]], site: Site) -> None:
    assert judge(5, {}, db_stable="/nowhere")["msg"].startswith(f"E-{site.vcs.kind}  ")
    assert judge(5, {}, devel="-x")["msg"].startswith("E-bad-branch  devel is '-x'")
    expected = "E-bad-argument  bug_tags: 1: 'qa-ok'; expected a bug number and a list of tags"
    assert judge(5, {1: "qa-ok"})["msg"].startswith(expected)  # type: ignore[dict-item]
