"""Database time on production (R2, R9): the rule by numbers, and staging restore logs of every era."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.schema import budget
from plugins.module_utils.rollout_core.schema.budget import Budget, NoTimings, UnreadLine
from plugins.module_utils.rollout_core.schema.patches import PatchName

HERE = Path(__file__).parent


def table(name: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in yaml.safe_load((HERE / name).read_text())]


@pytest.mark.parametrize("case", table("estimates.yml"))
def test_estimate(case: dict[str, Any]) -> None:
    rule = Budget(case.get("window", 90), case.get("factor", 2), case.get("plus", 10))
    staging = case["staging"]
    seconds = [staging["seconds"]] * staging["times"] if isinstance(staging, dict) else staging
    assert rule.estimate(seconds) == case["estimate"]
    assert rule.fits(rule.estimate(seconds)) is case["fits"]


def test_steps_are_the_patches_and_the_pad() -> None:
    steps = Budget(90, 2, 10).steps({"patch-2208-30-0.sql": 70.5, "patch-2208-31-0.sql": 0.1})
    assert steps == [
        {"step": "patch-2208-30-0.sql", "seconds": 141.0},
        {"step": "patch-2208-31-0.sql", "seconds": 0.2},
        {"step": "pad", "seconds": 600.0},
    ]


@pytest.mark.parametrize("case", table("logs.yml"))
def test_log(case: dict[str, Any]) -> None:
    if "nothing" in case:
        with pytest.raises(NoTimings) as error:
            budget.last_restore(case["log"])
        assert case["nothing"] in str(error.value)
        return
    if "unread" in case:
        with pytest.raises(UnreadLine) as refused:
            budget.last_restore(case["log"])
        assert case["unread"] in str(refused.value)
        return
    restore = budget.last_restore(case["log"])
    assert restore.seconds == {f"patch-{number}.sql": seconds for number, seconds in case["patches"].items()}
    assert restore.line == case.get("line", restore.line)
    assert "at" not in case or restore.at == case["at"]


def test_real_log_of_a_dry_run() -> None:
    restore = budget.last_restore((HERE / "upgrade_dry_run.log").read_text())
    assert restore.seconds == {"patch-2211-01-1.sql": 0.0, "patch-2211-02-0.sql": 1.4, "patch-2211-04-0.sql": 0.3}


def test_real_log_of_an_upgrade_that_was_rolled_back() -> None:
    with pytest.raises(NoTimings, match=r"patch-2211-03-0\.sql failed to update LaunchpadDatabaseRevision correctly"):
        budget.last_restore((HERE / "full_update_rolled_back.log").read_text())


def test_real_log_of_a_preflight_is_no_restore() -> None:
    with pytest.raises(NoTimings, match="no upgrade in it"):
        budget.last_restore((HERE / "preflight.log").read_text())


def test_real_logs_one_after_the_other_in_one_file() -> None:
    """The failed run is the last one, whatever stands before it."""
    dry_run, failed = ((HERE / name).read_text() for name in ("upgrade_dry_run.log", "full_update_rolled_back.log"))
    with pytest.raises(NoTimings, match="failed to update"):
        budget.last_restore(dry_run + failed)
    assert budget.last_restore(failed + dry_run).seconds["patch-2211-02-0.sql"] == 1.4


restores = st.dictionaries(
    st.builds(PatchName, st.just(2208), st.integers(0, 98), st.integers(0, 9)), st.integers(0, 9999), max_size=6
)


def written(restore: dict[PatchName, int], day: int, copies: int) -> str:
    """The log of one restore on a day of March 2011, seconds given in tenths, each line there `copies` times."""
    stamp = f"2011-03-{day:02d} 03:03:41 INFO    "
    lines = ["Applying trusted.sql", "Applying comments.sql", "2208-99-9 applied 2011-02-20 in 500.0 seconds"]
    lines += [f"{name.number} applied just now in {restore[name] / 10:.1f} seconds" for name in sorted(restore)]
    return "".join(f"{stamp}{line}\n" * copies for line in lines)


@given(st.lists(restores, min_size=1, max_size=4), st.integers(1, 2))
def test_only_the_last_restore_counts_and_once(past: list[dict[PatchName, int]], copies: int) -> None:
    log = "".join(written(restore, day, copies) for day, restore in enumerate(past, start=1))
    expected = {str(name): tenths / 10 for name, tenths in past[-1].items()}
    assert budget.last_restore(log).seconds == expected


@given(st.text(), st.text("2208-30 appliedjustnowinseconds.:\n", max_size=200))
def test_no_log_is_too_strange(head: str, tail: str) -> None:
    with suppress(NoTimings):
        budget.last_restore(head + tail)


@given(st.lists(st.integers(0, 50_000)), st.lists(st.integers(0, 50_000)))
def test_more_patches_never_take_less(some: list[int], more: list[int]) -> None:
    rule = Budget(90, 2, 10)
    assert rule.estimate(x / 10 for x in some + more) >= rule.estimate(x / 10 for x in some)


@pytest.mark.parametrize("case", table("last_of.yml"))
def test_last_of_several_logs(case: dict[str, Any]) -> None:
    if "nothing" in case:
        with pytest.raises(NoTimings, match=case["nothing"]):
            budget.last_of(case["logs"])
        return
    name, restore = budget.last_of(case["logs"])
    assert (name, restore.seconds) == (case["log"], {f"patch-{number}.sql": s for number, s in case["patches"].items()})
