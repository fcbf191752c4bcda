"""Text for people: lengths of time, facts, messages, without characters that harm a terminal or a browser."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from plugins.module_utils.rollout_core import plain_text


def length(duration: timedelta | float | None) -> str:
    """Return 0.50 s, 12.3 s, 4:05 min, 1:02:03 h or 2 d 03:00 h; a dash for None."""
    if duration is None:
        return "–"
    exact = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if exact < 0:
        return "−" + length(-exact)
    if exact < 59.95:
        return f"{exact:.2f} s" if exact < 9.995 else f"{exact:.1f} s"
    seconds = round(exact)
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 60:
        return f"{minutes}:{seconds % 60:02} min"
    if hours < 24:
        return f"{hours}:{minutes % 60:02}:{seconds % 60:02} h"
    return f"{hours // 24} d {hours % 24:02}:{minutes % 60:02} h"


def value_text(value: Any) -> str:
    """Return a fact as text: a text as it is, a list of words with commas, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return ", ".join(str(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def clean(value: Any) -> Any:
    """Text without what a terminal would do and what nobody sees; Markup, and what is no text, as it is."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else plain_text.clean(value)


def as_json(value: Any) -> str:
    """The value as JSON for programs; what is not seen is escaped in it, as JSON does."""
    return plain_text.escaped(json.dumps(value, ensure_ascii=False))
