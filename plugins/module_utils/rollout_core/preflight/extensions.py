"""Judges whether the servers have the extensions that pending patches create or update (R18)."""

from __future__ import annotations

import re
from typing import Iterable, Mapping, NamedTuple, Sequence

from ..schema import statements
from .findings import Finding, finding, listed

_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[^\s;'\"]+", re.DOTALL)


class Need(NamedTuple):
    """An extension that line `line` of a patch needs, in one version or (None) in the default one."""

    patch: str
    line: int
    extension: str
    version: str | None

    def __str__(self) -> str:
        """Return it as people say it: ``pgcrypto 1.4 (patch-2208-30-0.sql, line 3)``."""
        return f"{self.extension}{' ' + self.version if self.version else ''} ({self.patch}, line {self.line})"


def needed(patches: Iterable[tuple[str, str]]) -> list[Need]:
    """Return the extensions that patches, each (name, text), create or update. Functions' bodies are not read."""
    found = []
    for patch, text in patches:
        for each in statements.read(text).statements:
            if each.code.startswith(("create extension ", "alter extension ")):
                found += _need(patch, each.line, _tokens(each.text))
    return found


def extensions(needs: Sequence[Need], available: Mapping[str, Iterable[Sequence[str]]]) -> Finding:
    """Judge whether each server has the extensions: `available` has (extension, version) by server.

    A standby replays the statements that made an extension; the library that its functions call must be there too.
    """
    missing = []
    for server, found in available.items():
        versions = {tuple(each) for each in found}
        names = {extension for extension, _ in versions}
        missing += [
            f"{need} on {server}"
            for need in needs
            if (need.extension, need.version) not in versions and (need.version or need.extension not in names)
        ]
    said = ", ".join(str(need) for need in needs) or "none needed"
    todo = "install its package there, or back the patch out (R17)"
    expected = "all that the patches create or update"
    if missing:
        return finding("extensions", f"not available: {listed(missing)}", expected, todo, ok=False)
    return finding("extensions", said, expected, todo, ok=True)


def _need(patch: str, line: int, tokens: list[str]) -> list[Need]:
    """Read CREATE EXTENSION [IF NOT EXISTS] x … [VERSION v] and ALTER EXTENSION x UPDATE [TO v]."""
    words = [token.upper() for token in tokens]
    if words[0] == "ALTER" and words[3:4] != ["UPDATE"]:
        return []
    at = 5 if words[2:5] == ["IF", "NOT", "EXISTS"] else 2
    before = "TO" if words[0] == "ALTER" else "VERSION"
    version = tokens[words.index(before, at + 1) + 1] if before in words[at + 1 : -1] else None
    return [Need(patch, line, _plain(tokens[at]), _plain(version) if version else None)] if tokens[at:] else []


def _tokens(statement: str) -> list[str]:
    return [token for token in _TOKEN.findall(statement) if not token.startswith(("--", "/*"))]


def _plain(token: str) -> str:
    """Return a name or a version without its quotes."""
    if token[:1] in ("'", '"'):
        return token[1:-1].replace(token[0] * 2, token[0])
    return token.lower()
