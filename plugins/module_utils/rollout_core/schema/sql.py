"""Tells PostgreSQL's tokens from one another, as its own lexer does, in one pass over the text.

The hosts have Python's standard library only, so there is no parser here. The tests compare this with the server's own:
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Iterator, NamedTuple

# Characters beyond ASCII are letters to PostgreSQL, a no-break space too.
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
    rf"""
      (?P<blank>    [ \t\n\r\f\v]+ | --[^\n\r]* )
    | (?P<comment>  /\* )
    | (?P<escapes>  [eE]' )
    | (?P<string>   (?:[bBnNxX]|[uU]&)?' )
    | (?P<name>     (?:[uU]&)?" )
    | (?P<word>     [{_LETTER}][{_LETTER}0-9$]* )
    | (?P<body>     \$(?:[{_LETTER}][{_LETTER}0-9]*)?\$ )
    | (?P<symbol>   \$[0-9]+ | [0-9][0-9A-Za-z_.]* | . )
    """,
    re.VERBOSE | re.DOTALL,
)
# Where what has begun ends. A doubled quote is one of the text; (?!') keeps an unfinished string from ending inside it.
_ENDS = {
    "string": re.compile(r"[^']*(?:''[^']*)*'(?!')"),
    "escapes": re.compile(r"[^'\\]*(?:(?:''|\\.)[^'\\]*)*'(?!')", re.DOTALL),
    "name": re.compile(r'[^"]*(?:""[^"]*)*"(?!")'),
}
# A string goes on after a newline; with escapes, its other parts have them too.
_GOES_ON = re.compile(r"(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'")
PLAIN_NAME = re.compile(r'"[a-z_][a-z0-9_]*"')  # in quotes that it does not need
_COMMENT_EDGE = re.compile(r"/\*|\*/")


class Kind(Enum):
    """The kind of a token. BLANK is a comment, or space; BODY a dollar-quoted string; SYMBOL any one character else."""

    BLANK = "a comment"
    WORD = "a word"
    NAME = "a quoted name"
    STRING = "a string"
    BODY = "a dollar-quoted string"
    SYMBOL = "a symbol"


class Token(NamedTuple):
    """One token: its kind, and where in the text it begins and ends."""

    kind: Kind
    start: int
    end: int


class Unfinished(ValueError):  # noqa: N818  it says what the text is
    """An error: a token never ends; `start` is where it begins."""

    def __init__(self, kind: Kind, start: int) -> None:
        """Keep where the token begins."""
        super().__init__(f"{kind.value} begins here and never ends")
        self.start = start


def token(text: str, position: int) -> Token:
    """Return the token that begins at a position before the text's end. Raises Unfinished."""
    found = _TOKEN.match(text, position)
    assert found is not None  # noqa: S101  (it takes any character)
    name = found.lastgroup
    if name == "comment":
        return Token(Kind.BLANK, position, _end_of_comment(text, position))
    if name == "body":
        closing = text.find(found[0], found.end())
        if closing < 0:
            raise Unfinished(Kind.BODY, position)
        return Token(Kind.BODY, position, closing + len(found[0]))
    if name in ("string", "name"):
        kind = Kind.STRING if name == "string" else Kind.NAME
        return Token(kind, position, _end(kind, text, position, found.end(), _ENDS[name]))
    if name == "escapes":
        end = _end(Kind.STRING, text, position, found.end(), _ENDS[name])
        while more := _GOES_ON.match(text, end):
            end = _end(Kind.STRING, text, position, more.end(), _ENDS[name])
        return Token(Kind.STRING, position, end)
    return Token(_KINDS[name or ""], position, found.end())


def tokens(text: str) -> Iterator[Token]:
    """Yield a text's tokens. Raises Unfinished at one that never ends."""
    position = 0
    while position < len(text):
        found = token(text, position)
        yield found
        position = found.end


def content(text: str, string: Token) -> str:
    """Return what stands between the quotes of a string or body; escapes stay as they are written."""
    written = text[string.start : string.end]
    if string.kind is Kind.BODY:
        quote = written[: written.index("$", 1) + 1]
        return written[len(quote) : -len(quote)]
    return written[written.index("'") + 1 : -1].replace("''", "'")


def without_literals(text: str) -> str:
    """Return a text with comments as spaces and literals emptied, up to what in it never ends.

    A string becomes ``''``, a dollar-quoted body ``$$``, a quoted name that needs no quotes a bare word, others ``""``.
    """
    pieces = []
    try:
        for each in tokens(text):
            written = text[each.start : each.end]
            if each.kind is Kind.BLANK:
                written = written if written.isspace() else " "
            elif each.kind is Kind.NAME:
                written = written[1:-1] if PLAIN_NAME.fullmatch(written) else '""'
            pieces.append({Kind.STRING: "''", Kind.BODY: "$$"}.get(each.kind, written))
    except Unfinished:
        pass
    return "".join(pieces)


_KINDS = {"blank": Kind.BLANK, "word": Kind.WORD, "symbol": Kind.SYMBOL}


def _end(kind: Kind, text: str, start: int, inside: int, ends: re.Pattern[str]) -> int:
    found = ends.match(text, inside)
    if found is None:
        raise Unfinished(kind, start)
    return found.end()


def _end_of_comment(text: str, start: int) -> int:
    """Return where a block comment ends; block comments nest in PostgreSQL."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise Unfinished(Kind.BLANK, start)
