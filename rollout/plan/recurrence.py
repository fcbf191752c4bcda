"""Recurrence rules (RFC 5545, 3.3.10) that can be worked out: dateutil, which does that, goes on for ever with others.

What is refused here has no occurrence, or so many that nobody could have meant it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from dateutil.rrule import rrulestr

OFTEN_A_DAY = 48  # occurrences; more of them are no events that people have
PERIODS = 1_000_000  # from the first occurrence to the last that is asked for: each is looked at
LENGTHS = {
    "YEARLY": timedelta(days=365),
    "MONTHLY": timedelta(days=28),
    "WEEKLY": timedelta(days=7),
    "DAILY": timedelta(days=1),
    "HOURLY": timedelta(hours=1),
}
RANGES = {
    "BYSECOND": (0, 59),
    "BYMINUTE": (0, 59),
    "BYHOUR": (0, 23),
    "BYMONTH": (1, 12),
    "BYMONTHDAY": (1, 31),
    "BYYEARDAY": (1, 366),
    "BYWEEKNO": (1, 53),
    "BYSETPOS": (1, 366),
}
FROM_THE_END = ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS")  # -1 is the last
ONCE = ("FREQ", "INTERVAL", "COUNT", "UNTIL")
NAMES = {*ONCE, *RANGES, "BYDAY", "WKST"}
PATIENCE = 20.0  # seconds for a rule, or for a calendar of them: a net below all that is refused
SAMPLE = datetime(2000, 1, 1)  # noqa: DTZ001  any will do: dates and days of the week repeat after 400 years


class EndlessError(ValueError):
    """A rule, or a calendar, that is not worked out in the time that there is for it."""


@lru_cache(maxsize=1000)
def problem(rule: str, span: timedelta = timedelta()) -> str | None:
    """Why `FREQ=…;…` cannot be worked out over `span`, from its first occurrence on; None when it can.

    What is no rule at all, the parsers say themselves.
    """
    parts = _parts(rule)
    return _wrong_name(rule) or _wrong_number(parts) or _wrong_frequency(parts, span) or _never(parts)


def _parts(rule: str) -> dict[str, list[str]]:
    """Values by name, both in capitals."""
    named = (part.partition("=") for part in rule.upper().strip().split(";") if part)
    return {name.strip(): value.split(",") for name, _, value in named}


def _wrong_name(rule: str) -> str | None:
    names = [part.partition("=")[0].strip() for part in rule.upper().strip().split(";") if part]
    for number, name in enumerate(names):
        if name not in NAMES:
            return f"{name[:60] or rule[:60]}: expected a part of a rule that RFC 5545 has"
        if name in names[:number]:
            return f"{name}: expected only once"
    return None


def _wrong_number(parts: Mapping[str, list[str]]) -> str | None:
    for name in ONCE:
        if len(parts.get(name, ())) > 1:
            return f"{name}: expected one value (found {','.join(parts[name])})"
    for name in ("INTERVAL", "COUNT"):
        for value in parts.get(name, ()):
            if not _is_number(value) or (int(value) < 1 and (name, value[:1]) != ("COUNT", "-")):
                return f"{name} must be 1 or more (found {value[:60]})"  # COUNT=-1: without an end, as Exchange has it
    for name, (low, high) in RANGES.items():
        for value in parts.get(name, ()):
            number = abs(int(value)) if _is_number(value) and name in FROM_THE_END else value
            if not _is_number(str(number)) or not low <= int(number) <= high:
                return f"{name} must be from {low} to {high} (found {value[:60]})"
    return None


def _is_number(value: str) -> bool:
    return value.lstrip("+-").isascii() and value.lstrip("+-").isdigit() and len(value) < len("1000000000")


def _wrong_frequency(parts: Mapping[str, list[str]], span: timedelta) -> str | None:
    frequency = "".join(parts.get("FREQ", ()))
    if frequency in {"SECONDLY", "MINUTELY"}:
        return "an event of every minute or second is not worked out"
    if frequency not in LENGTHS:
        return f"expected FREQ, one of {', '.join(LENGTHS)} (found {frequency or 'none'})"
    interval = int(parts.get("INTERVAL", ["1"])[0])
    a_day = 24.0 / interval if frequency == "HOURLY" and "BYHOUR" not in parts else 1.0
    for name in ("BYHOUR", "BYMINUTE", "BYSECOND"):
        a_day *= len(set(parts.get(name, ("",))))
    if a_day > OFTEN_A_DAY:
        return f"an event of more than {OFTEN_A_DAY} times a day is not worked out"
    if span / LENGTHS[frequency] / interval > PERIODS:
        return f"it began too long ago for FREQ={frequency}: more than {PERIODS} occurrences are not worked out"
    return None


def _never(parts: Mapping[str, list[str]]) -> str | None:
    """Days that no calendar has, such as 30 February."""
    asked = {name: parts[name] for name in ("BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY") if name in parts}
    if not asked:
        return None
    if parts["FREQ"] == ["MONTHLY"]:
        asked.setdefault("BYMONTH", [str(month) for month in range(1, 13)])  # so that +2WE is the second of a month
    elif parts["FREQ"] != ["YEARLY"] and "BYDAY" in asked:
        asked["BYDAY"] = [day[-2:] for day in asked["BYDAY"]]
    days = ";".join(["FREQ=YEARLY", "COUNT=1", *(f"{name}={','.join(values)}" for name, values in asked.items())])
    try:
        found = rrulestr(days, dtstart=SAMPLE)
    except ValueError:  # the parsers say so
        return None
    return None if next(iter(found), None) else "it never happens: no year has such a day"


@contextmanager
def patience() -> Iterator[None]:
    """Raise EndlessError in what is done here once it has taken PATIENCE. Only the main thread is watched."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: Any) -> None:
        raise EndlessError(f"it cannot be worked out in {PATIENCE:.0f} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
