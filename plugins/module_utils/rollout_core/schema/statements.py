"""Splits a schema patch into statements, so that an error in it has a line."""

from __future__ import annotations

import re

from . import sql


def split(text: str) -> list[tuple[int, str]]:
    """Return a patch's statements as psql would split them: [(number of the line where it begins, its text)].

    If that is not certain (semicolons inside CREATE RULE or a BEGIN ATOMIC body), the text stays in one piece, which
    PostgreSQL takes as well.
    """
    code, _ = sql.code_only(text)
    found = []
    begin = 0
    for semicolon in re.finditer(";", text):
        statement = text[begin : semicolon.end()]
        piece, unfinished = sql.code_only(statement)
        if unfinished or not piece.endswith(";") or piece.count("(") != piece.count(")"):
            continue
        comments = _length_of_comments(statement)
        found.append((text.count("\n", 0, begin + comments) + 1, statement[comments:]))
        begin = semicolon.end()
    certain = len(found) == len(sql.statements(code)) and not re.search(r"\bBEGIN\s+ATOMIC\b", code, re.IGNORECASE)
    return found if certain else [(1, text)]


def _length_of_comments(statement: str) -> int:
    """Return the length of the comments before a statement's first word."""
    for character in re.finditer(r"\S", statement):
        before, in_comment = sql.code_only(statement[: character.start()])
        code, in_string = sql.code_only(statement[: character.end()])
        is_comment = statement.startswith(("--", "/*"), character.start())
        if not before.strip() and not in_comment and not is_comment and (code.strip() or in_string):
            return character.start()
    return 0
