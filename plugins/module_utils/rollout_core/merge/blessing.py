"""Judges whether the merge is blessed (R11): every named check must be green on exactly the merged revision.

A check is whatever a CI calls by a name: a builder of Buildbot, a check run or commit status of GitHub, GitLab or
Forgejo, a command of the site's own. What one check says is judged by ``builders`` or ``checks``; the rules for all of
them are here: any that cannot become green makes it red, and a failure that is known as spurious, or is not the code's
fault, is run again a limited number of times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Mapping, Sequence

# Where the report of one failed test begins: unittest, zope.testing, subunit.
FAILED_TEST = re.compile(r"^(?:(?:FAIL|ERROR|failure|error): |(?:Failure|Error) in test )")


@dataclass(frozen=True)
class Merged:
    """The merged revision. ``branch`` is as the CI names it; "": the checks are of no other branch."""

    revno: int
    revid: str
    branch: str = ""


@dataclass(frozen=True)
class Failed:
    """A failed step: its output, oldest line first, and where a browser finds it.

    ``whole`` is False if that is only the end of the output: what failed before it is not known.
    """

    step: str
    lines: tuple[str, ...]
    url: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Spurious:
    """A failure known not to be the code's fault, and the bug that describes it; for all checks if none is named."""

    pattern: str
    bug: int
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How often a check is run again for one revision, and how many seconds it may take to start."""

    reruns: int
    start_seconds: float


@dataclass(frozen=True)
class CheckVerdict:
    """One check's verdict on the merged revision.

    ``state`` is green, running, pending, never_started, spurious (to be run again) or red. ``said`` is for a person;
    ``steady`` is the same without the parts that change every second. ``seconds`` it has run or waited. ``run`` is its
    last run's id in the CI, "" for none, and ``called`` what people call that run; ``url`` is where a browser finds it,
    or the check. ``reruns`` counts its runs of the revision beyond the first. ``why`` says in a word or two why it may
    be run again.
    """

    check: str
    state: str
    said: str
    steady: str
    seconds: float
    run: str = ""
    called: str = ""
    url: str = ""
    expected: float | None = None
    why: str | None = None
    bug: int | None = None
    reruns: int = 0
    failed: tuple[Failed, ...] = ()


@dataclass(frozen=True)
class Blessing:
    """The verdict of all checks: ``state`` is blessed, wait, rerun or red."""

    state: str
    verdicts: tuple[CheckVerdict, ...]

    @property
    def line(self) -> str:
        """Return a line for a person: ``lucid_lp ✓ 4:02 h · lucid_db_lp running 3:41 of about 4:10 h``."""
        return " · ".join(f"{verdict.check} {verdict.said}" for verdict in self.verdicts)

    @property
    def step(self) -> str:
        """Return the line for a person without what changes by the second."""
        return " · ".join(f"{verdict.check} {verdict.steady}" for verdict in self.verdicts)


@dataclass(frozen=True)
class BlessingQuestion:
    """The question to all checks. ``now`` and ``begun`` (when somebody began to wait) are seconds since the epoch.

    ``rerun`` has the runs that were run again before: when, by check and id. ``accepts`` are a CI's own words, beside
    success, for what may stand for green.
    """

    merged: Merged
    patterns: Sequence[Spurious]
    limits: Limits
    now: float
    begun: float
    rerun: Mapping[tuple[str, str], float] = field(default_factory=dict)
    accepts: Sequence[str] = ()

    def reruns_of(self, check: str) -> int:
        """Return how often a check was run again on the record."""
        return sum(1 for name, _run in self.rerun if name == check)


def judge(verdicts: Sequence[CheckVerdict]) -> Blessing:
    """Return the blessing by all checks; one that cannot become green any more makes it red at once (R11)."""
    states = {verdict.state for verdict in verdicts}
    if states & {"red", "never_started"}:
        state = "red"
    elif "spurious" in states:
        state = "rerun"
    else:
        state = "blessed" if states == {"green"} else "wait"
    return Blessing(state, tuple(verdicts))


def not_started(check: str, why: str, since: float, question: BlessingQuestion) -> CheckVerdict:
    """Return the verdict on a check that has not begun: it is pending, until it has not started within its limit."""
    waited = max(0.0, question.now - since)
    if waited > question.limits.start_seconds:
        said = f"✗ not started after {duration(waited)}: {why}"
        return CheckVerdict(check, "never_started", said, "✗ not started", waited)
    return CheckVerdict(check, "pending", f"not started: {why}, {duration(waited)}", f"not started: {why}", waited)


def to_run_again(red: CheckVerdict, known: Spurious | None, ended: str, question: BlessingQuestion) -> CheckVerdict:
    """Return the verdict on a failure that is nobody's fault: spurious, or red where it was run too often already.

    ``known`` is what it is known as; without, ``ended`` says why it is no failure of the code.
    """
    told, runs = (f"spurious, bug {known.bug}" if known else ended), red.reruns + 1
    found = replace(red, why=told, bug=known.bug if known else None)
    if red.reruns >= question.limits.reruns:
        said = f"✗ {told}, and run {'once' if runs == 1 else f'{runs} times'} already"
        return replace(found, said=said, steady=said)
    return replace(found, state="spurious", said=f"to be run again ({told})", steady=f"run again ({told})")


def spurious(check: str, failed: Sequence[Failed], patterns: Sequence[Spurious]) -> Spurious | None:
    """Return a pattern of the failure, if every failed test of every failed step matches one; else None.

    The report of a test ends where the next one's begins; an output without reports is matched as a whole.
    """
    told = [pattern for pattern in patterns if not pattern.checks or check in pattern.checks]
    found = []
    for report in (report for step in failed for report in reports(step.lines)):
        found.append(next((each for each in told if re.search(each.pattern, report, re.MULTILINE)), None))
    return found[0] if found and all(found) and all(step.whole for step in failed) else None


def reports(lines: Sequence[str]) -> list[str]:
    """Return a step's output as one text for each failed test; the whole of it if it reports none."""
    begins = [number for number, line in enumerate(lines) if FAILED_TEST.match(line)] or [0]
    ends = [*begins[1:], len(lines)]
    return ["\n".join(lines[begin:end]) for begin, end in zip(begins, ends)]


def duration(seconds: float, of_about: float | None = None) -> str:
    """Return ``42 s``, ``2:05 min`` or ``4:02 h``, or with what is expected ``3:41 of about 4:10 h``."""
    longest = max(seconds, of_about or 0.0)
    size, unit = (1, "s") if longest < 60 else (60, "min") if longest < 3600 else (3600, "h")

    def told(value: float) -> str:
        return f"{value:.0f}" if size == 1 else f"{int(value // size)}:{int(value % size * 60 // size):02}"

    return f"{told(seconds)} {unit}" if of_about is None else f"{told(seconds)} of about {told(of_about)} {unit}"
