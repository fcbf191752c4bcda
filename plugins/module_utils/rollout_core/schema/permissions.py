"""Compares a permissions file with the catalogs, and makes the statements that bring them in line (R18).

The file is the whole truth for the roles in it, and says nothing of others. Owners and superusers are left alone, and
so are PUBLIC (but for the schemas that it may use), columns and default privileges.
"""

from __future__ import annotations

import difflib
import re
from typing import Container, Iterable, Mapping, NamedTuple, Sequence

from .permissions_file import LETTERS, Key, Letters, Right, WantedPermissions

PRIVILEGES = {letter: privilege for privilege, letter in LETTERS.items()}
KINDS = {"TABLE": "rawdDxtm", "SEQUENCE": "rwU", "ROUTINE": "X"}
SCHEMA = "SCHEMA"
_ITEM = re.compile(r'("(?:[^"]|"")*"|[^"=]*)=([A-Za-z*]*)/')


class Found(NamedTuple):
    """One object, role or schema in the catalogs; names in `statement` are quoted if they must be.

    For an object, `kind` is a key of `KINDS`, with its `owner`, the table that owns a sequence (`of`, "" for none) and
    its aclitem[] as `items`. For a role, `kind` is `user`, `group` or `superuser`, and `items` what `name` is a member
    of. For a schema it is `SCHEMA`, and `items` is empty unless PUBLIC may use it.
    """

    kind: str
    schema: str
    name: str
    arguments: str
    statement: str
    owner: str
    of: str
    items: Sequence[str]


class Difference(NamedTuple):
    """The statements that make the catalogs match the file, and problems that no statement solves: missing things."""

    statements: list[str]
    problems: list[str]


def difference(wanted: WantedPermissions, found: Iterable[Found], same: Mapping[Key, str] = {}) -> Difference:
    """Return the statements to run, and a problem for each role, table, sequence or function that is missing.

    `same` are the kinds of objects that are known to be as wanted, which are not in `found`.
    """
    roles: dict[str, Found] = {}
    groups: dict[str, Found] = {}
    schemas: dict[str, Found] = {}
    things: list[Found] = []
    for one in found:
        if one.kind in KINDS:
            things.append(one)
        elif one.kind == SCHEMA:
            schemas[one.name] = one
        elif one.name in wanted.roles:
            roles[one.name] = one
        else:
            groups[one.name] = one
    ours = [name for name, role in roles.items() if role.kind != "superuser"]
    change = _Changes()
    for thing in things:
        if not as_wanted(wanted, roles, thing):
            _compare(wanted, ours, thing, change)
    memberships = [statement for name in ours for statement in _memberships(wanted, {**groups, **roles}, name)]
    unknown = [(name, line) for name, line in wanted.schemas.items() if name not in schemas]
    problems = [
        *(f"{wanted.path}:{line}: there is no schema {name}" for name, line in unknown),
        *_role_problems(wanted, {**groups, **roles}),
        *_problems(wanted, {**same, **{key_of(thing): thing.kind for thing in things}}),
    ]
    quoted = {name: role.statement for name, role in roles.items()}
    used = [f"GRANT USAGE ON SCHEMA {one.statement} TO PUBLIC" for one in schemas.values() if not one.items]
    return Difference([*used, *memberships, *change.statements(quoted)], problems)


class _Changes:
    """The changes to make: which roles get or lose which privileges on what."""

    def __init__(self) -> None:
        self._roles: dict[tuple[str, str, str, Letters], list[str]] = {}

    def add(self, verb: str, thing: Found, role: str, letters: Letters) -> None:
        if letters:
            self._roles.setdefault((verb, thing.kind, thing.statement, letters), []).append(role)

    def statements(self, quoted: Mapping[str, str]) -> list[str]:
        """Return as few statements as possible: roles with the same change share one, which is several times faster."""
        together: dict[tuple[str, str, Letters, tuple[str, ...]], list[str]] = {}
        for (verb, kind, name, letters), roles in self._roles.items():
            together.setdefault((verb, kind, letters, tuple(sorted(roles))), []).append(name)
        all_of_them = sorted(together.items(), key=lambda one: one[0][0] == "GRANT")
        return [
            f"{verb.split()[0]}{' GRANT OPTION FOR' if 'OPTION' in verb else ''} {_words(letters)} ON {kind} "
            f"{', '.join(names)} {'TO' if verb == 'GRANT' else 'FROM'} {', '.join(quoted[role] for role in roles)}"
            for (verb, kind, letters, roles), names in all_of_them
        ]


