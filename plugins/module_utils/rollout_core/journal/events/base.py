"""The base of the journal's events: a frozen dataclass, read from a line's fields and written as them.

An event's name in the file is that of its class: StageStarted is `stage_started`. A field's key is its name, in the
order of the class, without the underscore behind a word of Python's (`from_`, `as_`). Instants are ISO 8601 there.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import datetime
from typing import Any, ClassVar, Mapping, Sequence

from ...time.timeline import parse_instant

INSTANTS = ("datetime", "datetime | None")


class Event:
    """One thing that happened to a rollout."""

    event_name: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Name the event after its class, unless the class gives a name."""
        cls.event_name = vars(cls).get("event_name") or re.sub(r"(?<=.)([A-Z])", r"_\1", cls.__name__).lower()

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of its line, without `event`, in the order of the class."""
        told: dict[str, Any] = {}
        for each in fields(self):  # type: ignore[arg-type]  # every event is a dataclass
            value = getattr(self, each.name)
            if value or not each.metadata.get("if_any"):
                told[key(each)] = value.isoformat() if isinstance(value, datetime) else value
        return told


@dataclass(frozen=True)
class UnknownEvent(Event):
    """An event that only a newer version knows. It is kept in the file and otherwise ignored."""

    name: str


def if_any(default: Any = MISSING) -> Any:
    """Return a field that is left out of the line when empty; a line without it reads as None, or as the default."""
    return field(default=default, metadata={"if_any": True})


def or_else(value: Any, one_of: Sequence[str] = ()) -> Any:
    """Return a field that is always written; a line without it, as written by hand, reads as `value`."""
    return field(metadata={"or_else": value, "one_of": one_of})


def one_of(*words: str) -> Any:
    """Return a field that holds one of these words."""
    return field(metadata={"one_of": words})


def key(each: Field[Any]) -> str:
    """Return the key under which the field stands in a line."""
    return each.name.rstrip("_")


def needed(each: Field[Any]) -> bool:
    """Return True if a line without this field cannot be read."""
    return _fallback(each) is MISSING


def read(kind: type[Event], told: Mapping[str, Any]) -> Event:
    """Return the event that a line's fields stand for; keys that only a newer version knows are ignored.

    Raises ValueError for a field that is missing, and for an instant that is none.
    """
    values: dict[str, Any] = {}
    for name, written, is_instant, fallback in _shape(kind):
        value = told.get(written)
        if value is not None:
            values[name] = parse_instant(value) if is_instant else value
        elif fallback is not MISSING:
            values[name] = fallback
        elif written in told:
            values[name] = None
        else:
            raise ValueError(f"{kind.event_name} has no `{written}`")
    return kind(**values)


_SHAPES: dict[type[Event], list[tuple[str, str, bool, Any]]] = {}


def _shape(kind: type[Event]) -> list[tuple[str, str, bool, Any]]:
    """Return for each field its name, its key, whether it is an instant, and what stands for a missing one."""
    if kind not in _SHAPES:
        _SHAPES[kind] = [
            (each.name, key(each), each.type in INSTANTS, _fallback(each))
            for each in fields(kind)  # type: ignore[arg-type]
        ]
    return _SHAPES[kind]


def _fallback(each: Field[Any]) -> Any:
    if "or_else" in each.metadata:
        return each.metadata["or_else"]
    return None if each.default is MISSING and each.metadata.get("if_any") else each.default
