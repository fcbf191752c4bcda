"""What the texts of pending patches name: production is not tried, so this is read, not known.

It errs on the side of "a patch makes it": qastaging has tried patches and permissions file together.
"""

from __future__ import annotations

import re
from typing import AbstractSet, Iterable, NamedTuple

from ..schema import sql

_DO = re.compile(r"\bDO\s+(?:LANGUAGE\s+\w+\s+)?\$(?P<tag>\w*)\$(?P<body>.*?)\$(?P=tag)\$", re.DOTALL | re.IGNORECASE)
_QUOTED = re.compile(r'"([^"\n]{1,63})"')
_WORD = r'(?:"[^"]+"|[\w$]+)'
_NAME = rf"((?:{_WORD}\s*\.\s*)?{_WORD})"
_KIND = (
    r"(ROLE|USER(?!\s+MAPPING)|GROUP|(?:FOREIGN\s+)?TABLE|(?:MATERIALIZED\s+)?VIEW|SEQUENCE|FUNCTION|PROCEDURE|ROUTINE"
    r"|AGGREGATE)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
)
_MADE = re.compile(
    rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNLOGGED\s+|RECURSIVE\s+|TEMP(?:ORARY)?\s+)*{_KIND}{_NAME}", re.IGNORECASE
)
_ALTERED = re.compile(rf"ALTER\s+(?:ROLE|USER(?!\s+MAPPING)|GROUP)\s+{_NAME}", re.IGNORECASE)
_RENAMED = re.compile(rf"ALTER\s+{_KIND}{_NAME}[^;]*?\sRENAME\s+TO\s+{_NAME}", re.IGNORECASE)
_DROPPED = re.compile(rf"(?<!\w)DROP\s+{_KIND}(.*)", re.IGNORECASE | re.DOTALL)
_OF_AN_EXTENSION = re.compile(r"\s*ALTER\s+EXTENSION\b", re.IGNORECASE)
_ROLES = ("ROLE", "USER", "GROUP")
_OF_A_COLUMN = {"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8", "identity", "like"}


class Mentions(NamedTuple):
    """The names in patches, in lower case: all words, and roles and things that they make (or alter) and drop.

    Things outside of the schema public have their schema before them.
    """

    words: AbstractSet[str]
    roles: AbstractSet[str]
    dropped_roles: AbstractSet[str]
    dropped_things: AbstractSet[str]

    def makes(self, name: str) -> bool:
        """Return True if a patch may make the table, view, sequence or function of that name."""
        return name.lower() in self.words or self._makes_with_a_column(name.lower())

    def _makes_with_a_column(self, name: str) -> bool:
        """Return True for the sequence TABLE_COLUMN_seq of a serial column, which no statement names."""
        if not name.endswith("_seq") or not self.words & _OF_A_COLUMN:
            return False
        stem = name[: -len("_seq")]
        splits = [(stem[:at], stem[at + 1 :]) for at, letter in enumerate(stem) if letter == "_"]
        return any(table in self.words and column in self.words for table, column in splits)


def mentions(texts: Iterable[str]) -> Mentions:
    """Return what patches with these texts name, in the order in which they are applied."""
    words: set[str] = set()
    roles: dict[str, bool] = {}  # True: there after the patches, False: dropped
    things: dict[str, bool] = {}
    for text in texts:  # what a function's body names is not touched by making it; a DO block is carried out
        bodies = [re.sub(r"--[^\n]*", " ", each["body"]) for each in _DO.finditer(text)]
        code = sql.without_literals(text)
        pieces = [code, *(sql.without_literals(body) for body in bodies)]
        words.update(word.lower() for piece in pieces for word in re.findall(r"[\w$]+", piece))
        words.update(word.lower() for word in _QUOTED.findall(text))
        for statement in (each for piece in (code, *bodies) for each in piece.split(";")):
            _follow(statement, roles, things)
    there = {name for name, is_there in roles.items() if is_there}
    return Mentions(words, there, set(roles) - there, {name for name, is_there in things.items() if not is_there})


def _follow(statement: str, roles: dict[str, bool], things: dict[str, bool]) -> None:
    """Note what one statement makes, renames and drops."""
    if _OF_AN_EXTENSION.match(statement):
        return
    for made in _MADE.finditer(statement):
        _of(made[1], roles, things)[_plain(made[2])] = True
    for altered in _ALTERED.finditer(statement):
        roles[_plain(altered[1])] = True
    for renamed in _RENAMED.finditer(statement):
        names, before = _of(renamed[1], roles, things), _plain(renamed[2])
        schema = f"{before.rpartition('.')[0]}." if "." in before else ""
        names[before] = False
        names[schema + _plain(renamed[3])] = True
    for dropped in _DROPPED.finditer(statement):
        for one in re.sub(r"\([^)]*\)", "", dropped[2]).split(","):
            if name := re.match(rf"\s*{_NAME}", one):
                _of(dropped[1], roles, things)[_plain(name[1])] = False


def _of(kind: str, roles: dict[str, bool], things: dict[str, bool]) -> dict[str, bool]:
    return roles if kind.upper() in _ROLES else things


def _plain(name: str) -> str:
    """Return a name without quotes, in lower case, with its schema unless that is public."""
    parts = [part.strip().strip('"').lower() for part in name.split(".")]
    return ".".join(parts[1:] if parts[0] == "public" else parts)
