"""What a merge and a back-out make of each other, told by content on real branches (R10, R17)."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.merge import messages, rc_mode
from tests.modules import git_branches
from tests.modules.both_branches import APP, BOTH, Site, patch
from tests.modules.both_branches import site as new_site

SCENARIOS = yaml.safe_load(Path(__file__).with_name("back_outs.yml").read_text(encoding="utf-8"))
FILES = {
    "patch 30": "database/schema/patch-2208-30-0.sql",
    "patch 31": "database/schema/patch-2208-31-0.sql",
    "app.py": "lib/lp/app.py",
    "app.py last line": "lib/lp/app.py",
    "README": "README",
}
LINES = {"app.py": 1, "app.py last line": 7}
in_both = pytest.mark.parametrize("system", BOTH, ids=lambda system: system.kind)


@pytest.fixture
def system() -> ModuleType:
    return git_branches


@pytest.fixture
def site(system: ModuleType, tmp_path: Path) -> Site:
    return new_site(system, tmp_path / "site")


def played(scenarios: list[dict[str, Any]]) -> list[Any]:
    """Every scenario in git, which is fast; those that ask what only an adapter can tell in the others too."""
    return [
        pytest.param(system, scenario, id=f"{system.kind}-{scenario['case']}")
        for system in BOTH
        for scenario in scenarios
        if system is git_branches or scenario.get("all")
    ]


def written(tree: Path, changes: dict[str, str | None]) -> dict[str, str | None]:
    """Changes in the words of back_outs.yml, as files."""
    files: dict[str, str | None] = {}
    for name, text in changes.items():
        path = FILES[name]
        if name in LINES:
            lines = (files.get(path) or (tree / path).read_text()).splitlines()
            lines[LINES[name]] = str(text)
            files[path] = "\n".join(lines) + "\n"
        else:
            files[path] = None if text is None else f"{text}\n"
    return files


def found(tree: Path, names: dict[str, str | None]) -> dict[str, str | None]:
    """What a tree holds, in the words of back_outs.yml."""
    there = {}
    for name in names:
        path = tree / FILES[name]
        text = path.read_text() if path.exists() else None
        if name in LINES and text is not None:
            text = text.splitlines()[LINES[name]]
        there[name] = "as it was" if text and text.startswith("CREATE TABLE t") else text and text.strip()
    return there


def tell(system: ModuleType, site: Site, story: list[dict[str, Any]]) -> None:
    for chapter in story:
        ((what, value),) = chapter.items()
        if what == "merge":
            system.merge_revision(site.devel, site.db_stable, value, f"Merge db-stable {value}.")
        elif what == "back_out":
            system.back_out(site.devel, value, f"Back out {value}.")
        else:
            tree = {"devel": site.devel, "db_stable": site.db_stable}[what]
            system.commit(tree, written(tree, value), "[r=jml][bug=9] A landing.")


@pytest.fixture
def merge(
    run_module: Callable[..., dict[str, Any]], system: ModuleType, site: Site, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`merge(revision, check=False, **arguments)` calls the module merge."""

    def call(revision: int, check: bool = False, **different: Any) -> dict[str, Any]:
        arguments = {
            "vcs": system.kind,
            "executable": system.client,
            "tree": str(site.pqm),
            "source": str(site.db_stable),
            "push_to": str(site.devel),
            "committer": "PQM <pqm@lab.example>",
        }
        given = {**arguments, "revision": revision, **different}
        return run_module("merge", given, check, env={"HOME": str(tmp_path)})

    return call


@pytest.fixture
def arguments(system: ModuleType, site: Site) -> dict[str, Any]:
    """What merge_back_out is told: devel's revision 3 is the merge."""
    return {
        "vcs": system.kind,
        "executable": system.client,
        "tree": str(site.pqm),
        "push_to": str(site.devel),
        "revno": 3,
        "what": "db-stable 4",
        "reason": "patch-2208-30-0 locks a table for minutes",
        "approver": "lab-lead",
        "committer": "PQM <pqm@lab.example>",
    }


