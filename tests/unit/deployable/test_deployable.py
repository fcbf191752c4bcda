"""QA state and the highest revision deployable as tip (R8): tables, and what must hold for every branch."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.merge import deployable

CASES = yaml.safe_load((Path(__file__).parent / "branches.yml").read_text())
OTHER = "  Or what is QA-ok today:  set rollout.pinned.revision to {} in the plan, and ./runbook.py run select"
PINS = yaml.safe_load((Path(__file__).parent / "pins.yml").read_text())


def revisions(branch: dict[int, str]) -> list[dict[str, Any]]:
    return [{"revno": revno, "message": message} for revno, message in branch.items()]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in CASES])
def test_branch(case: dict[str, Any]) -> None:
    found = deployable.assess(revisions(case["branch"]), case["bugs"])
    assert {verdict.revno: verdict.state for verdict in found.revisions} == case["states"]
    assert found.tip == max(case["branch"], default=None)
    assert (found.deployable, list(found.blocked_by)) == (case["deployable"], case.get("blocked_by", []))
    by_revno = {verdict.revno: verdict for verdict in found.revisions}
    for revno, part in case.get("why", {}).items():
        assert part in by_revno[revno].why
    for revno, blocker in case.get("blocked_as_tip", {}).items():
        assert by_revno[revno].blocked_by == blocker


@pytest.mark.parametrize("case", [pytest.param(case, id=case["case"]) for case in PINS])
def test_pin(case: dict[str, Any]) -> None:
    """What was pinned is judged again right before the merge."""
    refusal = deployable.pin_refusal(revisions(case["branch"]), case["bugs"], case["pinned"])
    if not case["says"]:
        assert refusal is None
        return
    assert refusal is not None
    lines = refusal.split("\n")
    assert lines[0] == f"E-pin-not-qa  db-stable {case['pinned']}, pinned, is not QA-ok any more."
    nothing_was_merged = lines.index("  Nothing was merged.")
    told, then = lines[1:nothing_was_merged], lines[nothing_was_merged + 1 :]
    assert then[0].endswith(":  ./runbook.py run")
    assert then[1:] == [OTHER.format(case["other"])] * (case["other"] is not None)
    assert told[-len(case["says"]) :] == case["says"]
    assert len(told) == len(case["says"]) or len(told) == deployable.TOLD_AT_MOST + 1


def test_json_form() -> None:
    branch = {10381: "[bug=1] x", 10382: "[bug=45419] x"}
    found = deployable.assess(revisions(branch), {"1": ["qa-ok"], "45419": ["qa-needstesting"]})
    assert json.loads(json.dumps(found.as_dict())) == {
        "tip": 10382,
        "deployable": 10381,
        "blocked_by": [10382],
        "revisions": [
            {"revno": 10381, "state": "ok", "why": "bug 1 is qa-ok"},
            {"revno": 10382, "state": "needstesting", "why": "bug 45419 is qa-needstesting"},
        ],
    }


def test_order_of_the_log_does_not_matter() -> None:
    listed = revisions({1: "[bug=1] x", 2: "[rollback=1] x", 3: "[bug=1] x"})
    assert deployable.assess(listed[::-1], {1: ["qa-bad"]}) == deployable.assess(listed, {1: ["qa-bad"]})


def test_the_same_revision_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        deployable.assess([{"revno": 1, "message": ""}, {"revno": 1, "message": ""}], {})


def test_twenty_thousand_revisions() -> None:
    """What can be asked without a clock: it ends, and with the right answer (the time is in bench/)."""
    pick = random.Random(7)  # noqa: S311
    branch = {
        revno: f"[rollback={pick.randrange(1, revno)}] x" if revno % 50 == 0 else f"[r=jml][bug={revno // 3}] x"
        for revno in range(1, 20_001)
    }
    bugs = {bug: ["qa-ok"] for bug in range(6_665)}
    assert deployable.assess(revisions(branch), bugs).deployable == 6_665 * 3 - 1


# A branch with each revision rolled back at most once, so that what is in can be said from the top down.
own_messages = st.sampled_from(
    ["[bug=1]", "[bug=2]", "[bug=3]", "[bug=4]", "[bug=1,3]", "[no-qa]", "[testfix]", "[r=jml]"]
)
bug_states = st.sampled_from(
    [["qa-ok"], ["qa-untestable"], ["qa-bad"], ["qa-needstesting"], ["qa-rcfixed"], [], ["qa-ok", "x"]]
)
bug_tags = st.fixed_dictionaries(dict.fromkeys((1, 2, 3, 4), bug_states))


@st.composite
def branches(draw: st.DrawFn) -> dict[int, str]:
    branch: dict[int, str] = {}
    free: set[int] = set()
    for revno in range(1, draw(st.integers(1, 14)) + 1):
        if free and draw(st.integers(0, 2)) == 0:
            target = draw(st.sampled_from(sorted(free)))
            free.remove(target)
            branch[revno] = f"[rollback={target}] Out."
        else:
            branch[revno] = draw(own_messages) + " x"
        free.add(revno)
    return branch


def deployable_tips(branch: dict[int, str], bugs: dict[int, list[str]]) -> list[int]:
    """The definition, read aloud and slowly: N such that every revision ≤ N is good, or out by a rollback ≤ N."""
    good_alone = {
        revno: deployable.assess([{"revno": revno, "message": message}], bugs).deployable == revno
        for revno, message in branch.items()
    }
    tips = []
    for tip in branch:
        out: set[int] = set()
        for revno in range(tip, 0, -1):
            if revno not in out and "rollback=" in branch[revno]:
                out.add(int(branch[revno].partition("=")[2].partition("]")[0]))
        if all(good_alone[revno] or revno in out for revno in range(1, tip + 1)):
            tips.append(tip)
    return tips


@given(branches(), bug_tags)
def test_deployable_is_its_definition(branch: dict[int, str], bugs: dict[int, list[str]]) -> None:
    found = deployable.assess(revisions(branch), bugs)
    tips = deployable_tips(branch, bugs)
    assert [verdict.revno for verdict in found.revisions if verdict.blocked_by is None] == tips
    assert found.deployable == (tips[-1] if tips else None)
    assert bool(found.blocked_by) == (found.deployable != found.tip)


@given(branches(), bug_tags)
def test_everything_up_to_the_deployable_is_good_there(branch: dict[int, str], bugs: dict[int, list[str]]) -> None:
    found = deployable.assess(revisions(branch), bugs)
    upto = {revno: message for revno, message in branch.items() if revno <= (found.deployable or 0)}
    states = [verdict.state for verdict in deployable.assess(revisions(upto), bugs).revisions]
    assert set(states) <= deployable.GOOD


@given(branches(), bug_tags, st.integers(1, 4))
def test_a_bug_that_becomes_ok_never_takes_anything_back(
    branch: dict[int, str], bugs: dict[int, list[str]], bug: int
) -> None:
    before = deployable.assess(revisions(branch), bugs)
    after = deployable.assess(revisions(branch), {**bugs, bug: ["qa-ok"]})
    assert (after.deployable or 0) >= (before.deployable or 0)


@given(branches(), bug_tags, st.sampled_from([1, 2, 3, 4]))
def test_what_lands_on_top_never_takes_what_is_below(
    branch: dict[int, str], bugs: dict[int, list[str]], bug: int
) -> None:
    """A landing that leaves the tags alone; one that resets its bug does, as it should."""
    grown = {**branch, len(branch) + 1: f"[bug={bug}] x"}
    before, after = (deployable.assess(revisions(each), bugs).deployable or 0 for each in (branch, grown))
    assert after >= before
