"""docs/hosts.md says what the code needs: groups, packages and formats are those of playbooks, modules and parsers."""

from __future__ import annotations

import re
from collections.abc import Iterable

import yaml

from plugins.module_utils.rollout_core.merge import messages
from plugins.module_utils.rollout_core.schema import budget, patches
from plugins.module_utils.rollout_host.database.connection import REVISION_TABLE
from plugins.module_utils.rollout_host.database.driver import PACKAGES

from .source import ROOT

PAGE = (ROOT / "docs/hosts.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading, up to the next one of its kind or above."""
    level, text = re.search(rf"^(#+) {re.escape(title)}\n(.*)", PAGE, re.MULTILINE | re.DOTALL).groups()  # type: ignore[union-attr]
    return re.split(rf"^#{{1,{len(level)}}} ", text, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:3] == "| `"]


def code(text: str) -> str:
    return re.search(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def groups_of(playbook: str) -> list[str]:
    plays = yaml.safe_load((ROOT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))
    return list(dict.fromkeys(play["hosts"] for play in plays if "hosts" in play))


def words(text: str) -> Iterable[str]:
    return re.findall(r"\w+|[^\w\s]", text)


def test_each_stage_has_the_groups_of_its_playbook():
    process = yaml.safe_load((ROOT / "process.yml").read_text(encoding="utf-8"))
    wanted = {stage["stage"]: groups_of(stage["playbook"]) for stage in process if "playbook" in stage}
    told = {names(stage)[0]: names(groups) for stage, groups in rows(section("Which stage needs which group"))}
    assert told == wanted


def test_each_group_of_a_playbook_is_told():
    found = {group for path in (ROOT / "playbooks").glob("*.yml") for group in groups_of(path.stem)}
    assert {names(row[0])[0] for row in rows(section("The groups"))} == found - {"localhost", "all:!localhost"}


def test_packages_are_those_that_a_host_without_them_is_told_to_install():
    packages = {command.split()[-1] for command in PACKAGES.values()}
    assert packages <= set(names(section("The groups")))
    assert PACKAGES["Debian, Ubuntu"].split()[-1] in (ROOT / "tests/debian_parts.sh").read_text(encoding="utf-8")


def test_the_revision_table_is_the_one_that_is_said():
    assert words(code(section("The revision table"))) == words(REVISION_TABLE)


def test_the_patch_is_one():
    text = section("A patch")
    assert patches.PATTERN in names(text)
    (name,) = {found for found in names(text) if re.fullmatch(r"patch-\d.*(?<!undo)\.sql", found)}
    assert patches.check(name, code(text)) == []


def test_the_log_is_read():
    restore = budget.last_restore(code(section("Times of the patches")))
    assert (restore.seconds, restore.complete) == ({"patch-2208-30-0.sql": 70.5}, True)
    assert budget.EXPECTED_LINE in PAGE


def test_the_commit_tags_are_read():
    bug, no_qa, rollback = (messages.parse(line) for line in code(section("Tags of a commit")).splitlines())
    assert (bug.reviewers, bug.bugs) == (("stub",), (707741,))
    assert no_qa.no_qa
    assert (rollback.release_critical, rollback.rollbacks) == (("statik",), (12730,))


def test_the_header_is_the_one_that_is_looked_at():
    (header,) = re.findall(r"^(X-\w+): ", code(section("The header with the version")), re.MULTILINE)
    role = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles/app_tree").rglob("*.yml"))
    assert f".{header.lower().replace('-', '_')}" in role