def as_wanted(wanted: WantedPermissions, roles: Container[str], thing: Found) -> bool:
    """Return True if an object's items are those that the file wants, apart from other roles' items."""
    key = key_of(thing)
    parts = wanted.items.get(key)
    if thing.of and parts is None:
        parts = wanted.serial.get((thing.schema, thing.of, ""))
    elif thing.of:
        return False
    expected = {part + thing.owner for part in parts or ()}
    others = [item for item in thing.items if item not in expected]
    ours = any(item.partition("=")[0].strip('"') in roles for item in others)
    return not ours and len(others) + len(expected) == len(thing.items)


def _compare(wanted: WantedPermissions, ours: Sequence[str], thing: Found, change: _Changes) -> None:
    """Add the changes that one object needs."""
    key = key_of(thing)
    held: dict[str, str] = {}
    for item in thing.items:
        match = _ITEM.match(item)
        if match is not None:
            role = match[1] if match[1][:1] != '"' else match[1][1:-1].replace('""', '"')
            held[role] = held.get(role, "") + match[2]
    for role in ours:
        rights = wanted.roles[role].rights
        right = rights.get(key)
        letters = right.letters if right else _of_its_table(rights, thing)
        has = held.get(role, "")
        if role == thing.owner or (not has and not letters):
            continue
        now = frozenset(has) - {"*"}
        change.add("REVOKE", thing, role, (now - letters) & frozenset(PRIVILEGES))
        change.add("GRANT", thing, role, letters - now)
        if "*" in has:
            options = frozenset(letter for letter, star in zip(has, has[1:]) if star == "*")
            change.add("REVOKE GRANT OPTION", thing, role, options & letters)


def key_of(thing: Found) -> Key:
    """Return an object's key in the file: types of `public` have no schema there, whatever the search path."""
    return thing.schema, thing.name, thing.arguments.replace("public.", "")


def _of_its_table(rights: Mapping[Key, Right], sequence: Found) -> Letters:
    """Return the rights on a serial column's sequence: whoever inserts into its table needs it, so no file names it."""
    table = rights.get((sequence.schema, sequence.of, "")) if sequence.of else None
    return frozenset("U") if table and "a" in table.letters else frozenset()


def _memberships(wanted: WantedPermissions, roles: Mapping[str, Found], name: str) -> list[str]:
    groups = wanted.roles[name].groups
    has = set(roles[name].items)
    member = roles[name].statement
    given = [f"GRANT {roles[group].statement} TO {member}" for group in sorted(groups - has) if group in roles]
    taken = sorted((has & wanted.roles.keys()) - groups)  # of others the file says nothing
    return [*(f"REVOKE {roles[group].statement} FROM {member}" for group in taken), *given]


def _role_problems(wanted: WantedPermissions, roles: Mapping[str, Found]) -> list[str]:
    problems = []
    for name, role in wanted.roles.items():
        where = f"{wanted.path}:{role.line}: role {name}"
        if name not in roles:
            problems.append(f"{where} is not there")
        elif roles[name].kind != "superuser" and role.login != (roles[name].kind == "user"):
            said, is_so = ("user", "may not log in") if role.login else ("group", "may log in")
            problems.append(f"{where} has type {said} here, but it {is_so}")
        missing = sorted(group for group in role.groups - wanted.roles.keys() if group not in roles)
        problems += [f"{where}: there is no group {group}" for group in missing]
    return problems


def _problems(wanted: WantedPermissions, kinds: Mapping[Key, str]) -> list[str]:
    allowed = {kind: frozenset(letters) for kind, letters in KINDS.items()}
    problems = []
    for role, section in wanted.roles.items():
        for key, right in section.rights.items():
            kind = kinds.get(key)
            if kind is not None and right.letters <= allowed[kind]:
                continue
            where = f"{wanted.path}:{right.line}: role {role}:"
            if kind is None:
                what = "function" if key[2] else "table, view or sequence"
                problems.append(f"{where} there is no {what} {_text(key)}{_meant(key, kinds)}")
            else:
                wrong = _words(right.letters - allowed[kind])
                problems.append(f"{where} {wrong} is no privilege on {_text(key)}, a {kind.lower()}")
    return problems


def _meant(key: Key, kinds: Mapping[Key, str]) -> str:
    """Return a hint at what may have been meant: the function with other types, or a similar name."""
    same = [_text(other) for other in kinds if other[:2] == key[:2]]
    near = same or difflib.get_close_matches(_text(key), [_text(other) for other in kinds], 1)
    return f" (there is {near[0]})" if near else ""


def _words(letters: Letters) -> str:
    return ", ".join(privilege for privilege, letter in LETTERS.items() if letter in letters)


def _text(key: Key) -> str:
    return f"{key[0]}.{key[1]}{key[2]}"
