"""Judges what check runs, commit statuses, pipeline jobs and commands say of the merged revision (R11).

The newest run of each name decides. A name that is both a check run and a commit status needs both.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Mapping, Sequence

from .blessing import BlessingQuestion, CheckVerdict, Failed, duration, not_started, spurious, to_run_again

# GitHub's, GitLab's and Forgejo's own words. What is in none of these is unknown: neither green nor red.
GREEN = frozenset({"success"})
RED = frozenset({"failure", "failed", "error", "timed_out", "startup_failure", "action_required"})
CUT = frozenset({"cancelled", "canceled", "stale"})  # it did not come to its end
NEITHER = frozenset({"neutral", "skipped", "warning"})  # it ended, and says nothing of the revision
RUNNING = frozenset({"in_progress", "running", "pending", "canceling"})  # a commit status is `pending` while it runs
QUEUED = frozenset(
    {"queued", "requested", "waiting", "created", "waiting_for_resource", "preparing", "scheduled", "manual"}
)
WAITS_FOR_A_PERSON = frozenset({"manual", "action_required"})
# The worst says what a name is that two sources tell of.
WORST = ("red", "never_started", "spurious", "pending", "running", "green")


@dataclass(frozen=True)
class CheckRun:
    """One run of a check, as a CI's API has it.

    ``word`` is the API's own for its state. Of two runs of one ``source`` the one with the larger ``order`` is newer.
    ``began`` and ``ended`` are seconds since the epoch, ``said`` its own description. ``can_rerun``: it may be run
    again from here.
    """

    name: str
    word: str
    run: str = ""
    order: tuple[float, ...] = ()
    source: str = ""
    url: str = ""
    said: str = ""
    began: float | None = None
    ended: float | None = None
    can_rerun: bool = False


@dataclass(frozen=True)
class CheckFacts:
    """What a CI says of the merged revision: every run of it, and the failed steps of those that were read, by run."""

    runs: Sequence[CheckRun]
    failed: Mapping[tuple[str, str], Sequence[Failed]] = field(default_factory=dict)


def newest(name: str, runs: Sequence[CheckRun]) -> list[CheckRun]:
    """Return the newest run of that name of each source."""
    found: dict[str, CheckRun] = {}
    for run in sorted((run for run in runs if run.name == name), key=lambda run: run.order):
        found[run.source] = run
    return list(found.values())


def verdict(name: str, facts: CheckFacts, question: BlessingQuestion) -> CheckVerdict:
    """Return the verdict of the check of that name."""
    runs = newest(name, facts.runs)
    if not runs:
        others = sorted({run.name for run in facts.runs})
        why = f"it is not among the checks of that revision, which are {', '.join(others)}" if others else ""
        return not_started(name, why or "that revision has no check yet", question.begun, question)
    found = [_verdict(run, facts, question) for run in runs]
    return min(found, key=lambda each: WORST.index(each.state))


def is_red(run: CheckRun, accepts: Sequence[str]) -> bool:
    """Return True if a run has ended and is not green: its output says whether that is known as spurious."""
    return run.word in RED | CUT or (run.word in NEITHER and run.word not in accepts)


def _verdict(run: CheckRun, facts: CheckFacts, question: BlessingQuestion) -> CheckVerdict:
    about = CheckVerdict(run.name, "red", "", "", _seconds(run, question.now), run=run.run, called=run.run, url=run.url)
    about = replace(about, reruns=question.reruns_of(run.name))
    if run.word in GREEN or (run.word in NEITHER and run.word in question.accepts):
        word = "" if run.word in GREEN else f" {run.word}"
        took = f" {duration(about.seconds)}" if run.began is not None and run.ended is not None else ""
        again = f", run {about.reruns + 1} times" if about.reruns else ""
        return replace(about, state="green", said=f"✓{word}{took}{again}", steady=f"✓{word}")
    if run.word in RUNNING:
        return replace(about, state="running", said=f"{run.word} {duration(about.seconds)}", steady=run.word)
    if not is_red(run, question.accepts):
        why = "it waits for a person" if run.word in WAITS_FOR_A_PERSON else f"it is {run.word}"
        waits = not_started(run.name, why, max(question.begun, run.began or 0.0), question)
        return replace(waits, run=run.run, called=run.run, url=run.url, reruns=about.reruns)
    return _ended(run, about, tuple(facts.failed.get((run.source, run.run), ())), question)


def _ended(run: CheckRun, about: CheckVerdict, failed: tuple[Failed, ...], question: BlessingQuestion) -> CheckVerdict:
    """Return the verdict on a run that has ended and is not green."""
    known = spurious(run.name, failed, question.patterns) if run.word in RED else None
    told = f"✗ {run.word}"
    if run.word in WAITS_FOR_A_PERSON:
        told += ": somebody has to act on its page"
    elif run.word in NEITHER:
        told += ", which is no success; whether it may stand for one, blessing_accepts says"
    said = f"{told} ({run.said})" if run.said else told
    red = replace(about, said=said, steady=said, failed=failed)
    if known is None and run.word not in CUT:
        return red
    if asked := question.rerun.get((run.name, run.run)):
        waits = not_started(run.name, "it was run again, and has not begun", asked, question)
        return replace(waits, run=run.run, called=run.run, url=run.url, reruns=about.reruns)
    found = to_run_again(red, known, f"ended as {run.word}", question)
    if found.state == "spurious" and not run.can_rerun:
        said = f"✗ {found.why}, and it cannot be run again from here: run it again on its page"
        return replace(found, state="red", said=said, steady=said)
    return found


def _seconds(run: CheckRun, now: float) -> float:
    """Return how many seconds a run took, or has run by now; 0 if nobody says when it began."""
    return 0.0 if run.began is None else max(0.0, (now if run.ended is None else run.ended) - run.began)
