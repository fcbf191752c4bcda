"""What a decision costs by itself: `./runbook.py late` on a long journal."""

import os
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollout_core import journal

from rollout import ROOT

PLAN = ROOT / "tests/unit/plan/plan.yml"
BEGIN = datetime(2026, 12, 9, 8, tzinfo=UTC)
REASON = "the rollout would end 08:12, planned 08:12; it can be aborted until 09:25"


def late(runs: int = 20, lines: int = 10_000) -> list[float]:
    """CPU seconds, user and system, of `./runbook.py late` on a chained journal of so many lines."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        path = Path(name) / "journal.jsonl"
        path.write_text(_journal(lines), encoding="utf-8")
        now = (BEGIN + timedelta(seconds=lines)).isoformat()
        command = [
            str(ROOT / "runbook.py"),
            "late",
            "--plan",
            str(PLAN),
            "--journal",
            str(path),
            "--now",
            now,
            "--json",
        ]
        _cpu_seconds(command)  # the first run compiles
        return [_cpu_seconds(command) for _ in range(runs)]


def _journal(lines: int) -> str:
    """An outage that began and never ends: a patch a second, and a verdict each."""
    events = [
        {"event": "stage_started", "stage": "pause", "attempt": 1},
        {
            "event": "stage_finished",
            "stage": "pause",
            "outcome": "ok",
            "facts": {"evidence": ["paused"]},
            "message": None,
        },
        {"event": "stage_started", "stage": "outage", "attempt": 1},
    ]
    while len(events) < lines:
        step = f"patch-2208-{len(events) % 100:02}-0.sql"
        events.append({"event": "step_started", "stage": "outage", "step": step, "since": BEGIN.isoformat()})
        events.append({"event": "verdict", "stage": "outage", "verdict": "on_track", "reason": f"{step}: {REASON}"})
    written, prev = [], journal.FIRST_PREV
    for number, event in enumerate(events[:lines]):
        at = (BEGIN + timedelta(seconds=number)).isoformat()
        written.append(journal.line({"seq": number + 1, "at": at, **event}, prev))
        prev = journal.digest(written[-1])
    return "".join(written)


def _cpu_seconds(command: list[str]) -> float:
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return usage.ru_utime + usage.ru_stime
