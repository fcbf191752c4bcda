"""Inputs for readers: a real example, changed a little or a lot, or text of nothing but what a format consists of."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

A_LOT = 20_000  # of one token, one after the other

# What programs and people have put into files, and what has broken readers.
HOSTILE = (
    *("\0", "\x1b[31m", "\x85", "\u2028", "\ufeff", "\ud800", "\U0010ffff", "é", "\u202e", "\r", "\n", "\t", "\f", " "),
    *("9" * 20, "9" * 5000, "-1", "0", "1e999", "-0.0", "nan", "²", "９", "½", "0x1F", "1_000", "true", "null", "~"),
    *("2011-02-30", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-12-09T08:00:00+99:99"),
    *(
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "<",
        ">",
        '"',
        "'",
        "`",
        "$",
        "\\",
        "#",
        "%",
        "&",
        "*",
        "|",
        "-",
        "--",
        ":",
        ";",
        "=",
    ),
    *(
        "{{ 7 * 7 }}",
        "{% raw %}",
        "%(x)s",
        "%s",
        "${HOME}",
        "$$",
        "../..",
        "/*",
        "*/",
        "<!--",
        "<![",
        "&#x;",
        "&#999999999;",
    ),
    *("!!python/object:os.system", "&a [*a, *a]", "<<: *a", "? ", "- - - -", "a" * 300, "[" * 300, '{"a":' * 300),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10**20, 10**400, 1.5, float("inf"), float("nan"), "", "no", "²", "\ud800", "\0\x1b[2J"),
    *([], {}, [[]], [{}], {"": ""}, [None], ["no"], {"a": {"a": {"a": []}}}, "9" * 5000, "2011-02-30", 1e308),
)


def _pieces(text: str) -> list[str]:
    return text.splitlines(keepends=True) or [""]


@st.composite
def texts(draw: Callable[..., Any], examples: Sequence[str], tokens: Sequence[str]) -> str:
    """Draw a text: an example with a few changes; now and then nothing but tokens, or random characters."""
    own = st.sampled_from([*tokens, *HOSTILE])
    kind = draw(st.integers(0, 19))
    if kind == 0:
        return str(draw(st.text(max_size=60)))
    if kind == 1:
        return "".join(draw(st.lists(own, max_size=30)))
    text = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(0, 4))):
        text = _changed(draw, text, own)
    return str(text)


def _changed(draw: Callable[..., Any], text: str, own: st.SearchStrategy[str]) -> str:
    how = draw(st.integers(0, 9))
    if how < 4:  # put something in, or in place of something
        at = draw(st.integers(0, len(text)))
        end = at + (draw(st.integers(0, 12)) if how % 2 else 0)
        return text[:at] + draw(own) * draw(st.sampled_from((1, 1, 1, 2, 40))) + text[end:]
    if how == 4:  # cut off
        return text[: draw(st.integers(0, len(text)))]
    if how == 5:
        at = draw(st.integers(0, len(text)))
        return text[:at] + chr(draw(st.integers(0, 0x10FFFF))) + text[at + 1 :]
    lines = _pieces(text)
    at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    if how == 6:
        del lines[at]
    elif how == 7:
        lines.insert(other, lines[at])
    elif how == 8:
        lines[at], lines[other] = lines[other], lines[at]
    else:  # two lines become one, or one of them another
        lines[at] = lines[at].rstrip("\r\n") if at % 2 else lines[other]
    return "".join(lines)


def long_texts(examples: Sequence[str], tokens: Sequence[str]) -> Iterator[str]:
    """Yield texts with very much of one thing: what takes more than its length times a constant hangs with them."""
    example = examples[0]
    middle = example.rfind("\n", 0, len(example) // 2) + 1
    for token in dict.fromkeys([*tokens, *HOSTILE]):
        much = token * max(2, A_LOT // len(token))
        yield much
        yield example[:middle] + much + example[middle:]
    lines = _pieces(example)
    for line in dict.fromkeys(lines[:40]):
        yield line * max(2, A_LOT // max(1, len(line)))


@st.composite
def values(draw: Callable[..., Any], examples: Sequence[Any], *, only_texts: bool = False) -> Any:
    """Draw plain data as JSON has it: an example in which some values are missing or others, or only texts are."""
    value = copy.deepcopy(draw(st.sampled_from(examples)))
    for _ in range(draw(st.integers(0, 3))):
        value = _other_text(draw, value) if only_texts else _other_value(draw, value)
    return value


def _other_text(draw: Callable[..., Any], value: Any) -> Any:
    """Go down into the value, and change a text that is there."""
    if isinstance(value, dict | list) and value:
        key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
        value[key] = _other_text(draw, value[key])
        return value
    if isinstance(value, str):
        return value + draw(st.sampled_from(HOSTILE)) if draw(st.booleans()) else draw(st.sampled_from(HOSTILE))
    return value


def _other_value(draw: Callable[..., Any], value: Any) -> Any:
    """Go down into the value, at most ten times, and change what is there."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 5)) == 0:
        return copy.deepcopy(draw(st.sampled_from(VALUES)))
    key = draw(st.sampled_from(list(value) if isinstance(value, dict) else range(len(value))))
    how = draw(st.integers(0, 7))
    if how == 0:
        del value[key]
    elif how == 1 and isinstance(value, list):
        value.append(copy.deepcopy(value[key]))
    else:
        value[key] = _other_value(draw, value[key])
    return value


def deep_values(examples: Sequence[Any]) -> Iterator[Any]:
    """Yield data nested deeper than anybody means, in the place of each value near the top, as json reads it."""
    for example in examples:
        for place in _places(example):
            for deep in ("[" * 300 + "]" * 300, '{"a":' * 900 + "1" + "}" * 900):
                value = copy.deepcopy(example)
                inner = value
                for key in place[:-1]:
                    inner = inner[key]
                if place:
                    inner[place[-1]] = json.loads(deep)
                yield value if place else json.loads(deep)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if len(at) < 3:
        keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        for key in keys:
            yield from _places(value[key], (*at, key))
