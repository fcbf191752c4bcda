"""Which failed tests `.ci/run` tries once more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.failed_again import why_not

A_TEST = "tests/modules/test_merge.py::test_one"


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        ([A_TEST], None),
        ([f"{A_TEST}[{number}]" for number in range(3)], None),
        ([f"{A_TEST}[{number}]" for number in range(4)], "4 tests failed, more than 3"),
        (["tests/modules/test_merge.py"], "could not be read: tests/modules/test_merge.py"),
        ([A_TEST, "tests/faults/test_moments.py::test[7]"], "never chance: tests/faults/test_moments.py::test[7]"),
        ([], "no test is on record"),
    ],
)
def test_few_tests_only(tmp_path: Path, failed: list[str], reason: str | None) -> None:
    record = tmp_path / "lastfailed"
    record.write_text(json.dumps(dict.fromkeys(failed, True)))
    said = why_not(record)
    assert said is None if reason is None else reason in (said or "")


def test_a_run_that_recorded_nothing_is_not_tried_again(tmp_path: Path) -> None:
    assert "no test is on record" in (why_not(tmp_path / "lastfailed") or "")
