"""Measures what a decision costs: `late` on a long journal, `deployable` on a long branch."""

import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from plugins.module_utils.rollout_core.journal import text as journal
from rollout import ROOT

PLAN = ROOT / "tests/unit/plan/plan.yml"
BEGIN = datetime(2026, 12, 9, 8, tzinfo=UTC)
REASON = "the rollout would end 08:12, planned 08:12; it can be aborted until 09:25"


def late(runs: int = 20, lines: int = 10_000) -> list[float]:
    """Return the CPU seconds (user and system) of `./runbook.py late` on a chained journal of so many lines."""
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


def deployable(runs: int = 10, revisions: int = 20_000) -> list[float]:
    """Return the CPU seconds (user and system) of `./runbook.py deployable` on a log of so many revisions with tags."""
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        log, tags = Path(name) / "log.json", Path(name) / "tags.yml"
        log.write_text(json.dumps(_branch(revisions), indent=1), encoding="utf-8")
        tags.write_text("".join(f"{bug}: [qa-ok]\n" for bug in range(revisions // 3)), encoding="utf-8")
        command = [str(ROOT / "runbook.py"), "deployable", "--log", str(log), "--tags", str(tags), "--json"]
        _cpu_seconds(command)  # the first run compiles
        return [_cpu_seconds(command) for _ in range(runs)]


def deployable_of_a_branch(runs: int = 5, revisions: int = 20_000) -> list[float]:
    """Return the CPU seconds of `./runbook.py deployable`, with its client's, on a Bazaar branch of that length."""
    return _deployable_of(_commit, runs, revisions)


def deployable_of_a_git_branch(runs: int = 5, revisions: int = 20_000) -> list[float]:
    """Return the CPU seconds of `./runbook.py deployable`, with its client's, on a git branch of so many revisions."""
    return _deployable_of(_import, runs, revisions)


def _deployable_of(make: Callable[[Path, list[dict[str, object]]], None], runs: int, revisions: int) -> list[float]:
    with tempfile.TemporaryDirectory(dir=ROOT / "var") as name:
        branch, tags = Path(name) / "db-stable", Path(name) / "tags.yml"
        tags.write_text("".join(f"{bug}: [qa-ok]\n" for bug in range(revisions // 3)), encoding="utf-8")
        make(branch, _branch(revisions))
        command = [str(ROOT / "runbook.py"), "deployable", "--branch", str(branch), "--tags", str(tags), "--json"]
        _cpu_seconds(command)  # the first run compiles
        return [_cpu_seconds(command) for _ in range(runs)]


def _commit(path: Path, log: list[dict[str, object]]) -> None:
    """Make a Bazaar branch with these revisions, all in one write group: a commit each takes a quarter of an hour."""
    import breezy
    import breezy.bzr  # registers the formats
    from breezy.commit import NullCommitReporter
    from breezy.controldir import ControlDir, format_registry
    from breezy.revision import Revision

    breezy.initialize(setup_ui=False)
    path.mkdir()
    tree = ControlDir.create_standalone_workingtree(str(path), format=format_registry.make_controldir("2a"))
    tip, branch = tree.commit("[no-qa] Start.", committer="jml", reporter=NullCommitReporter()), tree.branch
    with branch.lock_write():
        branch.repository.start_write_group()
        for each in log[1:]:
            parents, tip = [tip], f"revision-{each['revno']}".encode()
            sha1, _ = branch.repository.add_inventory_by_delta(parents[0], [], tip, parents)
            given = {"committer": "jml", "message": each["message"], "timestamp": 0, "timezone": 0, "properties": {}}
            branch.repository.add_revision(
                tip, Revision(revision_id=tip, parent_ids=parents, inventory_sha1=sha1, **given)
            )
        branch.repository.commit_write_group()
        branch.set_last_revision_info(len(log), tip)


def _import(path: Path, log: list[dict[str, object]]) -> None:
    """Make a bare git repository with these revisions on its one branch, packed."""
    git = shutil.which("git") or "git"
    subprocess.run([git, "init", "-q", "--bare", "-b", "db-stable", str(path)], check=True)
    stream = []
    for each in log:
        message = str(each["message"]).encode()
        stream.append(b"commit refs/heads/db-stable\ncommitter jml <jml@lab.example> 0 +0000\n")
        stream.append(b"data %d\n%s\n" % (len(message), message))
    subprocess.run([git, "fast-import", "--quiet"], cwd=path, input=b"".join(stream), check=True)


def _branch(revisions: int) -> list[dict[str, object]]:
    """Return revisions: each lands three bugs, and every fiftieth rolls back an earlier one."""
    pick = random.Random(7)  # noqa: S311
    log: list[dict[str, object]] = []
    for revno in range(1, revisions + 1):
        tag = f"rollback={pick.randrange(revno)}" if revno % 50 == 0 else f"bug={revno // 3}"
        date = (BEGIN + timedelta(hours=revno - revisions)).isoformat()
        log.append({"revno": revno, "message": f"[r=jml,\n\tgmb][{tag}] Order projects by age.", "date": date})
    return log


def _journal(lines: int) -> str:
    """Return the journal of an outage that began and never ends: a patch and a verdict a second."""
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
