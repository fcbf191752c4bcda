"""Estimates the database time on production: factor x the staging restore's patch times + a pad (R2, R9).

A staging restore log holds lines such as ``2208-30-0 applied just now in 70.5 seconds``. An appended log holds those of
every past restore, the same lines may be there twice, and lines with a date are about earlier upgrades.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Iterable, Mapping

from .patches import PatchName

EXPECTED_LINE = "2208-30-0 applied just now in 70.5 seconds"
_PREFIX = re.compile(r"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:,[0-9]{3})? [A-Z]+ +")
_NUMBER = r"(?<![\w.-])(?P<major>[0-9]{4})-(?P<minor>[0-9]{1,2})-(?P<patch>[0-9])"
_JUST_NOW = re.compile(_NUMBER + r" applied just now in (?P<seconds>[0-9]+(?:\.[0-9]+)?) seconds\s*$")
_TIMING = re.compile(r"applied just now", re.IGNORECASE)
# How a line of timings begins, or what is left of one that is cut off; a date has two digits more.
_OWN = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9](?![0-9:])|[0-9]{4}-(?:[0-9]{1,2}-?)?$")
_LINES = re.compile(r"\r\n?|\n")
_COLOUR = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])")
_EARLIER = re.compile(_NUMBER + r" (?:.*applied [0-9-]{10} in [0-9.]+ seconds|no application time)\s*$")
_BEGINS = re.compile(r"(?:^|\s)(?:Running upgrade\.py|Applying patches\.|Applying trusted\.sql)")
_APPLIED_ALL = re.compile(r"(?:^|\s)Applying comments\.sql\s*$")
_FAILED = re.compile(r"(?:^|\s)CRITICAL\s+(?P<reason>.*)$")
_LONGEST = 366 * 86400  # seconds
SHOWN, TOLD_LINES = 120, 5  # characters of such a line, and how many of them
_SAME_RUN = timedelta(minutes=1)


class NoTimings(ValueError):  # noqa: N818  it says what is missing
    """A log without a usable restore; the text says what was found and what was expected, `then` what to do."""

    then = "An older restore says nothing about the patches of today: restore staging again."


class UnreadLine(NoTimings):
    """A log whose last restore has lines of timings that cannot be read: cut off, say, or merged by hand."""

    then = "Get that log again from where it was written, or mend the lines: each is a patch that would not be counted."


@dataclass
class Restore:
    """The last restore of a log: staging seconds by patch file name, and where and when its upgrade ran.

    ``line`` is where it begins, from 1; ``at`` is the log's own time of the timings, in UTC, None without prefixes;
    ``seen`` that of its last line, whatever became of it. ``unread``: number and text of each line that tells of a
    patch and cannot be read.
    """

    line: int
    seconds: dict[str, float] = field(default_factory=dict)
    at: datetime | None = None
    seen: datetime | None = None
    complete: bool = False
    failure: str | None = None
    last: PatchName | None = None
    unread: list[tuple[int, str]] = field(default_factory=list)

    @property
    def fresh(self) -> bool:
        """Return True if the restore has begun and has neither timings nor a failure yet."""
        return not self.complete and self.failure is None


@dataclass(frozen=True)
class Budget:
    """The rule and the window it must fit (numbers of the policy): estimate = factor x staging + plus_minutes."""

    window_minutes: float
    factor: float
    plus_minutes: float

    def estimate(self, staging_seconds: Iterable[float]) -> float:
        """Return the seconds on production for patches that took ``staging_seconds`` each, to the millisecond."""
        return round(self.factor * sum(staging_seconds) + self.plus_minutes * 60, 3)

    def fits(self, estimate_seconds: float) -> bool:
        """Return True if the estimate is within the window; exactly the window still is."""
        return estimate_seconds <= round(self.window_minutes * 60, 3)

    def steps(self, staging_seconds: dict[str, float]) -> list[dict[str, object]]:
        """Return the seconds on production step by step: the patches in the order given, then the ``pad``."""
        steps: list[dict[str, object]] = [
            {"step": patch, "seconds": round(self.factor * seconds, 3)} for patch, seconds in staging_seconds.items()
        ]
        return [*steps, {"step": "pad", "seconds": round(self.plus_minutes * 60, 3)}]


def last_restore(log: str) -> Restore:
    """Return the last restore in ``log``, with each patch once. Raises NoTimings if that restore has no timings."""
    run = _last_run(log)
    if run is None:
        raise NoTimings(f"no upgrade in it; expected lines like {EXPECTED_LINE!r}")
    return _told(run)


def last_of(logs: Mapping[str, str]) -> tuple[str, Restore]:
    """Return the name of the log ``{name: text}`` that holds the last restore of all, and that restore (R9).

    The last one by the logs' own times, or, if an upgrade has none, the one in the log that is named last. Raises
    NoTimings, naming the log, if that one has none: an older restore says nothing about today's patches.
    """
    runs = [(name, run) for name, run in ((name, _last_run(log)) for name, log in logs.items()) if run is not None]
    if not runs:
        raise NoTimings(f"no upgrade in {', '.join(logs)}; expected lines like {EXPECTED_LINE!r}")
    times = [run.seen for _, run in runs if run.seen is not None]
    name, run = runs[times.index(max(times)) if len(times) == len(runs) else -1]
    try:
        return name, _told(run)
    except NoTimings as error:
        raise type(error)(f"{name}: {error}") from error


def _last_run(log: str) -> Restore | None:
    run: Restore | None = None
    for number, line in enumerate(_LINES.split(log), start=1):
        run = _read(_COLOUR.sub("", line).rstrip(), number, run)
    return run


def _told(run: Restore) -> Restore:
    """Return the run if it came to its timings. Raises NoTimings if it did not."""
    if run.failure is not None:
        raise NoTimings(f"its last upgrade (line {run.line}) failed: {run.failure}")
    if run.fresh:
        raise NoTimings(f"its last upgrade (line {run.line}) did not come to its timings; expected {EXPECTED_LINE!r}")
    if run.unread:
        shown = "; ".join(f"line {number}: {text[:SHOWN]!r}" for number, text in run.unread[:TOLD_LINES])
        more = len(run.unread) - TOLD_LINES
        shown += f"; and {more} more" if more > 0 else ""
        raise UnreadLine(f"its last upgrade tells of patches what cannot be read; expected {EXPECTED_LINE!r}; {shown}")
    return run


def _read(line: str, number: int, run: Restore | None) -> Restore | None:
    """Add a line to the run it belongs to, which may be a new one; return that run."""
    at = _time(line)
    if _BEGINS.search(line):
        run = run if run is not None and run.fresh else Restore(number)
        run.seen = at or run.seen
        return run
    if just_now := _JUST_NOW.search(line):
        patch = PatchName(*(int(just_now[part]) for part in ("major", "minor", "patch")))
        seconds = _seconds(just_now["seconds"], number)
        if run is None or run.failure is not None or _later(run, at) or _comes_again(run, patch, at, seconds):
            run = Restore(number)
        run.seconds[str(patch)] = seconds
        run.last, run.at, run.seen, run.complete = patch, at, at, True
    elif _APPLIED_ALL.search(line) or _EARLIER.search(line):
        if run is None or run.failure is not None or _later(run, at):
            run = Restore(number)
        run.at, run.seen, run.complete = at, at, True
    elif _TIMING.search(line) or _OWN.match(_text(line)):
        if run is None or run.failure is not None or _later(run, at):
            run = Restore(number)
        run.unread.append((number, _text(line)))
        run.at, run.seen, run.complete = at or run.at, at or run.seen, True
    elif run is not None and run.fresh:
        run.seen = at or run.seen
        if failed := _FAILED.search(line):
            run.failure = failed["reason"]
    return run


def _seconds(text: str, line: int) -> float:
    """Raise NoTimings for a time that no patch takes: nobody knows what of the rest is right."""
    seconds = float(text)
    if seconds > _LONGEST:
        raise NoTimings(f"line {line} tells of more than {_LONGEST} seconds; expected {EXPECTED_LINE!r}")
    return seconds


def _later(run: Restore, at: datetime | None) -> bool:
    """Return True if a time is too late for this run, which writes its timings at once; restores are hours apart."""
    return run.complete and at is not None and run.at is not None and abs(at - run.at) > _SAME_RUN


def _comes_again(run: Restore, patch: PatchName, at: datetime | None, seconds: float) -> bool:
    """Return True if a patch begins another run, in a log without times: a run's patches are sorted, each once."""
    if run.last is None or (at is not None and run.at is not None):
        return False
    return patch < run.last or (patch == run.last and seconds != run.seconds[str(patch)])


def _text(line: str) -> str:
    """A line without what stands before a message: the time, and the file's name as grep has it."""
    prefix = _PREFIX.search(line)
    return line[prefix.end() :] if prefix else line.strip()


def _time(line: str) -> datetime | None:
    prefix = _PREFIX.search(line)
    try:
        return datetime.strptime(f"{prefix['time']} +0000", "%Y-%m-%d %H:%M:%S %z") if prefix else None
    except ValueError:  # looks like a time and is none, such as 2011-02-30
        return None
