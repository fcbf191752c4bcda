"""Undo files: ``patch-MMMM-mm-p.undo.sql`` beside a schema patch takes it back after it was committed (R17).

A schema undo is an outage of its own. The files run in one transaction, the latest patch's first, and each deletes
exactly its patch's row of LaunchpadDatabaseRevision.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import partial
from typing import Iterable, Mapping, NamedTuple, Sequence

from . import sql, statements
from .patches import PatchName, Row, revision_rows, text_problems
from .statements import Statement

_DELETE = re.compile(r'delete from (?:only )?(?:"?public"? \. )?"?launchpaddatabaserevision(?:"|\b)(?P<rest>.*)')
_COLUMN = re.compile(r"\b(major|minor|patch) = ([0-9]{1,9})\b")
_TUPLE = re.compile(r"\( major , minor , patch \) = \( ([0-9]{1,9}) , ([0-9]{1,9}) , ([0-9]{1,9}) \)")
# What users have written since, and an undo takes away with what held it.
_LOSES = re.compile(
    r"drop (?:table|schema|materialized view|sequence)\b|truncate\b|delete from\b"
    r"|alter table\b.*\bdrop (?!constraint\b|default\b|not\b|expression\b|identity\b)"
)
SAME = "the schema is the same with it and without it: it changes data, or nothing"
_SHOWN = 6  # lines of a difference


@dataclass(frozen=True, order=True)
class UndoName(PatchName):
    """The number of a patch, named as the file that takes it back."""

    def __str__(self) -> str:
        """Return the file name: ``patch-2208-30-0.undo.sql``."""
        return f"patch-{self.number}.undo.sql"


class Trip(NamedTuple):
    """The trial of one patch's undo on a copy: `says` is a sentence; `round_trip`: it changed the schema, and back."""

    patch: str
    round_trip: bool
    says: str


def in_order(patches: Iterable[str]) -> list[UndoName]:
    """Return the undo files of these patches in the order in which they run, the latest first. Raises ValueError."""
    names = [PatchName.parse(patch) for patch in patches]
    return sorted((UndoName(name.major, name.minor, name.patch) for name in names), reverse=True)


def check(name: PatchName, text: str) -> list[str]:
    """Return the problems of an undo file, as sentences that name it; empty if it is sound.

    It deletes its patch's row and no other, inserts none, and leaves the one transaction alone.
    """
    return text_problems(str(name), text, partial(_row_problems, name))


def losses(name: PatchName, text: str) -> list[str]:
    """Return the statements that delete data, for the DBA: ``patch-2208-58-1.undo.sql:3: DROP TABLE BugSummary``."""
    found = []
    for each in statements.read(text).statements:
        if _LOSES.match(each.code) and not _DELETE.match(each.code):
            code = " ".join(sql.without_literals(each.text).split()).rstrip("; ")
            found.append(f"{name}:{each.line}: {code if len(code) <= 80 else code[:79] + '…'}")
    return found


def judged(patch: str, before: str, undone: str, again: str) -> Trip:
    """Return the trial's result, by pg_dump's text before the undo, after it, and after applying the patch again."""
    if again != before:
        told = "; ".join(_difference(before, again))
        return Trip(patch, round_trip=False, says=f"NOT A ROUND TRIP: undone and applied again it differs: {told}")
    if undone == before:
        return Trip(patch, round_trip=True, says=SAME)
    moved = sum(line[:1] in "+-" for line in _lines(before, undone))
    return Trip(patch, round_trip=True, says=f"a round trip: {moved} lines of the schema, and back")


def unexpected(rows: Mapping[Row, float], names: Sequence[PatchName]) -> list[str]:
    """Return the numbers of patches applied after these; they may rest on them. ``rows`` is {row: start in seconds}."""
    own = {name.row for name in names}
    latest = max((rows[row] for row in own if row in rows), default=None)
    later = sorted(row for row, start in rows.items() if latest is not None and start > latest and row not in own)
    return [PatchName(*row).number for row in later]


def _row_problems(name: PatchName, found: Sequence[Statement]) -> list[str]:
    numbers = f"({name.major}, {name.minor}, {name.patch})"
    expected = f"DELETE FROM LaunchpadDatabaseRevision WHERE (major, minor, patch) = {numbers};"  # noqa: S608 (shown)
    deletes = [delete["rest"] for each in found if (delete := _DELETE.match(each.code))]
    problems = [] if deletes else [f"does not delete its patch's row; expected {expected}"]
    for rest in deletes:
        row = _row_of(rest)
        if row is None:
            problems.append(f"deletes rows of LaunchpadDatabaseRevision that cannot be read; expected {expected}")
        elif row != name.row:
            problems.append(f"deletes the row of another patch ({PatchName(*row).number}); expected {expected}")
    if revision_rows(found):
        problems.append("inserts a row of LaunchpadDatabaseRevision")
    return problems


def _row_of(rest: str) -> Row | None:
    """Return the one row that a DELETE's condition names; None if it says something else."""
    if found := _TUPLE.search(rest):
        return int(found[1]), int(found[2]), int(found[3])
    numbers = {column: int(number) for column, number in _COLUMN.findall(rest)}
    if set(numbers) != {"major", "minor", "patch"} or re.search(r"\bor\b", rest):
        return None
    return numbers["major"], numbers["minor"], numbers["patch"]


def _lines(before: str, after: str) -> list[str]:
    """Return the lines that differ, each with its sign."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    told = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return [line for line in told if line[1:].strip() and not line[1:].startswith("--")]


def _difference(before: str, after: str) -> list[str]:
    found = _lines(before, after)
    more = [f"{len(found) - _SHOWN} lines more"] if len(found) > _SHOWN else []
    return [" ".join(line.split()) for line in found[:_SHOWN]] + more
