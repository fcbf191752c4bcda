"""Schema patches: their names, which are pending, and whether a patch is sound enough to be pinned (R8, R17).

A patch is a file ``patch-MMMM-mm-p.sql``; once applied it has a row (major, minor, patch) in LaunchpadDatabaseRevision.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Callable, Iterable, Mapping, NamedTuple, Sequence, Tuple

from . import statements, transaction
from .statements import Statement

_NAME = re.compile(r"patch-([0-9]{4})-([0-9]{2})-([0-9])\.sql")
_LOOKS_LIKE_A_PATCH = re.compile(r"patch.*\.sql", re.IGNORECASE)
_TAKES_ONE_BACK = re.compile(r"patch-[0-9]{4}-[0-9]{2}-[0-9]\.undo\.sql")  # undo_files.py
PATTERN = "patch-MMMM-mm-p.sql"
PLACEHOLDER_MINOR = 99
Row = Tuple[int, int, int]  # (major, minor, patch) of LaunchpadDatabaseRevision
_INSERT = re.compile(
    r'insert into (?:"?public"? \. )?"?launchpaddatabaserevision"? (?:\( (?P<columns>[^()]*) \) )?'
    r"(?:values (?P<rows>\(.*)|select (?P<row>[^()]*)$)"
)
_BYTE_ORDER_MARK = "\ufeff"
_UNREADABLE = re.compile("[\0\udc80-\udcff]")


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


def decoded(raw: bytes) -> str:
    """Return the text of a file as it is sent to the database: without a byte order mark, its line ends as they are.

    Bytes that are not UTF-8 become lone surrogates, which `check` refuses.
    """
    text = raw.decode("utf-8", "surrogateescape")
    return text[1:] if text.startswith(_BYTE_ORDER_MARK) else text


def digest(name: object, text: str) -> str:
    """Return FILE=SHA256 of a text from `decoded`, by which one notices that it was changed after its choice."""
    return f"{name}={hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()}"


def changed(chosen: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """Return the names of the texts that are not what was chosen (each FILE=SHA256); a file without one is taken."""
    known = dict(each.split("=", 1) for each in chosen if "=" in each)
    return [name for name, text in texts.items() if name in known and digest(name, text) != f"{name}={known[name]}"]


def check(name: str, text: str) -> list[str]:
    """Return the problems of a patch that must be solved before it is pinned, as sentences; empty if it is sound.

    It is sound if its name fits the pattern and holds no placeholder, and its text (from `decoded`) inserts exactly its
    own row, and leaves the one transaction of all patches alone.
    """
    return list(_problems(name, text))


@lru_cache(maxsize=512)  # the same patch is in every revision after its own
def _problems(name: str, text: str) -> tuple[str, ...]:
    try:
        own = PatchName.parse(name)
    except ValueError as error:
        return (str(error),)
    placeholder = f"{name}: -{PLACEHOLDER_MINOR}- is the placeholder of a number that nobody has allocated yet"
    wrong = [placeholder] if own.minor == PLACEHOLDER_MINOR else []
    return (*wrong, *text_problems(name, text, partial(_row_problems, own)))


def text_problems(name: str, text: str, rows: Callable[[Sequence[Statement]], list[str]]) -> list[str]:
    """Return why a text cannot be read, or run in the one transaction of all patches, and what `rows` says of it."""
    if wrong := _UNREADABLE.search(text):
        return [f"{name}:{text.count(chr(10), 0, wrong.start()) + 1}: {_unreadable(wrong[0])}"]
    script = statements.read(text)
    if script.unfinished:
        line, sentence = script.unfinished
        return [f"{name}:{line}: {sentence}"]
    found = [f"{name}: {sentence}" for sentence in rows(script.statements)]
    return found + [f"{name}:{line}: {sentence}" for line, sentence in transaction.problems(script)]


def revision_rows(found: Iterable[Statement]) -> set[Row | None]:
    """Return the rows of LaunchpadDatabaseRevision that statements insert; None for one without plain numbers."""
    rows: set[Row | None] = set()
    for statement in found:
        insert = _INSERT.match(statement.code)
        if insert is None:
            continue
        columns = [column.strip(' "') for column in (insert["columns"] or "major, minor, patch").split(",")]
        for values in _groups(insert["rows"] or f"( {insert['row']} )"):
            value = dict(zip(columns, values))
            numbers = [value.get(column, "") for column in ("major", "minor", "patch")]
            plain = all(re.fullmatch("[0-9]{1,9}", number) for number in numbers)
            rows.add((int(numbers[0]), int(numbers[1]), int(numbers[2])) if plain else None)
    return rows


def _unreadable(character: str) -> str:
    if character == "\0":
        return "a NUL byte, at which PostgreSQL stops reading: take it out"
    return f"the byte 0x{ord(character) - 0xDC00:02x} is not UTF-8: save the file as UTF-8"


def _row_problems(own: PatchName, found: Sequence[Statement]) -> list[str]:
    rows = revision_rows(found)
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


def _groups(text: str) -> list[list[str]]:
    """Return the groups in ``(a, f(b)), (c, d)`` at the beginning of ``text``, each split at its own commas."""
    found: list[list[str]] = []
    depth = 0
    for character in text:
        if depth == 0:
            if character == "(":
                found.append([""])
                depth = 1
            elif not character.isspace() and character != ",":
                break
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 1 and character == ",":
            found[-1].append("")
        elif depth:
            found[-1][-1] += character
    return [[item.strip() for item in group] for group in found]