@pytest.fixture
def back_out(
    run_module: Callable[..., dict[str, Any]], arguments: dict[str, Any], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """`back_out(revid, check=False, **arguments that differ)` calls the module."""

    def call(revid: str, check: bool = False, **different: Any) -> dict[str, Any]:
        given = {**arguments, "revid": revid, **different}
        return run_module("merge_back_out", given, check, env={"HOME": str(tmp_path)})

    return call


def state(system: ModuleType, site: Site) -> tuple[Any, ...]:
    tips = system.tip(site.devel), system.tip(site.pqm)
    return *tips, system.contents(site.pqm), system.status(site.pqm)


@pytest.mark.parametrize(("system", "scenario"), played(SCENARIOS))
def test_scenario(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, scenario: dict[str, Any]
) -> None:
    tell(system, site, scenario["story"])
    system.pull(site.pqm, site.devel)
    before = state(system, site)
    done = merge(scenario["merge"])
    if "refused" in scenario:
        assert done["msg"].startswith(scenario["refused"] + " "), done
        assert state(system, site) == before
        if scenario["refused"] == "E-taken-back":
            absent = [name for name, text in scenario["has"].items() if name.startswith("patch") and text is None]
            assert {FILES[name] for name in absent} <= set(done["taken_back"])
    else:
        assert not done["failed"], done["msg"]
        assert done["steps"][2:] == scenario["steps"]
        assert (done["revno"], done["revid"]) == (scenario["revno"], system.revision(site.devel, scenario["revno"]))
        again = merge(scenario["merge"])
        assert again["already_merged"], again
        assert (again["revno"], again["revid"]) == (done["revno"], done["revid"])
        assert system.status(site.pqm) == ""
        assert found(site.pqm, scenario["has"]) == scenario["has"]
    copy = system.branch(site.devel, site.pqm.parent / "seen")
    assert found(copy, scenario["has"]) == scenario["has"]


def test_check_mode_foretells_that_a_back_out_is_taken_back(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    tell(system, site, [{"merge": 2}, {"back_out": 3}])
    system.pull(site.pqm, site.devel)
    before = state(system, site)
    foretold = merge(4, check=True)
    assert state(system, site) == before
    done = merge(4)
    for key in ("steps", "files", "revno"):
        assert foretold[key] == done[key], key


def test_the_developer_puts_back_what_was_taken_out_by_hand(
    merge: Callable[..., dict[str, Any]], system: ModuleType, site: Site, tmp_path: Path
) -> None:
    tell(system, site, [{"merge": 4}, {"devel": {"patch 30": None}}])
    refused = merge(4)
    assert FILES["patch 30"] in refused["msg"]
    fix = system.branch(site.devel, tmp_path / "fix")
    system.commit(fix, patch("2208-30-0"), "Put the patch back.")
    done = merge(4, resolution=str(fix))
    assert done["revno"] == 5, done
    assert merge(4, resolution=str(fix))["already_merged"]
    assert merge(4)["already_merged"]
    assert found(site.pqm, {"patch 30": ""}) == {"patch 30": "as it was"}


@in_both
def test_backs_out_exactly_the_merge_and_what_landed_later_stays(
    merge: Callable[..., dict[str, Any]], back_out: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    before = system.contents(site.pqm)
    merged = merge(4)
    fix = system.branch(site.devel, site.pqm.parent / "fix")
    system.commit(fix, written(fix, {"app.py last line": "mended", "README": "later"}), "[r=jml][bug=8] A fix.")
    system.push(fix, site.devel)
    foretold = back_out(merged["revid"], check=True)
    done = back_out(merged["revid"])
    assert done["changed"], done["msg"]
    assert done["steps"][-3:] == ["back out 3", "commit", "push"]
    assert (foretold["steps"], foretold["files"], foretold["revno"]) == (done["steps"], done["files"], done["revno"])
    assert done["revno"] == 5
    assert done["revid"] == system.revision(site.devel, 5)
    assert system.contents(site.pqm) == {
        **before,
        **written(fix, {"README": "later", "app.py last line": "mended"}),
        "lib/lp/app.py": APP.replace("eight", "mended"),
    }
    again = back_out(merged["revid"])
    assert again["already_backed_out"]
    assert (again["revno"], again["revid"]) == (5, done["revid"])
    # RC mode lets it land, and QA takes the merge for rolled back.
    message = system.message(site.pqm, done["revid"])
    assert rc_mode.check(message, in_rc_mode=True).lands
    assert rc_mode.check(message, in_rc_mode=False).lands
    assert messages.parse(message).rollbacks == (3,)


@in_both
def test_a_later_landing_in_the_same_place_is_a_conflict_and_nothing_is_left_behind(
    back_out: Callable[..., dict[str, Any]], system: ModuleType, site: Site, tmp_path: Path
) -> None:
    tell(system, site, [{"merge": 4}, {"devel": {"app.py": "two, mended"}}])
    system.pull(site.pqm, site.devel)
    (site.pqm / "note").write_text("nobody versioned this\n")
    before = state(system, site)
    refused = back_out(system.revision(site.devel, 3))
    assert refused["msg"].startswith(
        "E-back-out-conflict  devel could not give back the undoing of revision 3: 1 file "
    )
    assert [conflict["path"] for conflict in refused["conflicts"]] == ["lib/lp/app.py"]
    assert state(system, site) == before
    reproduce = re.search(r"A developer reproduces it: +(.+)", refused["msg"])
    assert reproduce
    command = ["/bin/sh", "-c", reproduce.group(1)]
    pasted = subprocess.run(command, cwd=tmp_path, env=system.ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "onflict in lib/lp/app.py" in pasted.stdout + pasted.stderr


@pytest.mark.parametrize("verb", ["commit", "push"])
def test_killed_before_a_step_the_next_back_out_does_what_is_left(
    start_module: Callable[..., Any],
    back_out: Callable[..., dict[str, Any]],
    arguments: dict[str, Any],
    system: ModuleType,
    site: Site,
    tmp_path: Path,
    verb: str,
) -> None:
    tell(system, site, [{"merge": 4}])
    system.pull(site.pqm, site.devel)
    wrapped = tmp_path / "wrapped"
    wrapped.write_text(
        f'#!/bin/sh\ncase " $* " in *" {verb} -q "*) kill -9 $PPID; exit 9;; esac\nexec {system.client} "$@"\n'
    )
    wrapped.chmod(0o755)
    crashing = {**arguments, "revid": system.revision(site.devel, 3), "executable": str(wrapped)}
    assert start_module("merge_back_out", crashing).process.wait(60) == -signal.SIGKILL
    assert system.tip(site.devel)[0] == 3
    done = back_out(crashing["revid"])
    assert done["steps"][2:] == (["push"] if verb == "push" else ["back out 3", "commit", "push"])
    assert system.tip(site.devel) == (4, done["revid"])
    assert system.status(site.pqm) == ""


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"revno": 2}, "E-no-such-merge "),
        ({"revid": "0" * 40}, "E-no-such-merge "),
        ({"revid": "-d"}, "E-bad-revid "),
        ({"reason": "it [was] bad"}, "E-bad-reason "),
        ({"reason": "two\nlines"}, "E-bad-reason "),
        ({"reason": " "}, "E-bad-reason "),
        ({"approver": "the lead"}, "E-bad-approver "),
        ({"push_to": "--overwrite"}, "E-bad-branch "),
    ],
)
def test_what_cannot_be_is_refused(
    back_out: Callable[..., dict[str, Any]], system: ModuleType, site: Site, wrong: dict[str, Any], says: str
) -> None:
    tell(system, site, [{"merge": 4}])
    before = state(system, site)
    refused = back_out(**{"revid": system.revision(site.devel, 3), **wrong})
    assert refused["msg"].startswith(says)
    assert state(system, site) == before


