"""The permissions file, which says who may do what in the database (R18); roles/database/README.md has the format."""

from __future__ import annotations

import re
from typing import FrozenSet, Mapping, NamedTuple, Tuple

# As aclitem writes them (PostgreSQL's documentation, 5.8 Privileges), in the order in which statements name them.
LETTERS = {
    "SELECT": "r",
    "INSERT": "a",
    "UPDATE": "w",
    "DELETE": "d",
    "TRUNCATE": "D",
    "REFERENCES": "x",
    "TRIGGER": "t",
    "MAINTAIN": "m",
    "USAGE": "U",
    "EXECUTE": "X",
}
_ORDER = "arwdDxtXUm"
_IDENTIFIER = r'(?:[^\W\d][\w$]*|"(?:[^"]|"")+")'
_NAME = re.compile(rf"({_IDENTIFIER})\s*\.\s*({_IDENTIFIER})\s*(?:\(([^()]*)\))?")
_PRIVILEGE = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN"
_DEFAULT = "DEFAULT"
TOLD = 20  # problems in one message
Key = Tuple[str, str, str]  # schema, name, argument types in parentheses ("" for what is not called)
Letters = FrozenSet[str]


class Right(NamedTuple):
    """A role's rights on one object (letters of `LETTERS`), and the line that gives them."""

    letters: Letters
    line: int


class Role(NamedTuple):
    """One section of the file. `login`: its type is `user`, which may log in."""

    login: bool
    groups: frozenset[str]
    rights: Mapping[Key, Right]
    line: int


class WantedPermissions(NamedTuple):
    """The content of a permissions file: its roles by name. `groups` are roles that it names without a section.

    `items` has, by object, what its aclitem[] begin with if all is as it should be; `serial`, by table, the same for
    the sequence of its serial column. Almost always it is, so that comparing texts is enough.
    """

    path: str
    roles: Mapping[str, Role]
    schemas: Mapping[str, int]  # the schemas that PUBLIC may use, each with its line
    items: Mapping[Key, list[str]]
    serial: Mapping[Key, list[str]]

    @property
    def groups(self) -> frozenset[str]:
        """Return the groups that have no section of their own."""
        return frozenset(group for role in self.roles.values() for group in role.groups) - self.roles.keys()


class UnreadableError(ValueError):
    """An error: a permissions file cannot be read; the text lists everything that is wrong, each with its line."""


def parse(path: str, text: str) -> WantedPermissions:
    """Return the content of a permissions file; `path` is for messages. Raises UnreadableError.

    It does not use configparser: errors found later, in the database, must name a line too.
    """
    reader = _Reader(path)
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        stripped = re.sub(r"(?:^|\s)[#;].*", "", line).strip()
        if stripped:
            reader.take(number, stripped)
    return reader.wanted()


