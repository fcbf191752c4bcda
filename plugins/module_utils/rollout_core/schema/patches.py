"""Schema patches: their names, which are pending, and whether a patch is sound enough to be pinned (R8, R17).

A patch is a file ``patch-MMMM-mm-p.sql``; once applied it has a row (major, minor, patch) in LaunchpadDatabaseRevision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, NamedTuple, Sequence, Tuple

from . import sql

_NAME = re.compile(r"patch-([0-9]{4})-([0-9]{2})-([0-9])\.sql")
_LOOKS_LIKE_A_PATCH = re.compile(r"patch.*\.sql", re.IGNORECASE)
_TAKES_ONE_BACK = re.compile(r"patch-[0-9]{4}-[0-9]{2}-[0-9]\.undo\.sql")  # undo_files.py
PATTERN = "patch-MMMM-mm-p.sql"
PLACEHOLDER_MINOR = 99
Row = Tuple[int, int, int]  # (major, minor, patch) of LaunchpadDatabaseRevision
# What PostgreSQL refuses inside a transaction (PreventInTransactionBlock in its source; the commands' pages say so).
# Not here: ALTER TYPE … ADD VALUE, which it takes, though the new value cannot be used before the commit; and tables or
# indexes that are partitioned, for REINDEX and CLUSTER, which only the database knows.
_OUTSIDE_A_TRANSACTION = re.compile(
    r"(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b|REINDEX\b.*\b(?:CONCURRENTLY|SCHEMA|DATABASE|SYSTEM)"
    r"|ALTER\s+TABLE\b.*\bDETACH\s+PARTITION\b.*\bCONCURRENTLY|VACUUM|CLUSTER(?:\s+VERBOSE|\s*\([^)]*\))?$"
    r"|ALTER\s+SYSTEM|(?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE|SUBSCRIPTION)|ALTER\s+DATABASE\b.*\bTABLESPACE"
    r"|ALTER\s+SUBSCRIPTION\b.*\b(?:REFRESH\s+(?:PUBLICATION|SEQUENCES)|SET\s*\([^)]*\b(?:failover|two_phase))"
    r"|ALTER\s+SUBSCRIPTION\b.*\b(?:SET|ADD|DROP)\s+PUBLICATION\b(?!.*\brefresh\s*=\s*(?:false|off|0)\b)|DISCARD\s+ALL",
    re.IGNORECASE | re.DOTALL,
)
HOT_PATCH = "make it a hot patch, applied by itself on another day, and drop it from this merge"
# The errors of what is found no earlier: active_sql_transaction, unsafe_new_enum_value_usage.
HOT_PATCH_STATES = ("25001", "55P04")
_ITS_OWN_TRANSACTION = re.compile(r"BEGIN|START\s+TRANSACTION|PREPARE\s+TRANSACTION", re.IGNORECASE)
_PSQL = re.compile(r"COPY\b.*\b(?:FROM\s+STDIN|TO\s+STDOUT)|\\", re.IGNORECASE | re.DOTALL)  # would wait for input
_INSERT = re.compile(
    r"INSERT\s+INTO\s+(?:public\s*\.\s*)?LaunchpadDatabaseRevision\b\s*(?:\((?P<columns>[^)]*)\)\s*)?VALUES\s*(?P<rows>\(.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, order=True)
class PatchName:
    """The number of a patch. Ordered as patches are applied: by (major, minor, patch)."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, name: str) -> PatchName:
        """Return the number in a file name such as ``patch-2208-30-0.sql``. Raises ValueError for any other name."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is not the name of a schema patch (expected {PATTERN}, all digits)")
        return cls(*(int(number) for number in match.groups()))

    @property
    def number(self) -> str:
        """Return the number as the upgrade's log writes it: ``2208-30-0``."""
        return f"{self.major:04d}-{self.minor:02d}-{self.patch}"

    @property
    def row(self) -> Row:
        """Return the row of LaunchpadDatabaseRevision that says it is applied."""
        return self.major, self.minor, self.patch

    def __str__(self) -> str:
        """Return the file name: ``patch-2208-30-0.sql``."""
        return f"patch-{self.number}.sql"


class Pending(NamedTuple):
    """The files of a schema directory without a row: patches to apply, in order, and misnamed files."""

    patches: list[PatchName]
    misnamed: list[str]


