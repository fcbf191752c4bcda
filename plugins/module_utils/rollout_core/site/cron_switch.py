"""The switch of the cron jobs: an ini file with a section per job and a key ``enabled`` (R5).

A job reads it each time before it starts. Whatever goes wrong with that means enabled: no file, a file that cannot be
parsed, no section and nothing in ``[DEFAULT]``, a value that is not a boolean. This module reads it in the same way.
"""

from __future__ import annotations

import configparser
from typing import Iterable, List

_DEFAULT = configparser.DEFAULTSECT


def _parse(text: str) -> configparser.RawConfigParser:
    """Return the switch, read as the jobs read it. Raises configparser.Error."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(text)
    return parser


def problem(text: str) -> str | None:
    """Return why jobs could not read this text, and so would not be stopped by it; None if they can."""
    try:
        _parse(text)
    except configparser.Error as error:
        return " ".join(str(error).split())
    return None


def jobs(text: str) -> list[str]:
    """Return the sections of a readable switch, in its order."""
    return _parse(text).sections()


def enabled(text: str | None, job: str) -> bool:
    """Return True if ``job`` would start with this text in the switch (None: there is no file)."""
    try:
        parser = _parse(text or "")
        return parser.getboolean(job if parser.has_section(job) else _DEFAULT, "enabled", fallback=True)
    except (configparser.Error, ValueError):
        return True


def paused(text: str, names: Iterable[str] | None, comment: str) -> str:
    """Return the switch with ``names`` disabled and nothing else changed. None: every job, also without a section.

    The text is written anew, with ``comment`` in front and without the comments it had: it is there for the length of a
    downtime, the original waits beside it. Raises KeyError for a name without a section.
    """
    parser = _parse(text)
    if names is None:
        parser.set(_DEFAULT, "enabled", "False")
        names = parser.sections()
    for name in names:
        if not parser.has_section(name):
            raise KeyError(name)
        parser.set(name, "enabled", "False")
    written = _Text(f"# {line}\n" for line in comment.splitlines())
    parser.write(written)
    return "".join(written).rstrip("\n") + "\n"


class _Text(List[str]):
    """The part of a file that a parser needs to write to."""

    def write(self, piece: str) -> int:
        self.append(piece)
        return len(piece)
