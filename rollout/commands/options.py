"""Options that several commands have, and how instants are typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter
from pydantic_core import ValidationError

from plugins.module_utils.rollout_core.time import timeline
from rollout import ROOT, site
from rollout.fields import Branch, Line
from rollout.outcomes import BadInputError
from rollout.views import pasted

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Text(click.ParamType[str]):
    """Text that goes on record, to a terminal or to Ansible: held to the same as in a plan (fields.Line)."""

    name = "text"

    def __init__(self, kind: Any) -> None:
        self._kind = TypeAdapter(kind)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        """Return the text in one line. Raises BadInputError."""
        line = " ".join(value.split())
        try:
            if line:  # without any, the command says what is missing
                self._kind.validate_python(line)
        except ValidationError as error:
            what = error.errors()[0]["msg"].removeprefix("Value error, ")
            name = param.opts[0] if param else "text"
            said = f"E-bad-text  {name}: {what[0].lower()}{what[1:]}; nothing was touched."
            raise BadInputError(said) from error
        return line


LINE, BRANCH = _Text(Line), _Text(Branch)


def _of_the_site(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Return the inventory: the one that was typed, else the site. Raises BadInputError for two different ones."""
    here = site.directory()
    if value is not None and here is not None and value != here:
        raise BadInputError(f"E-two-sites  -i {value} is not the site, {here}.\n  Leave one of them out.")
    if value is not None:
        pasted.with_inventory(value)
    return value or here


def _or_the_labs(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path:
    return _of_the_site(context, parameter, value) or ROOT / "inventories" / "lab"


def _inventory(
    callback: Callable[..., Path | None], otherwise: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    path = click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True)
    said = f"An inventory directory; otherwise the site, or {otherwise}."
    return click.option("-i", "--inventory", type=path, callback=callback, help=said)


inventory_option = _inventory(_of_the_site, "the plan's")
INVENTORY = _inventory(_or_the_labs, "the lab")


def plan_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --plan FILE to a command."""
    return click.option("--plan", "plan_file", type=FILE, help="A plan file; otherwise the open plan.")(command)


def instant(text: str) -> datetime:
    """Return an instant that was typed. Raises BadInputError."""
    try:
        return timeline.parse_instant(text)
    except ValueError as error:
        raise BadInputError(f"E-bad-instant  {error}.") from error


def instant_or_none(text: str | None) -> datetime | None:
    """Return an instant that was typed, or None if none was. Raises BadInputError."""
    return instant(text) if text else None
