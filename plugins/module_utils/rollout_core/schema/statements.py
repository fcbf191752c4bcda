"""Reads a schema patch as the statements that the server will find in it, in one pass over the text."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from . import sql
from .sql import Kind

_HAS_A_BODY = re.compile(r"create (?:or replace )?(?:function|procedure) ")
_NAMED = r'(?:[^\s".]+|"[^"]*")'
COPY_DATA = re.compile(rf"copy (?:binary )?{_NAMED}(?: \. {_NAMED})* (?:\( [^()]* \) )?from stdin\b")
_NO_MORE_DATA = re.compile(r"^\\\.\r?$", re.MULTILINE)


class Statement(NamedTuple):
    """One statement, or one command for psql, which begins with a backslash.

    `line` is that of its first word. `text` has its semicolon, `code` has not: that is its tokens, a space between
    them, words in lower case, strings as ``''``, dollar-quoted bodies as ``$$``, quoted names with their quotes, and
    empty if they need them. `literals` is what stands in strings and bodies, in order.
    """

    line: int
    text: str
    code: str
    literals: list[str]


class Script(NamedTuple):
    """A text's statements in order, and what in it never ends: (its line, a sentence)."""

    statements: list[Statement]
    unfinished: tuple[int, str] | None


@lru_cache(maxsize=64)
def read(text: str) -> Script:
    """Return the statements of a text, as PostgreSQL finds them when it gets the text whole.

    For psql there are commands, and data after COPY FROM STDIN: neither is taken for SQL.
    """
    reader = _Reader(text)
    try:
        reader.read()
    except sql.Unfinished as error:
        return Script(reader.found, (text.count("\n", 0, error.start) + 1, str(error)))
    return Script(reader.found, None)


def split(text: str) -> list[tuple[int, str]]:
    """Return a text's statements as (number of the line where it begins, its text with its semicolon)."""
    return [(each.line, each.text) for each in read(text).statements]


class _Reader:
    """Goes through a text once, and keeps the statement that it is in."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Statement] = []
        self.line, self.counted = 1, 0  # the line at which position
        self.begin()

    def begin(self) -> None:
        """Begin a statement."""
        self.start: int | None = None
        self.end = 0  # of its last token
        self.words: list[str] = []
        self.literals: list[str] = []
        self.parentheses = 0
        self.in_body = False  # BEGIN ATOMIC … END

    def read(self) -> None:
        position = 0
        while position < len(self.text):
            token = sql.token(self.text, position)
            position = token.end
            if token.kind is Kind.BLANK:
                continue
            word = self._word(token)
            if word == "\\":
                position = self._for_psql(token.start)
            elif word == ";" and not self.parentheses and not self.in_body:
                self.end = token.end
                position = self._finish(token.end)
            else:
                self._take(token, word)
        self._finish(len(self.text))

    def _word(self, token: sql.Token) -> str:
        written = self.text[token.start : token.end]
        if token.kind is Kind.WORD:
            return written.lower() if written.isascii() else written
        if token.kind is Kind.NAME:
            return written if sql.PLAIN_NAME.fullmatch(written) else '""'
        return {Kind.STRING: "''", Kind.BODY: "$$"}.get(token.kind, written)

    def _take(self, token: sql.Token, word: str) -> None:
        if self.start is None:
            self.start = token.start
        if token.kind in (Kind.STRING, Kind.BODY):
            self.literals.append(sql.content(self.text, token))
        elif word == "(":
            self.parentheses += 1
        elif word == ")":
            self.parentheses = max(0, self.parentheses - 1)
        elif self.parentheses == 0 and self.words:
            before = self.words[-1]
            if word == "atomic" and before == "begin" and _HAS_A_BODY.match(" ".join(self.words[:5])):
                self.in_body = True
            elif word == "end" and self.in_body and before in (";", "atomic"):  # any other END is that of a CASE
                self.in_body = False
        self.words.append(word)
        self.end = token.end

    def _finish(self, position: int) -> int:
        """End the statement, if there is one; return where the next one may begin, by default at `position`."""
        if self.start is None:
            return position
        self._count(self.start)
        code = " ".join(self.words)
        self.found.append(Statement(self.line, self.text[self.start : self.end], code, self.literals))
        self.begin()
        if COPY_DATA.match(code):
            no_more = _NO_MORE_DATA.search(self.text, self._end_of_line(position))
            return no_more.end() if no_more else len(self.text)
        return position

    def _for_psql(self, start: int) -> int:
        """Take a command for psql, which ends a statement, and itself with its line; return where that is."""
        self._finish(start)
        end = self._end_of_line(start)
        self._count(start)
        command = self.text[start:end].strip()
        self.found.append(Statement(self.line, command, command, []))
        return end

    def _end_of_line(self, position: int) -> int:
        found = self.text.find("\n", position)
        return len(self.text) if found < 0 else found

    def _count(self, position: int) -> None:
        self.line += self.text.count("\n", self.counted, position)
        self.counted = position
