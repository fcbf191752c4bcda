"""What qastaging tells: each schema change in a line (R14), and the outage's next estimate (R9), as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.schema import estimate as remeasure
from plugins.module_utils.rollout_core.schema.budget import Budget
from plugins.module_utils.rollout_core.schema.patch_title import LONGEST, patch_title

HERE = Path(__file__).parent
SCHEMA = HERE.parents[2] / "lab" / "data" / "schema"
RULE = Budget(90, 2, 10)
SECONDS = st.floats(0, 5000).map(lambda seconds: round(seconds, 3))


def table(name: str) -> list[Any]:
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


def steps(seconds: dict[str, float]) -> list[dict[str, Any]]:
    return [{"step": step, "seconds": float(value)} for step, value in seconds.items()]


@pytest.mark.parametrize("row", table("titles.yml"))
def test_title(row: dict[str, Any]) -> None:
    assert patch_title(row["text"]) == row["title"]


@given(st.text(alphabet="-/*\n aS;'$ET", max_size=40))
def test_a_title_is_one_line_and_says_something(text: str) -> None:
    title = patch_title(text)
    assert 0 < len(title) <= LONGEST
    assert len(title.splitlines()) == 1


def test_the_labs_patches_have_titles() -> None:
    titles = [patch_title(path.read_text()) for path in sorted(SCHEMA.glob("patch-*.sql"))]
    assert len(set(titles)) == len(titles) > 4
    assert titles[0].startswith("Remember when a bug task was triaged")


@pytest.mark.parametrize("row", table("estimates.yml"))
def test_estimate(row: dict[str, Any]) -> None:
    earlier = steps({**row["earlier"], "pad": 600}) if row["earlier"] else []
    known = sum(step["seconds"] for step in earlier) or row["guess"]
    estimate = remeasure.next_estimate(["a", "b", "c"], row["measured"], earlier, known, RULE)
    assert estimate.evidence == row["says"]
    assert estimate.steps == (steps(row["steps"]) if "steps" in row else None)


@given(st.dictionaries(st.sampled_from("abc"), SECONDS), st.fixed_dictionaries(dict.fromkeys("abc", SECONDS)))
def test_what_was_measured_is_doubled_and_the_rest_is_as_it_was(
    measured: dict[str, float], earlier: dict[str, float]
) -> None:
    estimate = remeasure.next_estimate("abc", measured, steps({**earlier, "pad": 600}), sum(earlier.values()), RULE)
    if not measured:
        assert estimate.steps is None
        return
    assert estimate.steps is not None
    found = {step["step"]: step["seconds"] for step in estimate.steps}
    wanted = {name: round(2 * measured[name], 3) if name in measured else earlier[name] for name in "abc"}
    assert found == {**wanted, "pad": 600.0}


def test_only_what_was_applied_from_the_merge_counts() -> None:
    rows = [
        {"patch": "a", "seconds": 1.0, "revid": "merge"},
        {"patch": "b", "seconds": 2.0, "revid": "last month"},
        {"patch": "c", "seconds": None, "revid": "merge"},
        {"patch": "d", "seconds": 4.0, "revid": None},
    ]
    applied = [{"patch": "a", "seconds": 1.5}, {"patch": "d", "seconds": 4.1}, {"patch": "e", "seconds": None}]
    assert remeasure.measured(rows, [], "merge") == {"a": 1.0}
    assert remeasure.measured(rows, applied, "merge") == {"a": 1.5, "d": 4.1}
