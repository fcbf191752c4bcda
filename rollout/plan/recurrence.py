"""Rules of recurring events (RFC 5545, RRULE), held to what the RFC allows before anything works them out.

What works them out takes an interval of 0 for a rule without an end, and what matches no day for one that is worth
looking for until the year 9999: so working out has a limit, too.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

WEEKDAYS = "MO|TU|WE|TH|FR|SA|SU"
COUNTS = {"INTERVAL": 1000, "COUNT": 1_000_000}  # from 1
FROM_ZERO = {"BYSECOND": 60, "BYMINUTE": 59, "BYHOUR": 23}
EITHER_END = {"BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}  # -1 is the last
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY")  # what is every minute is never worked out
WORDS = {
    "FREQ": ("|".join(FREQUENCIES), f"{', '.join(FREQUENCIES[:-1])} or {FREQUENCIES[-1]}"),
    "BYDAY": (rf"(?:[+-]?[1-9][0-9]?)?(?:{WEEKDAYS})", "a day such as WE or +2WE"),
    "WKST": (WEEKDAYS, "a day such as MO"),
    "UNTIL": (r"[0-9]{8}(?:T[0-9]{6}Z?)?", "a time such as 20261209T080000Z"),
}
PATIENCE = 20.0  # seconds for a rule, or for a calendar of them


class EndlessError(ValueError):
    """A rule, or a calendar, that is not worked out in the time that there is for it."""


def problem(rule: str) -> str | None:
    """Return what is wrong with a rule such as FREQ=MONTHLY;BYDAY=+2WE, None for a sound one."""
    seen: set[str] = set()
    for part in rule.strip().upper().removesuffix(";").split(";"):
        name, is_there, values = part.partition("=")
        if not is_there or name in seen:
            return f"expected NAME=VALUE, each name once (found {part[:60]!r})"
        seen.add(name)
        for value in values.split(","):
            if expected := _expected(name, value.strip()):
                return f"{name}: expected {expected} (found {value[:60]!r})"
    if "FREQ" not in seen:
        return f"expected FREQ={WORDS['FREQ'][1]}"
    return None


def _expected(name: str, value: str) -> str | None:
    """What was expected in the place of the value, None if that will do."""
    if name in WORDS:
        pattern, expected = WORDS[name]
        return None if re.fullmatch(pattern, value) else expected
    bounds = _bounds(name)
    if bounds is None:
        return "a part of a rule that RFC 5545 has"
    first, last = bounds
    number = int(value) if re.fullmatch(r"[+-]?[0-9]{1,7}", value) else None
    if number is None or not first <= number <= last or (first < 0 and number == 0):
        return f"a number from {first} to {last}" + (", but 0" if first < 0 else "")
    return None


def _bounds(name: str) -> tuple[int, int] | None:
    if name in COUNTS:
        return 1, COUNTS[name]
    if name in FROM_ZERO:
        return 0, FROM_ZERO[name]
    if name == "BYMONTH":
        return 1, 12
    return (-EITHER_END[name], EITHER_END[name]) if name in EITHER_END else None


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
