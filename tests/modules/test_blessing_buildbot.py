"""The blessing module on a real Buildbot master with real builds of real revisions (R11)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.layout import BUILDERS
from tests.modules.buildbot_master import Master, wait_for

SPURIOUS = [{"pattern": r"Could not kill stale process of librarian\.pid", "bug": 612345}]
Look = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    made = Master(tmp_path_factory.mktemp("buildbot"))
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def look(master: Master, run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Look:
    """`look(merge, check=False, **options)`: one look at the merge; `begun` stays the same for a test."""
    common = {
        "url": master.lab.buildbot_url,
        "checks": list(BUILDERS),
        "branch": "devel",
        "spurious": SPURIOUS,
        "waits_hours": 1,
        "start_minutes": 10,
        "down_minutes": 10,
        "begun": time.time(),
        "user": "losa",
        "password": master.password,
        "record": str(tmp_path / "blessing.json"),
    }

    def run(merge: dict[str, Any], *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run_module("blessing", {**common, **merge, **options}, check)

    return run


def failed(result: dict[str, Any], name: str) -> str:
    assert result["failed"], result
    assert result["msg"].startswith(f"{name}  "), result["msg"]
    return result["msg"]


def test_green_on_every_builder(master: Master, look: Look) -> None:
    merge = master.push()
    master.wait_for_builds(merge)
    result = look(merge)
    assert not result["failed"], result
    assert (result["finished"], result["state"], result["changed"]) == (True, "blessed", False)
    assert [(each["check"], each["reruns"]) for each in result["blessed"]] == [(name, 0) for name in BUILDERS]
    for each in result["blessed"]:
        (build,) = master.builds(each["check"], merge)
        assert build["properties"]["got_revision"][0] == merge["revid"]
        assert each["run"] == str(build["number"])
        assert each["seconds"] == build["complete_at"] - build["started_at"]
        assert each["url"] == f"{master.lab.buildbot_url}#/builders/{build['builderid']}/builds/{build['number']}"
    assert result["evidence"] == [result["line"]]

    again = look(merge)
    assert (again["state"], again["changed"], again["rerun"]) == ("blessed", False, [])
    assert all(len(master.builds(name, merge)) == 1 for name in BUILDERS)


def test_red_with_the_last_words_of_the_failing_step(master: Master, look: Look) -> None:
    merge = master.push(schema="CREATE TABLE Other (id serial);\n")  # without its row
    master.wait_for_builds(merge)
    result = look(merge)
    message = failed(result, "E-check-failed")
    (build,) = master.builds("lucid_db_lp", merge)
    assert message.splitlines()[0] == f"E-check-failed  lucid_db_lp did not bless devel r{merge['revno']}."
    url = f"{master.lab.buildbot_url}#/builders/{build['builderid']}/builds/{build['number']}"
    assert f"  lucid_db_lp ✗ test failed   {url}" in message
    assert "AssertionError: Regex didn't match" in message
    assert "FAILED (failures=1)" in message
    assert "[testfix]" in message
    assert "[release-critical=NAME]" in message
    assert "./runbook.py run blessing" in message
    assert (result["finished"], result["changed"], result["facts"]["rerun"]) == (True, False, [])
    assert [each["check"] for each in result["facts"]["blessed"]] == ["lucid_lp"]
    assert len(master.builds("lucid_db_lp", merge)) == 1


def test_spurious_is_forced_again_and_on_record(master: Master, look: Look) -> None:
    master.leave_stale_pid("lucid_db_lp")
    merge = master.push()
    master.wait_for_builds(merge)
    first = master.builds("lucid_db_lp", merge)[0]

    before = time.time()
    tried = look(merge, check=True)
    assert (tried["state"], tried["changed"], tried["rerun"]) == ("rerun", False, [])
    assert len(master.builds("lucid_db_lp", merge)) == 1

    begun = look(merge, begun=None)
    assert (begun["state"], begun["changed"], begun["finished"]) == ("rerun", True, False)
    assert before <= begun["begun"] <= time.time()
    assert begun["progress"]["step"] == "lucid_lp ✓ · lucid_db_lp run again (spurious, bug 612345)"
    master.wait_for_builds(merge, 2, ("lucid_db_lp",))

    result = look(merge)
    assert result["state"] == "blessed", result
    assert {each["check"]: each["reruns"] for each in result["blessed"]} == {"lucid_lp": 0, "lucid_db_lp": 1}
    url = f"{master.lab.buildbot_url}#/builders/{first['builderid']}/builds/{first['number']}"
    why = "spurious, bug 612345"
    told = {"check": "lucid_db_lp", "run": str(first["number"]), "url": url, "why": why, "bug": 612345}
    assert result["rerun"] == [told]
    assert result["evidence"][1:] == [f"lucid_db_lp {first['number']} {why}: run again ({url})"]
    assert look(merge)["changed"] is False


def test_the_limit_of_forcing_is_kept_by_a_later_run_too(master: Master, look: Look, tmp_path: Path) -> None:
    master.leave_stale_pid("lucid_lp")
    merge = master.push()
    master.wait_for_builds(merge)
    assert look(merge, reruns=1)["changed"]
    master.leave_stale_pid("lucid_lp")
    wait_for(lambda: len(master.builds("lucid_lp", merge)) == 2, "the second build")
    wait_for(lambda: master.builds("lucid_lp", merge)[1]["complete"], "its end")
    if master.builds("lucid_lp", merge)[1]["results"] == 0:
        pytest.fail("the second build took no notice of the stale pid")
    message = failed(look(merge, reruns=1, record=str(tmp_path / "another.json")), "E-check-failed")
    assert "lucid_lp ✗ spurious, bug 612345, and run 2 times already" in message
    assert "stale process" in message
    assert len(master.builds("lucid_lp", merge)) == 2


def test_a_cancelled_build_is_forced_again(master: Master, look: Look) -> None:
    with master.busy("lucid_lp"):
        merge = master.push()
        build = wait_for(lambda: master.builds("lucid_lp", merge), "the build to begin")[0]
        master.rest.control(f"builds/{build['buildid']}", "stop", reason="a test")
        master.wait_for_builds(merge)
    result = look(merge)
    assert (result["changed"], result["rerun"][0]["why"]) == (True, "ended as cancelled")
    assert result["rerun"][0]["bug"] is None
    master.wait_for_builds(merge, 2, ("lucid_lp",))
    assert look(merge)["state"] == "blessed"


def test_slow_is_shown_and_waited_for(master: Master, look: Look) -> None:
    with master.busy("lucid_db_lp"):
        merge = master.push()
        master.wait_for_builds(merge, builders=("lucid_lp",))
        wait_for(lambda: master.builds("lucid_db_lp", merge), "the build to begin")
        result = look(merge)
        assert (result["finished"], result["state"]) == (False, "wait")
        assert "lucid_db_lp running " in result["line"]
        assert result["progress"]["step"].startswith("lucid_lp ✓ · lucid_db_lp running")
        build = master.builds("lucid_db_lp", merge)[0]
        assert 0 <= result["progress"]["running_seconds"] <= time.time() - build["started_at"]

        assert look(merge, check=True)["finished"], "in check mode nothing is waited for"
        message = failed(look(merge, waits_hours=0), "E-blessing-late")
        assert "lucid_db_lp running " in message
        assert message.endswith("./runbook.py run blessing")
    master.wait_for_builds(merge)
    assert look(merge)["state"] == "blessed"


def test_never_started(master: Master, look: Look) -> None:
    with master.paused("lucid_db_lp"):
        merge = master.push()
        master.wait_for_builds(merge, builders=("lucid_lp",))
        waits = look(merge)
        assert waits["state"] == "wait"
        assert waits["progress"]["step"] == "lucid_lp ✓ · lucid_db_lp not started: its workers are paused"
        message = failed(look(merge, start_minutes=0), "E-check-not-started")
        assert "lucid_db_lp ✗ not started after " in message
        assert f"its workers are paused   {master.lab.buildbot_url}#/builders/" in message
    master.wait_for_builds(merge)
    assert look(merge)["state"] == "blessed"


def test_a_later_revision_is_told_and_blesses_nothing(master: Master, look: Look) -> None:
    with master.paused("lucid_db_lp"):
        merge = master.push()
        master.wait_for_builds(merge, builders=("lucid_lp",))
        later = master.push()  # Buildbot drops the request that waits, in favour of this one
        master.wait_for_builds(later, builders=("lucid_lp",))
    master.wait_for_builds(later)
    assert master.builds("lucid_db_lp", merge) == []
    message = failed(look(merge, start_minutes=0), "E-check-not-started")
    assert f"it has built r{later['revno']}, and never r{merge['revno']} itself" in message
    assert look(later)["state"] == "blessed"


def test_master_down_and_back(master: Master, look: Look, tmp_path: Path) -> None:
    master.stop()
    try:
        merge = master.push()
        away = look(merge)
        assert (away["finished"], away["state"]) == (False, "down")
        expected = f"{master.lab.buildbot_url} does not answer: Connection refused"
        assert away["line"] == away["progress"]["step"] == expected
        since = json.loads((tmp_path / "blessing.json").read_text())["down_since"]
        assert look(merge)["progress"]["running_seconds"] > 0
        assert look(merge, begun=time.time() + 60)["progress"]["running_seconds"] == 0, "a later run waits anew"
        assert json.loads((tmp_path / "blessing.json").read_text())["down_since"] == since
        message = failed(look(merge, down_minutes=0), "E-ci-down")
        assert expected in message
    finally:
        master.start()
    master.wait_for_builds(merge)
    assert look(merge)["state"] == "blessed"
    assert json.loads((tmp_path / "blessing.json").read_text())["down_since"] is None


def test_who_may_not_force_is_told(master: Master, look: Look) -> None:
    master.leave_stale_pid("lucid_lp")
    merge = master.push()
    master.wait_for_builds(merge)
    for who, name in ({"user": ""}, "nobody"), ({"password": "mistyped-secret"}, "losa"):
        result = look(merge, **who)
        assert f"Buildbot does not let {name} force a build: " in failed(result, "E-ci-refused")
        assert "blessing_password" in result["msg"]
        assert "mistyped-secret" not in json.dumps(result)
    assert len(master.builds("lucid_lp", merge)) == 1


def test_a_builder_that_is_not_there(look: Look) -> None:
    message = failed(look({"revno": 1, "revid": "x"}, checks=["lucid_lp", "hardy_lp"]), "E-ci-refused")
    assert "has no builder hardy_lp; it has lucid_db_lp, lucid_lp" in message


def test_a_pattern_that_is_none(look: Look) -> None:
    result = look({"revno": 1, "revid": "x"}, spurious=[{"pattern": "(", "bug": 7}])
    assert "the pattern '(' of bug 7 is wrong: " in failed(result, "E-ci-refused")


def test_something_else_at_the_address(master: Master, look: Look) -> None:
    merge = {"revno": 1, "revid": "x"}
    message = failed(look(merge, url=master.lab.buildbot_url + "elsewhere"), "E-ci-refused")
    assert "elsewhere/api/v2/builders" in message