def test_what_is_no_merge_is_not_backed_out(
    back_out: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    assert back_out(system.revision(site.devel, 2), revno=2)["msg"].startswith("E-no-merge ")


def test_a_merge_that_took_a_back_out_back_is_backed_out_with_it(
    merge: Callable[..., dict[str, Any]], back_out: Callable[..., dict[str, Any]], system: ModuleType, site: Site
) -> None:
    before = system.contents(site.pqm)
    tell(system, site, [{"merge": 2}, {"back_out": 3}])
    system.pull(site.pqm, site.devel)
    merged = merge(4)
    assert merged["revno"] == 6
    took_back = system.message(site.pqm, merged["parents"][0])
    assert rc_mode.check(took_back, in_rc_mode=True).lands
    assert messages.parse(took_back).rollbacks == (4,)
    done = back_out(merged["revid"], revno=6)
    assert done["steps"][2:] == ["back out 6", "commit", "back out 5", "commit", "push"]
    assert system.contents(site.pqm) == before
    assert back_out(merged["revid"], revno=6)["already_backed_out"]
    again = merge(4)
    assert again["steps"][2:] == ["take back the back-out 7", "commit", "take back the back-out 8", "commit", "push"]
    assert found(site.pqm, {"patch 30": "", "app.py": ""}) == {"patch 30": "as it was", "app.py": "two of db-stable"}
    assert back_out(again["revid"], revno=again["revno"])["revno"] == 12
    assert system.contents(site.pqm) == before
