"""Undo files: what is sound, what takes data away, what a try on a copy says of each patch (R17)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.module_utils.rollout_core.schema import patches, undo_files
from plugins.module_utils.rollout_core.schema.patches import PatchName
from plugins.module_utils.rollout_core.schema.undo_files import UndoName

HERE = Path(__file__).parent
NAME = UndoName(2208, 30, 0)


def table(name: str, key: str) -> list[Any]:
    return [pytest.param(row, id=row[key]) for row in yaml.safe_load((HERE / name).read_text())]


@pytest.mark.parametrize("row", table("checks.yml", "case"))
def test_check(row: dict[str, Any]) -> None:
    found = undo_files.check(NAME, row["text"])
    assert len(found) == len(row["says"]), found
    for problem, begins in zip(found, row["says"], strict=True):
        assert problem.startswith(f"{NAME}{begins}" if begins.startswith(":") else f"{NAME}: {begins}")


@pytest.mark.parametrize("row", table("losses.yml", "statement"))
def test_losses(row: dict[str, Any]) -> None:
    found = undo_files.losses(NAME, f"-- What it does.\nSELECT 1;\n{row['statement']};\n")
    assert found == ([f"{NAME}:3: {row['statement']}"] if row["loses"] else [])


def test_the_latest_patch_is_undone_first() -> None:
    names = ["patch-2208-30-0.sql", "patch-2209-01-0.sql", "patch-2208-58-1.sql"]
    assert [str(name) for name in undo_files.in_order(names)] == [
        "patch-2209-01-0.undo.sql",
        "patch-2208-58-1.undo.sql",
        "patch-2208-30-0.undo.sql",
    ]
    with pytest.raises(ValueError, match="is not the name of a schema patch"):
        undo_files.in_order(["patch-2208-30-0.undo.sql"])


def test_an_undo_file_is_no_patch() -> None:
    files = ["patch-2208-30-0.sql", "patch-2208-30-0.undo.sql", "patch-2208-97.0.undo.sql"]
    assert patches.pending(files, []) == ([PatchName(2208, 30, 0)], ["patch-2208-97.0.undo.sql"])


@pytest.mark.parametrize(
    ("before", "undone", "again", "round_trip", "says"),
    [
        ("a\nb", "a", "a\nb", True, "a round trip: 1 lines of the schema, and back"),
        ("a", "a", "a", True, "the schema is the same with it and without it: it changes data, or nothing"),
        ("a\nb", "a", "a\nc", False, "NOT A ROUND TRIP: undone and applied again it differs: -b; +c"),
    ],
)
def test_judged(before: str, undone: str, again: str, round_trip: bool, says: str) -> None:
    assert undo_files.judged("p", before, undone, again) == ("p", round_trip, says)


def test_a_long_difference_is_cut() -> None:
    before, again = "", "\n".join(f"column {number}" for number in range(9))
    assert undo_files.judged("p", before, "", again).says.endswith("+column 5; 3 lines more")


def test_what_went_in_afterwards() -> None:
    rows = {(2208, 28, 1): 10.0, (2208, 30, 0): 20.0, (2208, 56, 0): 20.5, (2209, 1, 0): 30.0, (2208, 29, 0): 30.0}
    names = [PatchName(2208, 56, 0), PatchName(2208, 30, 0)]
    assert undo_files.unexpected(rows, names) == ["2208-29-0", "2209-01-0"]
    assert undo_files.unexpected(rows, []) == []
