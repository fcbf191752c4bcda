"""The permissions file: how it is read, and what differs from it, as tables (R18)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.schema import permissions, permissions_file
from plugins.module_utils.rollout_core.schema.permissions import Found
from plugins.module_utils.rollout_core.schema.permissions_file import UnreadableError

HERE = Path(__file__).parent
PATH = "security.cfg"
NAME = re.compile(r'(?P<schema>\w+)\.(?P<quote>"?)(?P<name>\w+)"?(?P<arguments>\(.*\))?')


def table(name: str) -> list[Any]:
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


@pytest.mark.parametrize("row", table("files.yml"))
def test_file(row: dict[str, Any]) -> None:
    if "roles" in row:
        wanted = permissions_file.parse(PATH, row["file"])
        read = {
            role: {
                f"{schema}.{name}{arguments}": ", ".join(
                    word for word, letter in permissions_file.LETTERS.items() if letter in right.letters
                )
                for (schema, name, arguments), right in section.rights.items()
            }
            for role, section in wanted.roles.items()
        }
        assert read == row["roles"]
        return
    with pytest.raises(UnreadableError) as raised:
        permissions_file.parse(PATH, row["file"])
    told = str(raised.value).splitlines()
    assert len(told) == len(row["says"]), told
    for line, says in zip(sorted(told), sorted(row["says"]), strict=True):
        assert line.startswith(PATH + says)


def written(sections: dict[str, dict[str, str]]) -> str:
    return "".join(
        f"[{role}]\n" + "".join(f"{key} = {value}\n" for key, value in section.items())
        for role, section in sections.items()
    )


def catalogs(row: dict[str, Any]) -> list[Found]:
    """The row's `roles` and `catalogs` as the query of rollout_host.database.permissions answers them."""
    found = []
    for role, is_a in row["roles"].items():
        section = row["file"].get(role, {"type": "user"})
        kind, groups = (section["type"], is_a) if isinstance(is_a, list) else (is_a, [])
        kind = "SCHEMA" if role in row.get("schemas", []) else kind
        quoted = role if role.isalpha() else f'"{role}"'
        found.append(Found(kind, "", role, "", quoted, "", "", groups))
    for name, items in row["catalogs"].items():
        match = NAME.fullmatch(name)
        assert match
        arguments = match["arguments"] or ""
        kind = "ROUTINE" if arguments else "SEQUENCE" if match["name"].endswith("_seq") else "TABLE"
        of = match["name"].removesuffix("_id_seq") if kind == "SEQUENCE" else ""
        owner = row.get("owner", "postgres")
        found.append(Found(kind, match["schema"], match["name"], arguments, name, owner, of, items))
    return found


@pytest.mark.parametrize("row", table("differences.yml"))
def test_difference(row: dict[str, Any]) -> None:
    wanted = permissions_file.parse(PATH, written(row["file"]))
    statements, problems = permissions.difference(wanted, catalogs(row))
    assert problems == row.get("problems", [])
    if not problems:
        assert statements == row.get("statements", [])


# What a table's items may be: letters of PRIVILEGES, with and without the grant option.
letters = st.lists(st.sampled_from(["a", "r", "w", "d", "D", "x", "t", "r*", "a*"]), max_size=4, unique=True)
names = st.sampled_from(["cron", "web", "other"])


@given(st.dictionaries(names, letters, max_size=3), st.dictionaries(st.sampled_from(["cron", "web"]), letters))
def test_what_is_typed_leads_to_what_is_wanted(held: dict[str, list[str]], wishes: dict[str, list[str]]) -> None:
    """A model of GRANT and REVOKE carries the statements out; then nothing differs, and others have what they had."""
    words = {role: [permissions.PRIVILEGES[item[0]] for item in items] for role, items in wishes.items()}
    sections = {role: {"type": "user", "public.t": ", ".join(words.get(role, []))} for role in ("cron", "web")}
    wanted = permissions_file.parse(PATH, written(sections))
    rights = {role: {item[0]: "*" in item for item in items} for role, items in held.items()}
    for statement in permissions.difference(wanted, rows(rights)).statements:
        carry_out(rights, statement)
    assert permissions.difference(wanted, rows(rights)) == ([], [])
    for role in ("cron", "web"):
        assert rights.get(role, {}) == {permissions_file.LETTERS[word]: False for word in words.get(role, [])}
    assert rights.get("other") == ({item[0]: "*" in item for item in held["other"]} if "other" in held else None)


def rows(rights: dict[str, dict[str, bool]]) -> list[Found]:
    roles = [Found("user", "", role, "", role, "", "", []) for role in ("cron", "web")]
    items = [
        f"{role}={''.join(name + '*' * star for name, star in sorted(of.items()))}/o" for role, of in rights.items()
    ]
    return [*roles, Found("TABLE", "public", "t", "", "public.t", "o", "", items)]


def carry_out(rights: dict[str, dict[str, bool]], statement: str) -> None:
    match = re.fullmatch(r"(GRANT|REVOKE)( GRANT OPTION FOR)? (.+) ON TABLE public\.t (?:TO|FROM) (.+)", statement)
    assert match
    for role in match[4].split(", "):
        for word in match[3].split(", "):
            letter, of = permissions_file.LETTERS[word], rights.setdefault(role, {})
            if match[1] == "REVOKE" and not match[2]:
                del of[letter]
            else:
                of[letter] = False


@given(st.text(max_size=200))
def test_junk_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        permissions_file.parse(PATH, "junk\n" + text)
    assert all(re.match(rf"{PATH}:[0-9]+: ", line) for line in str(raised.value).split("\n"))
