"""Text for people: lengths of time, facts, messages, without characters that harm a terminal or a browser."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from markupsafe import Markup

TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


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
    """Text without a terminal's colour codes and without what no browser can show."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", TERMINAL_CODES.sub("", value))