class _Reader:
    """Reads the file line by line, and keeps what was read so far."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[str] = []
        self.lines: dict[str, int] = {}  # of sections
        self.options: dict[str, dict[str, tuple[str, int]]] = {}
        self.rights: dict[str, dict[Key, Right]] = {}
        self.section = ""
        self.default = 0  # the line of [DEFAULT]
        self.schemas: dict[str, int] = {}

    def take(self, number: int, line: str) -> None:
        key, equals, value = (part.strip() for part in line.partition("="))
        if line.startswith("["):
            self._begin(number, line)
        elif not equals:
            self._problem(number, f"expected NAME = PRIVILEGE, …, found {line!r}")
        elif not self.lines and not self.default:
            self._problem(number, "expected [ROLE] before the first line of permissions")
        elif self.section == _DEFAULT:
            self._default(number, key, value)
        elif key in ("type", "groups"):
            self._once(number, key, self.options[self.section].get(key, ("", 0))[1])
            self.options[self.section][key] = (value, number)
        else:
            self._right(number, key, value)

    def _begin(self, number: int, line: str) -> None:
        match = re.fullmatch(r"\[\s*(.+?)\s*\]", line)
        self.section = match[1] if match else line
        if self.section.lower() == "default":
            self.section = _DEFAULT
            self._once(number, "[DEFAULT]", self.default)
            self.default = number
            return
        if match is None:
            self._problem(number, f"expected [ROLE], found {line!r}")
        elif self.section.lower() == "public":
            self._problem(number, f"expected a role; {self.section} is none: what PUBLIC may do belongs in a patch")
        self._once(number, f"[{self.section}]", self.lines.get(self.section, 0))
        self.lines.setdefault(self.section, number)
        self.options.setdefault(self.section, {})
        self.rights.setdefault(self.section, {})

    def _default(self, number: int, key: str, value: str) -> None:
        if key == "public_schemas":
            self.schemas.update((_folded(schema), number) for schema in _listed(value))
        else:
            self._problem(number, f"expected public_schemas in [DEFAULT], found {key!r}")

    def _right(self, number: int, key: str, value: str) -> None:
        name = _NAME.fullmatch(key)
        if name is None:
            self._problem(number, f"expected type, groups, SCHEMA.NAME or SCHEMA.FUNCTION(TYPE, …), found {key!r}")
            return
        arguments = name[3]
        types = "" if arguments is None else f"({', '.join(part.strip() for part in arguments.split(','))})"
        where = (_folded(name[1]), _folded(name[2]), types)
        words = [word.upper() for word in _listed(value)]
        allowed = {"EXECUTE"} if types else set(LETTERS) - {"EXECUTE"}
        if wrong := [word for word in words if word not in allowed]:
            expected = "EXECUTE" if types else f"{_PRIVILEGE}; of a sequence USAGE, SELECT, UPDATE"
            self._problem(number, f"{wrong[0]} is no privilege on {key}; expected {expected}")
        rights = self.rights[self.section]
        self._once(number, key, rights[where].line if where in rights else 0)
        rights[where] = Right(frozenset(LETTERS.get(word, "") for word in words), number)

    def _once(self, number: int, what: str, before: int) -> None:
        if before:
            self._problem(number, f"{what} is there twice, on line {before} too")

    def _problem(self, number: int, sentence: str) -> None:
        self.problems.append(f"{self.path}:{number}: {sentence}")

    def wanted(self) -> WantedPermissions:
        roles = {}
        for name, line in self.lines.items():
            options = self.options[name]
            kind, at = options.get("type", ("", line))
            if kind not in ("user", "group"):
                self._problem(at, f"expected type = user (it may log in) or type = group, found {kind or 'none'}")
            groups, at = options.get("groups", ("", line))
            for group in _listed(groups):
                if group == name:
                    self._problem(at, f"expected other roles as groups, found {group}")
            roles[name] = Role(kind == "user", frozenset(_listed(groups)), self.rights[name], line)
        if not roles:
            self._problem(1, "expected at least one section [ROLE]")
        if self.problems:
            raise UnreadableError("\n".join(self.problems[:TOLD]))
        return WantedPermissions(self.path, roles, self.schemas, *_items(roles))


def _items(roles: Mapping[str, Role]) -> tuple[dict[Key, list[str]], dict[Key, list[str]]]:
    items: dict[Key, list[str]] = {}
    serial: dict[Key, list[str]] = {}
    for name, role in roles.items():
        grantee = name if re.fullmatch(r"\w+", name, re.ASCII) else '"' + name.replace('"', '""') + '"'
        for key, right in role.rights.items():
            letters = "".join(sorted(right.letters, key=_ORDER.index))
            items.setdefault(key, []).extend([f"{grantee}={letters}/"] if letters else [])
            serial.setdefault(key, []).extend([f"{grantee}=U/"] if "a" in right.letters else [])
    return items, serial


def _folded(identifier: str) -> str:
    """Return an identifier as PostgreSQL reads it: in lower case unless it is quoted."""
    quoted = identifier.startswith('"')
    return identifier[1:-1].replace('""', '"') if quoted else identifier.lower()


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
