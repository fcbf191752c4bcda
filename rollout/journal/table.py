"""Makes the table of the journal's events in docs/architecture.md from their classes.

To write it again:  python -m rollout.journal.table
"""

from __future__ import annotations

import inspect
from dataclasses import Field, fields
from typing import Any

from plugins.module_utils.rollout_core.journal.events import EVENTS, Event
from plugins.module_utils.rollout_core.journal.events.base import key
from rollout import ROOT
from rollout.whole_file import write_whole

PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- made by  python -m rollout.journal.table  from the events' classes -->"
END = "<!-- end of what is made -->"


def table() -> str:
    """Return the table as Markdown: a line for each event, with what it says and its fields in order."""
    rows = [
        f"| `{name}` | {_meaning(kind)} | {', '.join(map(_field, _fields(kind)))} |" for name, kind in EVENTS.items()
    ]
    return "\n".join(["| event | meaning | fields |", "| --- | --- | --- |", *rows])


def page(text: str) -> str:
    """Return the page's text with its table replaced by today's."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def _meaning(kind: type[Event]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split()).replace("|", "\\|")


def _fields(kind: type[Event]) -> tuple[Field[Any], ...]:
    return fields(kind)  # type: ignore[arg-type]  # every event is a dataclass


def _field(each: Field[Any]) -> str:
    """Return a field's key, in brackets if it is optional, with the words that it may hold."""
    words = ", ".join(f"`{word}`" for word in each.metadata.get("one_of", ()))
    told = f"`{key(each)}`{f' ({words})' if words else ''}"
    return f"[{told}]" if each.metadata.get("if_any") else told


if __name__ == "__main__":
    write_whole(PAGE, page(PAGE.read_text(encoding="utf-8")))