def pending(files: Iterable[str], rows: Iterable[Sequence[int]]) -> Pending:
    """Return the patches among the files that have no row, in the order of application; a late lower number too.

    ``files`` are bare names of a schema directory, ``rows`` are (major, minor, patch) of LaunchpadDatabaseRevision.
    Files that look like patches but are outside the pattern come back as ``misnamed``: the caller reports them.
    """
    applied = {tuple(row[:3]) for row in rows}
    candidates = [n for n in files if _LOOKS_LIKE_A_PATCH.fullmatch(n) and not _TAKES_ONE_BACK.fullmatch(n)]
    names = sorted({PatchName.parse(name) for name in candidates if _NAME.fullmatch(name)})
    return Pending(
        patches=[name for name in names if name.row not in applied],
        misnamed=sorted({name for name in candidates if not _NAME.fullmatch(name)}),
    )


def check(name: str, sql_text: str) -> list[str]:
    """Return the problems of a patch that must be solved before it is pinned, as sentences; empty if it is sound.

    It is sound if its name fits the pattern and holds no placeholder, and its text inserts exactly its own row, ends in
    ``;`` and leaves the one transaction of all patches alone. Comments, strings and function bodies are no statements.
    """
    try:
        own = PatchName.parse(name)
    except ValueError as error:
        return [str(error)]
    problems = []
    if own.minor == PLACEHOLDER_MINOR:
        problems.append(f"-{PLACEHOLDER_MINOR}- is the placeholder of a number that nobody has allocated yet")
    code, unfinished = sql.code_only(sql_text)
    if unfinished:
        problems.append(unfinished)
    else:
        problems += [*_row_problems(own, code), *text_problems(sql_text, code)]
    return [f"{name}: {problem}" for problem in problems]


def text_problems(text: str, code: str) -> list[str]:
    """Return why a text (``code`` from `sql.code_only`) cannot run in the one transaction of all patches."""
    return [*_ending_problems(text, code), *_transaction_problems(code)]


def revision_rows(code: str) -> set[Row | None]:
    """Return the rows of LaunchpadDatabaseRevision that ``code`` inserts; None for one without plain numbers."""
    rows: set[Row | None] = set()
    for statement in sql.statements(code):
        insert = _INSERT.match(statement)
        if insert is None:
            continue
        columns = [column.strip().lower() for column in (insert["columns"] or "major, minor, patch").split(",")]
        for values in sql.groups(insert["rows"]):
            value = dict(zip(columns, values))
            numbers = [value.get(column, "") for column in ("major", "minor", "patch")]
            plain = all(re.fullmatch("[0-9]{1,9}", number) for number in numbers)
            rows.add((int(numbers[0]), int(numbers[1]), int(numbers[2])) if plain else None)
    return rows


def _row_problems(own: PatchName, code: str) -> list[str]:
    rows = revision_rows(code)
    statement = f"INSERT INTO LaunchpadDatabaseRevision VALUES ({own.major}, {own.minor}, {own.patch});"  # noqa: S608 (shown)
    if not rows:
        return [f"has no row of its own; expected {statement}"]
    problems = []
    if own.row not in rows:
        problems.append(f"does not insert its own row; expected {statement}")
    if None in rows:
        problems.append("inserts a row of LaunchpadDatabaseRevision that cannot be read; expected plain numbers")
    others = ", ".join(PatchName(*row).number for row in sorted(row for row in rows if row and row != own.row))
    if others:
        problems.append(f"inserts the row of another patch ({others}), which would then never be applied")
    return problems


def _ending_problems(text: str, code: str) -> list[str]:
    if not code.rstrip().endswith(";"):
        return ["its last statement does not end in ';'"]
    if not text.rstrip().endswith(";"):
        return ["a comment follows its last ';', which must be the last non-blank character of the file"]
    return []


def _transaction_problems(code: str) -> list[str]:
    words = {sql.first_word(statement) for statement in sql.statements(code)}
    ending = {"COMMIT", "ROLLBACK", "ABORT"}
    if not re.search(r"\bBEGIN\s+ATOMIC\b", code, re.IGNORECASE):  # there, END closes a function's body
        ending.add("END")
    problems = [f"{word} would end the one transaction that all patches share" for word in sorted(words & ending)]
    for statement in sql.statements(code):
        begin = " ".join(statement.split())[:60]
        if _OUTSIDE_A_TRANSACTION.match(statement):
            problems.append(f"{begin!r} cannot run inside the one transaction of all patches: {HOT_PATCH}")
        elif _ITS_OWN_TRANSACTION.match(statement):
            problems.append(f"{begin!r} cannot run inside the one transaction of all patches: take it out")
        elif _PSQL.match(statement):
            problems.append(f"{begin!r} is for psql, which is not what applies patches: write it as SQL")
    return problems
