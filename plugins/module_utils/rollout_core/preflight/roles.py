"""Judges the roles that pending patches make and drop: they are the server's, so qastaging may have others (R18)."""

from __future__ import annotations

import re
from typing import AbstractSet, Iterable, Iterator, Mapping, Sequence, Tuple

from ..schema import sql, statements
from .findings import Finding, finding, listed

_STATEMENT = re.compile(
    r"(?P<verb>CREATE|DROP)\s+(?:ROLE|USER(?!\s+MAPPING\b)|GROUP)\s+(?P<if_exists>IF\s+EXISTS\s+)?(?P<names>.*)",
    re.IGNORECASE | re.DOTALL,
)
Change = Tuple[str, bool, bool]  # the role, whether it is made (or dropped), and whether it may be missing


def roles(patches: Iterable[tuple[str, str]], there: AbstractSet[str], used_in: Mapping[str, Sequence[str]]) -> Finding:
    """Judge the patches, [(name, text)] in their order: none makes a role that is there, or drops one that is not.

    `there` are the roles of the server, `used_in` are the other databases in which a role owns something, or may use
    something: there a role cannot be dropped from here.
    """
    now, wrong, todo = set(there), [], []
    for patch, text in patches:
        for role, made, may_be_missing in changes(text):
            if made and role in now:
                wrong.append(f"{patch} makes role {role}, which is there already")
                todo.append(
                    f"find out who has made {role} (qastaging, if it is on this server); drop it, or fix {patch}"
                )
            if not made and role not in now and not may_be_missing:
                wrong.append(f"{patch} drops role {role}, which is not there")
                todo.append(f"write DROP ROLE IF EXISTS in {patch}, or find out who has dropped {role}")
            if not made and role in now and used_in.get(role):
                wrong.append(f"{patch} drops role {role}, which database {', '.join(used_in[role])} uses")
                todo.append(f"in each of these databases:  REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}")
            (now.add if made else now.discard)(role)
    return finding(
        "roles", listed(wrong) or "as the patches need them", "as the patches need them", "\n".join(todo), ok=not wrong
    )


def changes(text: str) -> Iterator[Change]:
    """Return the roles that a patch makes and drops in statements of its own; what a DO block does is not known."""
    for statement in statements.read(text).statements:
        match = _STATEMENT.match(sql.without_literals(statement.text).rstrip("; \n"))
        if match is None:
            continue
        made = match["verb"].upper() == "CREATE"
        for name in [match["names"]] if made else match["names"].split(","):
            if word := re.match(r"\s*([\w$]+)", name):
                yield word[1].lower(), made, bool(match["if_exists"])
