"""docs/coverage.md maps every rule to the stage that carries it out and the test that proves it, and both are there.

One table row a rule: `| R9 | sentence | `select`, `outage` | `tests/unit/budget/test_budget.py::test_budget` |`.
In the third cell stand stages of process.yml or files of the project, in the fourth tests. A rule that only later work
serves says `later` in both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from .process import RULES, Project
from .source import ROOT, Finding, stands

PAGE = ROOT / "docs/coverage.md"
STAGES: dict[str, set[str]] = {}
for _stage in Project.read().stages:  # several processes may have a stage of that name
    STAGES.setdefault(_stage["stage"], set()).update(_stage["rules"])


def rows(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, rule and cells of every row that begins with a rule."""
    for number, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and re.match(r"\**R\d+\**$", cells[0]):
            yield number, cells[0].strip("*"), cells


def every_rule_has_one_row(text: str) -> Iterator[Finding]:
    found = [rule for _, rule, _ in rows(text)]
    for rule in sorted(RULES - set(found), key=lambda name: int(name[1:])):
        yield Finding("docs/coverage.md", 1, f"no row for {rule}", f"Add `| {rule} | … | `stage` | `test` |`.")
    for number, rule, cells in rows(text):
        if rule not in RULES:
            yield Finding("docs/coverage.md", number, f"there is no rule {rule}", "Name one of R1 … R26.")
        if found.count(rule) > 1:
            yield Finding("docs/coverage.md", number, f"{rule} has {found.count(rule)} rows", "Make it one.")
        if len(cells) != 4:
            yield Finding(
                "docs/coverage.md",
                number,
                f"{len(cells)} cells",
                "Write four: rule, sentence, carried out by, proved by.",
            )


def rows_are_true(text: str, stages: dict[str, set[str]], root: Path = ROOT) -> Iterator[Finding]:
    for number, rule, (_, _, carried_out_by, proved_by, *_) in rows(text):
        serving = {stage for stage, rules in stages.items() if rule in rules}
        named = re.findall(r"`([^`]+)`", carried_out_by)
        tests = re.findall(r"`([^`]+)`", proved_by)
        if carried_out_by == proved_by == "later" and not serving:
            continue
        if not named or not tests:
            remedy = (
                "Name in backticks what carries it out and what proves it, or write `later` in both without backticks."
            )
            yield Finding("docs/coverage.md", number, f"{rule} is not mapped", remedy)
        for missing in sorted(serving - set(named)):
            yield Finding(
                "docs/coverage.md", number, f"{rule}: process.yml says {missing} serves it", f"Add `{missing}`."
            )
        for name in named:
            if name in stages and name not in serving:
                remedy = "Add the rule to the stage in process.yml, or remove the stage here."
                yield Finding("docs/coverage.md", number, f"{rule}: stage {name} does not name it", remedy)
            elif name not in stages and not (root / name).exists():
                yield Finding("docs/coverage.md", number, f"{rule}: {name} is no stage and no file", "Mend the name.")
        for name in tests:
            if not is_test(name, root):
                yield Finding(
                    "docs/coverage.md", number, f"{rule}: there is no test {name}", "Write `path/test_x.py::test_y`."
                )


def is_test(name: str, root: Path) -> bool:
    """`tests/unit/x/test_x.py::test_y` is a function of a file that pytest collects (its parameters may follow)."""
    path, _, function = name.partition("::")
    file = root / path
    if not re.match(r"tests/.*test_\w+\.py$", path) or not file.is_file():
        return False
    return function.startswith("test_") and function.partition("[")[0] in functions_in(file)


@cache
def functions_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def page() -> str:
    return PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


def test_every_rule_has_one_row():
    stands(every_rule_has_one_row(page()))


def test_rows_are_true():
    stands(rows_are_true(page(), STAGES))


def test_row_check_catches_missing_unknown_and_doubled_rules():
    text = "".join(f"| R{number} | Sentence. | `a` | `b` |\n" for number in [*range(1, 26), 27, 3])
    assert sorted(finding.problem for finding in every_rule_has_one_row(text)) == [
        "R3 has 2 rows",
        "R3 has 2 rows",
        "no row for R26",
        "there is no rule R27",
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("| R9 | x | | |", "R9 is not mapped"),
        ("| R9 | x | later | later |", "R9 is not mapped"),
        ("| R9 | x | `merge` | `tests/test_x.py::test_y` |", "R9: stage merge does not name it"),
        ("| R9 | x | `select`, `budget.py` | `tests/test_x.py::test_y` |", "R9: budget.py is no stage and no file"),
        ("| R9 | x | `select` | `tests/test_x.py::test_z` |", "R9: there is no test tests/test_x.py::test_z"),
        ("| R9 | x | `select` | `tests/test_q.py::test_y` |", "R9: there is no test tests/test_q.py::test_y"),
        ("| R9 | x | `select` | `tests/test_x.py` |", "R9: there is no test tests/test_x.py"),
        ("| R9 | x | `select` | `tests/test_x.py::helper` |", "R9: there is no test tests/test_x.py::helper"),
        ("| R9 | x | `process.yml` | `tests/test_x.py::test_y` |", "R9: process.yml says select serves it"),
    ],
)
def test_row_check_catches(row, says, tmp_path):
    files(tmp_path)
    assert says in [finding.problem for finding in rows_are_true(row, {"select": {"R9"}, "merge": {"R10"}}, tmp_path)]


def test_row_check_lets_true_rows_pass(tmp_path):
    files(tmp_path)
    text = "| **R9** | x | `select`, `process.yml` | `tests/test_x.py::test_y[a]` |\n| R3 | x | later | later |\n"
    stands(rows_are_true(text, {"select": {"R9"}}, tmp_path))


def files(root: Path) -> None:
    (root / "tests").mkdir()
    (root / "process.yml").touch()
    (root / "tests/test_x.py").write_text("def test_y(): ...\ndef helper(): ...\n", encoding="utf-8")
