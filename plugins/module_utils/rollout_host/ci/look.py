"""One look at a CI: the question to its checks, what may be run again, and the answer of the module (R11)."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from typing import Any

from ...rollout_core.merge.blessing import Blessing, BlessingQuestion, Limits, Merged, Spurious, judge
from . import kinds
from .base import CiError, CiLimitedError
from .record import Record


def look(params: dict[str, Any], record: Record, *, check: bool) -> dict[str, Any]:
    """Look once, and run again what may be. Raises CiError; CiDownError or CiLimitedError if it is not answered now."""
    question = asked(params, record)
    ci = kinds.named(params)
    if record.limited_until > question.now:
        raise CiLimitedError(f"{ci.title} takes no more questions for now", record.limited_until)
    blessing = judge(ci.look(params["checks"], question))
    changed = False
    if blessing.state == "rerun" and not check:
        for verdict in (each for each in blessing.verdicts if each.state == "spurious"):
            ci.again(verdict)
            record.run_again(verdict, question.now)
            changed = True
    return {"changed": changed, "blessing": blessing, **answer(blessing, record)}


def asked(params: dict[str, Any], record: Record) -> BlessingQuestion:
    """Return the question to the checks. Raises CiError for a pattern that is no regular expression."""
    for each in params["spurious"]:
        try:
            re.compile(each["pattern"])
        except re.error as error:
            raise CiError(f"the pattern {each['pattern']!r} of bug {each['bug']} is wrong: {error}") from error
    return BlessingQuestion(
        Merged(params["revno"], params["revid"], params["branch"]),
        [Spurious(each["pattern"], each["bug"], tuple(each["checks"])) for each in params["spurious"]],
        Limits(params["reruns"], params["start_minutes"] * 60),
        now=time.time(),
        begun=params["begun"],
        rerun=record.runs,
        accepts=params["accepts"],
    )


def answer(blessing: Blessing, record: Record) -> dict[str, Any]:
    """Return the module's answer after a look."""
    blessed = [
        {
            "check": verdict.check,
            "run": verdict.called,
            "seconds": round(verdict.seconds, 3),
            "url": verdict.url,
            "reruns": verdict.reruns,
        }
        for verdict in blessing.verdicts
        if verdict.state == "green"
    ]
    lasts = [verdict.seconds for verdict in blessing.verdicts if verdict.state in ("running", "pending")]
    return {
        "state": blessing.state,
        "finished": blessing.state in ("blessed", "red"),
        "line": blessing.line,
        "progress": {"step": blessing.step, "running_seconds": round(max(lasts, default=0.0), 3)},
        "blessed": blessed,
        "rerun": record.rerun,
        "evidence": [blessing.line, *record.lines()],
    }


def silent(state: str, line: str, seconds: float, record: Record) -> dict[str, Any]:
    """Return the module's answer for a CI that says nothing, for so many seconds now."""
    return {
        "changed": False,
        "state": state,
        "finished": False,
        "line": line,
        "progress": {"step": line, "running_seconds": round(max(0.0, seconds), 3)},
        "blessed": [],
        "rerun": record.rerun,
        "evidence": [line, *record.lines()],
    }


def down(error: Exception, record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's answer for a CI that does not answer."""
    now = time.time()
    seconds = now - max(record.down_since(now), params["begun"])
    found = silent("down", str(error), seconds, record)
    return {**found, "too_long": seconds > params["down_minutes"] * 60}


def limited(error: CiLimitedError, record: Record, params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's answer for a CI that takes no more questions for now."""
    record.limited(error.until)
    until = datetime.fromtimestamp(error.until, timezone.utc)
    return silent("limited", f"{error}, until {until:%H:%M:%S} UTC", time.time() - params["begun"], record)
