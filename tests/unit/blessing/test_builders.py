"""Whether Buildbot's builders bless the merge (R11): one builder's facts → what it says; what all come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import builders
from plugins.module_utils.rollout_core.merge.blessing import (
    Blessing,
    BlessingQuestion,
    CheckVerdict,
    Failed,
    Limits,
    Merged,
    Spurious,
    duration,
    reports,
    spurious,
)
from plugins.module_utils.rollout_core.merge.blessing import judge as judge_all
from plugins.module_utils.rollout_core.merge.builds import RESULTS, Builder, builds_of

HERE = Path(__file__).parent
MERGED = Merged(10, "pqm@x-20261207-r10", "devel")
PATTERNS = [Spurious("stale process", 612345), Spurious("timed out", 7, ("lucid_db_lp",))]
QUESTION = BlessingQuestion(MERGED, PATTERNS, Limits(reruns=2, start_seconds=600), now=1000, begun=1000)
URL = "https://buildbot.example.com/#/builders/3"


def table(name: str) -> list[Any]:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def rest(number: int, revision: Any, branch: str, started: float, ended: float | None, result: str | None) -> dict:
    """A build as Buildbot's REST API gives it."""
    asked, _, got = str(revision).partition("=")
    properties = {"revision": [asked, "Build"], "branch": [branch, "Build"], "got_revision": [got, "Git"]}
    if not got:
        del properties["got_revision"]
    return {
        "buildid": number,
        "number": number,
        "complete": ended is not None,
        "properties": properties,
        "started_at": started,
        "complete_at": ended,
        "results": RESULTS.index(result) if result else None,
    }


def judge(found: list[Builder], question: BlessingQuestion) -> Blessing:
    return judge_all([builders.verdict(builder, question) for builder in found])


def verdict(case: dict) -> CheckVerdict:
    builds = [rest(*build) for build in case.get("builds", [])]
    lines = tuple(case.get("failed", "").splitlines())
    failed = {builds[0]["number"]: [Failed("test", lines)]} if lines else {}
    builder = Builder("lucid_lp", URL, builds, case.get("requests", ()), case.get("workers", ()), failed)
    already = {("lucid_lp", str(number)): 1500.0 for number in case.get("already", ())}
    question = replace(QUESTION, now=case["now"], rerun=already)
    (found,) = judge([builder], question).verdicts
    return found


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in table("builders.yml")])
def test_verdict(case):
    found = verdict(case)
    assert found.state == case["state"], found.said
    for name in ("said", "steady", "expected", "bug", "reruns"):
        if name in case:
            assert getattr(found, name) == case[name]
    assert found.url == (f"{URL}/builds/{found.called}" if found.called else URL)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in table("revisions.yml")])
def test_revision(case):
    said = {"revision": case.get("asked"), "got_revision": case.get("got"), "branch": case.get("branch")}
    properties = {name: [value, "Build"] for name, value in said.items() if value is not None}
    build = {"number": 1, "properties": properties}
    assert builds_of(Builder("lucid_lp", builds=[build]), Merged(*case["merged"])) == ([build] if case["is"] else [])


@pytest.mark.parametrize(("seconds", "expected", "text"), table("durations.yml"))
def test_duration(seconds, expected, text):
    assert duration(seconds, expected) == text


STATES = {  # a builder's facts that come to each state
    "green": {"builds": [rest(7, 10, "devel", 1100, 1200, "success")]},
    "running": {"builds": [rest(7, 10, "devel", 1100, None, None)]},
    "pending": {"requests": [{"revision": "10", "branch": "devel", "submitted_at": 1290}], "workers": [{}]},
    "never_started": {"builds": [rest(7, 11, "devel", 1100, 1200, "success")]},
    "spurious": {"builds": [rest(7, 10, "devel", 1100, 1200, "cancelled")]},
    "red": {"builds": [rest(7, 10, "devel", 1100, 1200, "failure")]},
}


def test_the_facts_of_each_state_are_right():
    now = replace(QUESTION, now=1700.0)
    found = {name: judge([Builder("b", **facts)], now).verdicts[0].state for name, facts in STATES.items()}
    assert found == {name: name for name in STATES}


@given(st.lists(st.sampled_from(sorted(STATES)), min_size=1, max_size=5))
def test_all_builders_must_bless_it(states):
    """Green everywhere is blessed; one that cannot be any more is red at once; only then is anything run again."""
    found = [Builder(f"b{number}", **STATES[state]) for number, state in enumerate(states)]
    blessing = judge(found, replace(QUESTION, now=1700.0))
    if {"red", "never_started"} & set(states):
        assert blessing.state == "red"
    elif "spurious" in states:
        assert blessing.state == "rerun"
    else:
        assert blessing.state == ("blessed" if set(states) == {"green"} else "wait")


def test_no_builder_blesses_nothing():
    assert judge([], QUESTION).state == "wait"


def test_the_line_and_the_step_of_the_story():
    found = [
        Builder("lucid_lp", URL, [rest(7, 10, "devel", 1000, 15520, "success")]),
        Builder("lucid_db_lp", URL, [rest(4, 10, "devel", 1000, None, None), rest(3, 9, "devel", 0, 15000, "success")]),
    ]
    blessing = judge(found, replace(QUESTION, now=14260))
    assert blessing.line == "lucid_lp ✓ 4:02 h · lucid_db_lp running 3:41 of about 4:10 h"
    assert blessing.step == "lucid_lp ✓ · lucid_db_lp running, about 4:10 h"
    assert blessing.step == judge(found, replace(QUESTION, now=14261)).step


REPORTS = st.lists(st.sampled_from(["FAIL: test_a", "Error in test b", "stale process", "timed out", "text"]))


@given(REPORTS)
def test_a_failure_is_spurious_if_every_report_in_it_is_known(lines):
    known = spurious("lucid_lp", [Failed("test", tuple(lines))], PATTERNS)
    assert (known is not None) == all("stale process" in report for report in reports(lines))


@given(REPORTS)
def test_a_longer_log_than_was_read_is_never_spurious(lines):
    assert spurious("lucid_lp", [Failed("test", ("stale process", *lines), whole=False)], PATTERNS) is None


def test_every_failed_step_must_be_known():
    known, other = Failed("test", ("stale process",)), Failed("lint", ("E501",))
    assert spurious("lucid_lp", [known], PATTERNS) == PATTERNS[0]
    assert spurious("lucid_lp", [known, other], PATTERNS) is None
    assert spurious("lucid_lp", [], PATTERNS) is None
