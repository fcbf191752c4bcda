"""What check runs and commit statuses come to (R11): the runs of one name → its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import checks
from plugins.module_utils.rollout_core.merge.blessing import BlessingQuestion, Failed, Limits, Merged, Spurious, judge
from plugins.module_utils.rollout_core.merge.checks import CheckFacts, CheckRun

CASES = yaml.safe_load((Path(__file__).parent / "checks.yml").read_text(encoding="utf-8"))
WORDS = sorted(checks.GREEN | checks.RED | checks.CUT | checks.NEITHER | checks.RUNNING | checks.QUEUED)


def question(now: float, **more: Any) -> BlessingQuestion:
    limits = Limits(reruns=2, start_seconds=600)
    return BlessingQuestion(Merged(12, "a" * 40), [Spurious("stale process", 7)], limits, now=now, begun=1000, **more)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_verdict(case):
    runs = [CheckRun("test", **{"run": "1", **each, "order": (each.get("run", 1),)}) for each in case["runs"]]
    runs = [CheckRun(**{**vars(run), "run": str(run.run)}) for run in runs]
    runs += [CheckRun(name, "success") for name in case.get("others", ())]
    failed = {(run.source, run.run): [Failed("job", tuple(case.get("failed", "").splitlines()))] for run in runs}
    rerun = {("test", run): at for run, at in case.get("already", ())}
    found = checks.verdict(
        "test", CheckFacts(runs, failed), question(case["now"], rerun=rerun, accepts=case.get("accepts", ()))
    )
    assert found.state == case["state"], found.said
    for name in ("said", "steady", "bug", "reruns"):
        if name in case:
            assert getattr(found, name) == case[name]


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_only_a_newest_success_is_green_and_all_must_be(words):
    runs = [CheckRun(f"c{number}", word, run="1") for number, word in enumerate(words)]
    names = [f"c{number}" for number in range(len(words))]
    found = judge([checks.verdict(name, CheckFacts(runs), question(1100)) for name in names])
    assert (found.state == "blessed") == (bool(words) and set(words) == {"success"})
