"""Reads enough of PostgreSQL's syntax to tell statements from comments, strings and function bodies.

The hosts have Python's standard library only, so there is no sqlparse here:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re

_OPENING = re.compile(
    r"""
      (?P<line_comment>  --[^\n]* )
    | (?P<block_comment> /\* )
    | (?P<string>        (?<![\w$]) [eE]'(?:[^'\\]|''|\\.)*'(?!') | (?<!(?<![\w$])[eE]) '(?:[^']|'')*'(?!') )
    | (?P<identifier>    "(?:[^"]|"")*"(?!") )
    | (?P<dollar>        (?<![\w$]) \$(?:[^\W\d]\w*)?\$ )
    | (?P<unfinished>    ['"] )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def code_only(text: str) -> tuple[str, str | None]:
    """Return ``text`` with comments as spaces and literals emptied, and what in it never ends (None if all is closed).

    A string becomes ``''``, a dollar-quoted body ``$$``, a quoted name that needs no quotes a bare word, others ``""``.
    """
    pieces: list[str] = []
    position = 0
    while True:
        opening = _OPENING.search(text, position)
        if opening is None:
            return "".join([*pieces, text[position:]]), None
        pieces.append(text[position : opening.start()])
        replacement, end = _replace(text, opening)
        if end is None:
            return "".join(
                pieces
            ), f"{replacement} begins on line {text.count(chr(10), 0, opening.start()) + 1} and never ends"
        pieces.append(replacement)
        position = end


def statements(code: str) -> list[str]:
    """Return the statements of ``code`` (from `code_only`), without their semicolons and without empty ones."""
    return [statement for statement in (piece.strip() for piece in code.split(";")) if statement]


def first_word(statement: str) -> str:
    """Return the keyword a statement begins with, in upper case."""
    return statement.split(None, 1)[0].upper()


def groups(text: str) -> list[list[str]]:
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


def _replace(text: str, opening: re.Match[str]) -> tuple[str, int | None]:
    """Return the replacement of a token and where the token ends; its kind and None if it never ends."""
    kind = opening.lastgroup
    if kind == "line_comment":
        return " ", opening.end()
    if kind == "block_comment":
        return " " if (end := _end_of_comment(text, opening.end())) else "a comment", end
    if kind == "dollar":
        end = text.find(opening[0], opening.end())
        return ("a dollar-quoted string", None) if end < 0 else ("$$", end + len(opening[0]))
    if kind == "identifier":
        name = opening[0][1:-1]
        return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '""', opening.end()
    if kind == "string":
        return "''", opening.end()
    return "a string or quoted name", None


def _end_of_comment(text: str, position: int) -> int | None:
    """Return where a block comment ends, or None; block comments nest in PostgreSQL."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(text, position):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None
