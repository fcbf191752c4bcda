"""The filters of the templates: dates, lengths and lists in the words of real announcements.

Each returns a placeholder («when it was aborted») unchanged, so that a preview can show what is not known yet.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from plugins.module_utils.rollout_core import plain_text

ELLIPSIS = "…"
REORDERING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])  # turn what follows them around


def clock(instant: datetime | str) -> str:
    """Return an instant in UTC as `23.00`, with the dot of real announcements."""
    return instant if isinstance(instant, str) else f"{instant:%H.%M}"


def day(instant: datetime | str) -> str:
    """Return an instant's day as `10th of February 2011`."""
    return instant if isinstance(instant, str) else f"{_day_and_month(instant)} {instant:%Y}"


def moment(instant: datetime | str) -> str:
    """Return an instant as `23.00 UTC 10th of February 2011`, the form that it has in a template without a filter."""
    return instant if isinstance(instant, str) else f"{clock(instant)} UTC {day(instant)}"


def span(start: datetime, end: datetime) -> str:
    """Return `22.00-23.30 UTC 3rd of December 2009`; both days, or both years, if they differ."""
    if start.date() == end.date():
        return f"{clock(start)}-{clock(end)} UTC {day(start)}"
    first = _day_and_month(start) if start.year == end.year else day(start)
    return f"{clock(start)} UTC {first} to {clock(end)} UTC {day(end)}"


def lasting(length: timedelta | float | str) -> str:
    """Return minutes, or a timedelta, as `90 minutes`, rounded up to whole ones; below 90 s in seconds."""
    if isinstance(length, str):
        return length
    seconds = length.total_seconds() if isinstance(length, timedelta) else length * 60
    if 0 < seconds < 1:
        return "less than a second"
    number, unit = (
        (math.ceil(seconds), "second") if seconds < 90 and seconds % 60 else (math.ceil(seconds / 60), "minute")
    )
    return f"{number} {unit}{'' if number == 1 else 's'}"


def listed(names: Iterable[str]) -> str:
    """Return names as `soyuz, codehosting and translations`."""
    *most, last = [*names] or [""]
    return f"{', '.join(most)} and {last}" if most else last


def paragraph(text: str) -> str:
    """Return a template's text as one line, which a mail wraps; an empty string if there is no text."""
    line = " ".join(text.split())
    return f"{line}\n" if line else ""


def cut(text: str, most: int) -> str:
    """Return a text cut after a word to at most `most` bytes of UTF-8: channels have limits."""
    if len(text.encode()) <= most:
        return text
    kept = text.encode()[: most - len(ELLIPSIS.encode())].decode(errors="ignore")
    while unicodedata.combining(text[len(kept)]):  # not between a letter and its accent
        kept = kept[:-1]
    words = kept.rpartition(" ")[0] if text[len(kept)] != " " else kept
    return f"{(words if len(words.encode()) > most // 2 else kept).rstrip(' ,;:')}{ELLIPSIS}"


def sentence(text: str) -> str:
    """Return a text with a full stop at its end, unless it ends with a mark of its own."""
    return text if re.search(r"[.!?…]$", text) else f"{text}."


def one_line(value: Any) -> Any:
    """Return `value` with every text in it on one line, without characters that a terminal or mail client acts on."""
    if isinstance(value, str):
        return plain_text.one_line(value.translate(REORDERING))
    if isinstance(value, Mapping):
        return {key: one_line(inner) for key, inner in value.items()}
    return [one_line(inner) for inner in value] if isinstance(value, list | tuple) else value


def _day_and_month(instant: datetime) -> str:
    number = instant.day
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} of {MONTHS[instant.month - 1]}"


# Not strftime's: those are the locale's.
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)

FILTERS: dict[str, Callable[..., str]] = {
    "clock": clock,
    "cut": cut,
    "day": day,
    "lasting": lasting,
    "moment": moment,
    "listed": listed,
    "paragraph": paragraph,
    "sentence": sentence,
}
