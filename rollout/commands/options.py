"""Options that several commands have, and how instants are typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from plugins.module_utils.rollout_core.time import timeline
from rollout.outcomes import BadInputError

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def inventory_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add -i inventories/X to a command."""
    path = click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True)
    return click.option("-i", "--inventory", type=path, help="An inventory directory; otherwise the plan's.")(command)


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
