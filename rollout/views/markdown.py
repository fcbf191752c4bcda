"""Fills in Markdown templates; text from outside cannot change their structure."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from plugins.module_utils.rollout_core.journal.incidents import first_sentence
from rollout.views.text import clean, length


def render(template: str, **values: Any) -> str:
    """Fill in a Markdown template of this directory. Raises jinja2.UndefinedError for a value that is not given."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    """Return Jinja's environment, which keeps compiled templates."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  Markdown, not HTML: `one_line` and `fenced` keep text in its place
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "fenced": fenced,
        "one_line": one_line,
        "first_sentence": first_sentence,
        "length": length,
    }
    environment.filters.update(filters)
    return environment


def one_line(text: str) -> str:
    """Return a text that stays in its line and its table cell, and is no HTML."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def fenced(text: str) -> str:
    """Return a text as a code block that nothing inside it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
