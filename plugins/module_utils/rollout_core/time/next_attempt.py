"""Works out when the next attempt is after an abort (R8, R20, R21).

Candidates are looked at in the order given; the first that keeps every rule is the next attempt, and every earlier one
is refused in a sentence that can be read aloud. All instants are timezone-aware UTC datetimes, all durations are
timedeltas, and a limit that is met exactly is met.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Iterable

HOUR = timedelta(hours=1)
COUNTED_IN_DAYS = timedelta(hours=72)  # people say 47 h, but 6 d 23 h


@dataclass(frozen=True)
class Candidate:
    """A moment at which the rollout could be tried again; `kind` says what it is, such as `backup window`."""

    start: datetime
    kind: str


@dataclass(frozen=True)
class Fix:
    """What people said of the problem (R20).

    `mended_at` is their best estimate, None while they have none. `new_pin`: whether mending it takes another revision,
    which has to be merged, blessed and tried on qastaging. `waived_by`: who waived R8's distance for it, None: nobody.
    """

    mended_at: datetime | None
    new_pin: bool
    waived_by: str | None = None


@dataclass(frozen=True)
class Rules:
    """The distances: `notice` before an attempt (R21), `merge_before` it (R8), and the least that a merge needs."""

    notice: timedelta
    merge_before: timedelta
    merge_lead: timedelta


@dataclass(frozen=True)
class Considered:
    """A candidate, and why it was accepted or not: `yes: …`, `no: …`."""

    start: datetime
    kind: str
    accepted: bool
    why: str


def consider(
    candidates: Iterable[Candidate], now: datetime, replica_back: datetime, fix: Fix, rules: Rules
) -> list[Considered]:
    """Return the candidates up to and including the first that is accepted, each with why (R21).

    `replica_back` is when the read-only replica of the last attempt is restored. Without an estimate of the fix nothing
    is accepted: the last one returned is the first that meets every other rule.
    """
    seen = []
    for candidate in candidates:
        against = _against_date(candidate.start, now, replica_back, rules)
        unknown = against is None and fix.mended_at is None
        if against is None:
            against = _against_fix(candidate.start, now, fix, rules)
        why = f"no: {against}" if against else f"yes: {_in_favour(candidate.start, now, fix, rules)}"
        seen.append(Considered(candidate.start, candidate.kind, not against, why))
        if not against or unknown:
            break
    return seen


def _against_date(start: datetime, now: datetime, replica_back: datetime, rules: Rules) -> str | None:
    """Return why an attempt is too early to be announced in time, or for the replica; None if it is not."""
    notice = start - now
    if notice <= timedelta():
        return "it is past"
    if notice < rules.notice:
        return f"{_have(notice, rules.notice)} of notice, R21 asks for {_exactly(rules.notice)}"
    if start < replica_back:
        return f"{_enough(notice)}, but the read-only replica is not back before {_minute(replica_back)}"
    return None


def _against_fix(start: datetime, now: datetime, fix: Fix, rules: Rules) -> str | None:
    """Return why an attempt is too early for the fix; None if it is not."""
    enough = _enough(start - now)
    if fix.mended_at is None:
        return f"{enough}, but nobody has said when it can be fixed"
    if start < fix.mended_at:
        return f"{enough}, but the fix comes {_about(fix.mended_at - start)} after it has begun"
    if not fix.new_pin:
        return None
    left = start - max(fix.mended_at, now)  # what was mended before today cannot be merged before today
    there = fix.mended_at <= now
    if left < rules.merge_lead:
        have = _have(left, rules.merge_lead)
        when = f"only {have} are left" if there else f"the fix comes {have} before"
        return f"{enough}, but {when} and merge, blessing and qastaging need {_exactly(rules.merge_lead)}"
    if left < rules.merge_before and not fix.waived_by:
        since = "from now" if there else "after the fix"
        asks = f"R8 asks for {_exactly(rules.merge_before)} and nobody has waived it"
        return f"{_have(left, rules.merge_before)} {since}; {asks}"
    return None


def _in_favour(start: datetime, now: datetime, fix: Fix, rules: Rules) -> str:
    notice = f"{_about(start - now)} of notice"
    if not fix.new_pin or fix.mended_at is None:
        return notice
    left = start - max(fix.mended_at, now)
    if left >= rules.merge_before:
        return notice
    return f"{notice}; {_exactly(rules.merge_before)} for the merge (R8) waived by {fix.waived_by}"


def _enough(notice: timedelta) -> str:
    return f"{_about(notice)} of notice is enough"


def _minute(instant: datetime) -> str:
    """Return an instant as text, rounded up to a whole minute."""
    return f"{instant + timedelta(seconds=59, microseconds=999999):%a %d %b %H:%M} UTC"


def _have(length: timedelta, wanted: timedelta) -> str:
    """Return a length as text; exact if it is nearly the wanted one, for `24 h of 24 h` explains nothing."""
    return _exactly(length) if wanted - length < HOUR else _about(length)


def _about(length: timedelta) -> str:
    """Return a length as `6 d 23 h`, `47 h`, `40 min` or `12 s`, rounded down."""
    seconds = int(length.total_seconds())
    if length >= COUNTED_IN_DAYS:
        days, hours = divmod(seconds // 3600, 24)
        return f"{days} d {hours} h" if hours else f"{days} d"
    if length >= HOUR:
        return f"{seconds // 3600} h"
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def _exactly(length: timedelta) -> str:
    """Return a length as `24 h` or `23 h 59 min 59 s`: every unit that is not zero."""
    seconds = int(length.total_seconds())
    counts = ((seconds // 3600, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s"))
    return " ".join(f"{count} {unit}" for count, unit in counts if count) or "0 h"
