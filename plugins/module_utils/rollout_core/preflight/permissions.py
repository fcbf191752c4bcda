"""Judges the permissions file before an outage, on the schema as it will be after the pending patches (R18)."""

from __future__ import annotations

import re
from typing import NamedTuple, Sequence

from .findings import Finding, finding, listed
from .mentions import Mentions, mentions

_NO_THING = re.compile(r"there is no (?:function|table, view or sequence) [^.\s]+\.(?P<name>[\w$]+)")
_NO_ROLE = re.compile(r": role (?P<name>\S+) (?:is not there|has type (?:user|group) here)")


class Named(NamedTuple):
    """A role or a thing (table, view, sequence, function) that the permissions file names in a line.

    A thing outside of the schema public has its schema before its name.
    """

    is_role: bool
    name: str
    line: int


def permissions(path: str, problems: Sequence[str], named: Sequence[Named], patches: Sequence[str]) -> Finding:
    """Judge the permissions file `path`: what it names must be there once the pending patches are in.

    `problems` are what `schema.permissions` finds wrong now, `named` is what the file names, `patches` are the pending
    patches' texts. What a patch mentions it is taken to make; what it drops, and none makes again, will be missing.
    """
    found = mentions(patches)
    missing = [problem for problem in problems if not _comes(problem, found)]
    to_come = len(problems) - len(missing)
    lost = [
        f"{path}:{each.line}: {'role ' if each.is_role else ''}{each.name}, which a pending patch drops"
        for each in named
        if each.name.lower() in (found.dropped_roles if each.is_role else found.dropped_things)
    ]
    said = f"{path}, {to_come} of its lines after the patches" if to_come else path
    todo = "correct that file, or back out what it belongs to (R17)"
    wrong = [*missing, *lost]
    return finding("permissions", listed(wrong) or said, "names what there is after the patches", todo, ok=not wrong)


def _comes(problem: str, found: Mentions) -> bool:
    """Return True if a pending patch solves the problem."""
    if role := _NO_ROLE.search(problem):
        return role["name"].lower() in found.roles
    thing = _NO_THING.search(problem)
    return bool(thing and found.makes(thing["name"]))
