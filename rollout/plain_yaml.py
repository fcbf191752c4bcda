"""YAML as documents have it: plain values, and no more of them than a document of ours can need.

PyYAML recurses as deep as a text nests (libyaml crashes), gives what aliases name as often as they do, lets the last of
two equal keys win, and raises what Python raises for a date or a number that there is not. Here each is a YAMLError
that names the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

DEEPEST = 50  # collections in one another; a process has 8
MOST_VALUES = 1_000_000  # aliases count as what they stand for
LARGEST_INT = 2**63
SHOWN = 60  # characters of what was found
TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")}
EXPECTED = {
    "timestamp": "an instant that there is, such as 2026-12-09T08:00:00Z",
    "int": f"a whole number below {LARGEST_INT}",
}
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast where libyaml is


class Loader(_PARSER):  # type: ignore[misc,valid-type]  # one of two
    """PyYAML's safe loader, which names the line of a value that it cannot make."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own
        """Return what the node stands for. Raises YAMLError."""
        try:
            made = super().construct_object(node, deep=deep)
        except (ValueError, AttributeError, ArithmeticError, TypeError, LookupError) as error:
            raise _refused(node, str(error) if isinstance(error, ValueError) else "") from error
        if isinstance(made, int) and abs(made) >= LARGEST_INT:
            raise _refused(node, "too large")
        return made


def load(text: str) -> Any:
    """Return what the text stands for. Raises yaml.YAMLError, with the line where there is one."""
    check(text)
    return yaml.load(text, Loader=Loader)  # noqa: S506 - it is a safe one


def compose(text: str) -> yaml.Node | None:
    """Return the text's nodes, None for an empty one. Raises yaml.YAMLError."""
    check(text)
    node: yaml.Node | None = yaml.compose(text, Loader=Loader)
    return node


@dataclass
class _Open:
    """A collection that has begun: its anchor, how many values it has by now, and the keys of a mapping."""

    event: Any
    values: int = 1
    is_mapping: bool = False
    items: int = 0
    keys: set[str] = field(default_factory=set)


def check(text: str) -> None:
    """Raise yaml.YAMLError if the text nests too deep, is too large, has a key twice or a tag that is not plain."""
    stack, sizes = [_Open(yaml.Event())], {}
    for event in _events(text):
        if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if len(stack) > DEEPEST:
                raise _error(event, f"it is nested deeper than {DEEPEST} levels")
            _plain_tag(event)
            stack.append(_Open(event, is_mapping=isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            closed = stack.pop()
            sizes[closed.event.anchor] = closed.values
            _count(stack[-1], closed.event, closed.values)
        elif isinstance(event, yaml.ScalarEvent):
            _plain_tag(event)
            _unlike_the_others(stack[-1], event)
            sizes[event.anchor] = 1
            _count(stack[-1], event, 1)
        elif isinstance(event, yaml.AliasEvent):
            if any(each.event.start_mark and each.event.anchor == event.anchor for each in stack[1:]):
                raise _error(event, f"*{event.anchor} stands inside of what it stands for")
            _count(stack[-1], event, sizes.get(event.anchor, 1))


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_PARSER)


def _count(into: _Open, event: Any, values: int) -> None:
    into.values += values
    into.items += 1
    if into.values > MOST_VALUES:
        raise _error(event, f"it holds more than {MOST_VALUES} values, aliases included")


def _plain_tag(event: Any) -> None:
    if event.tag not in {None, "!", *TAGS}:
        raise _error(event, f"the tag {event.tag[:SHOWN]!r} is not known here; expected plain YAML")


def _unlike_the_others(mapping: _Open, event: Any) -> None:
    """Refuse a scalar that is the mapping's key for the second time: which of the two values counts, nobody knows."""
    if mapping.is_mapping and mapping.items % 2 == 0:
        if event.value in mapping.keys:
            raise _error(event, f"the key {event.value[:SHOWN]!r} is there already; expected it once")
        mapping.keys.add(event.value)


def _error(event: Any, problem: str) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _refused(node: yaml.Node, why: str) -> yaml.YAMLError:
    kind = node.tag.rpartition(":")[2]
    value = str(node.value)
    found = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    expected = EXPECTED.get(kind, "a plain value")
    reason = why.splitlines()[0] if why and len(why) <= SHOWN and kind != "int" else ""
    problem = f"{found!r} cannot be read{f' ({reason})' if reason else ''}; expected {expected}"
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
