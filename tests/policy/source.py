"""The project's YAML with the line of every mapping, and what a check says when it finds something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes
import pytest
import yaml
from ansible.playbook.block import Block
from ansible.playbook.task import Task

ROOT = Path(__file__).resolve().parents[2]
# Ansible's own list of keywords, so that what is left over in a task is its module.
KEYWORDS = {*Task.fattributes, *Block.fattributes, "local_action"} - {"action"}
TASK_LISTS = ("pre_tasks", "tasks", "post_tasks", "handlers")
CONDITIONS = {"when", "that", "changed_when", "failed_when", "until"}
JINJA = jinja2.Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])  # noqa: S701  only parses
COLLECTION = "downtime.runbook."
BLOCK_PARTS = ("block", "rescue", "always")


@dataclass(frozen=True)
class Finding:
    """One violation: where it is, what it is, and what to do about it."""

    path: str
    line: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.problem}\n    {self.remedy}"


class Located(dict[Any, Any]):
    """A mapping of a YAML file that knows its line, and the line of each of its keys."""

    def __init__(
        self, pairs: Iterable[tuple[Any, Any]] = (), line: int = 1, lines: dict[Any, int] | None = None
    ) -> None:
        super().__init__(pairs)
        self.line = line
        self.lines = lines or {}

    def line_of(self, key: object) -> int:
        """Line of `key`, or of the mapping itself where the key is missing."""
        return self.lines.get(key, self.line)


class LocatedLoader(yaml.CSafeLoader):
    """A safe loader whose mappings are `Located` and whose unknown tags (!vault, !unsafe) are plain text."""


def _mapping(loader: LocatedLoader, node: yaml.MappingNode) -> Located:
    loader.flatten_mapping(node)  # `<<: *anchor`, as Ansible reads it
    lines = {loader.construct_object(key): key.start_mark.line + 1 for key, _ in node.value}
    return Located(loader.construct_pairs(node, deep=True), node.start_mark.line + 1, lines)


LocatedLoader.add_constructor("tag:yaml.org,2002:map", _mapping)
LocatedLoader.add_constructor("tag:yaml.org,2002:timestamp", LocatedLoader.construct_yaml_str)
LocatedLoader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


@dataclass(frozen=True)
class Source:
    """One YAML file: its path as a person says it, its text, and its document."""

    path: str
    text: str
    document: Any

    @classmethod
    def read(cls, path: Path, root: Path = ROOT) -> Source:
        """Parse the file at `path`; its name in findings is relative to `root`."""
        return cls.parse(str(path.relative_to(root)), path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, path: str, text: str) -> Source:
        """Parse `text`. Raises yaml.YAMLError, which says line and column itself."""
        return cls(path, text, yaml.load(text, Loader=LocatedLoader))  # noqa: S506  a SafeLoader

    def finding(self, line: int, problem: str, remedy: str) -> Finding:
        """A finding in this file."""
        return Finding(self.path, line, problem, remedy)


@cache
def playbooks(root: Path = ROOT) -> tuple[Source, ...]:
    """Every playbook, by name."""
    return tuple(Source.read(path, root) for path in sorted((root / "playbooks").glob("*.yml")))


def tasks_of(document: Any) -> Iterator[Located]:
    """Every task of a playbook or of a task file, blocks and what is inside them included, in order."""
    for item in document or ():
        if "hosts" in item:
            for part in TASK_LISTS:
                yield from tasks_of(item.get(part))
            continue
        yield item
        for part in BLOCK_PARTS:
            yield from tasks_of(item.get(part))


def module_of(task: Located) -> str | None:
    """The task's module or action as it is written, None for a block."""
    names = [key for key in task if key not in KEYWORDS and not str(key).startswith("with_")]
    return names[0] if names else None


def short(name: str | None) -> str:
    """`ansible.builtin.shell` -> `shell`."""
    return (name or "").rpartition(".")[2]


def role_of(task: Located) -> tuple[str, Any]:
    """The role and entry point that an include_role or import_role names: a role of ours by its last word."""
    included = task[module_of(task)]
    name = str(included.get("name"))
    return name[len(COLLECTION) :] if name.startswith(COLLECTION) else name, included.get("tasks_from")


def templates_of(task: Located) -> Iterator[str]:
    """Every template of a task or a play, not of the tasks inside it; conditions are put into their braces."""
    yield from _templates({key: value for key, value in task.items() if key not in (*TASK_LISTS, *BLOCK_PARTS)})


def _templates(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            yield from _templates(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from _templates(inner, key)
    elif isinstance(value, str) and key in CONDITIONS:
        yield f"{{{{ {value} }}}}"
    elif isinstance(value, str) and ("{{" in value or "{%" in value):
        yield value


def names_in(template: str) -> set[str]:
    """The names that a template uses; none where it does not parse, which is a finding of its own."""
    try:
        return {name.name for name in JINJA.parse(template).find_all(jinja2.nodes.Name)}
    except jinja2.TemplateSyntaxError:
        return set()


def stands(findings: Iterable[Finding]) -> None:
    """Fail the test with every finding on its own lines, and with nothing else."""
    found = [str(finding) for finding in findings]
    if found:
        pytest.fail("\n" + "\n".join(found), pytrace=False)
