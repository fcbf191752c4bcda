"""Every command on a journal that is broken, and on a disk that is full: a message, and nothing half done."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from rollout import ROOT
from rollout.outcomes import ExitCode

READ = [("status",), ("status", "--json"), ("report",), ("incident", "list"), ("incident", "show", "1")]
WRITE = [
    ("incident", "new", "Bug pages time out"),
    ("incident", "close", "1", "--resolution", "an index"),
    ("announce",),
    ("next",),
    ("run",),
    ("run", "preflight"),
    ("run", "--check"),
    ("resume",),
    ("abort", "--reason", "x"),
    ("answer", "go", "no"),
    ("plan", "move", "--window", "2026-12-16T08:00:00Z", "--reason", "x"),
]


def typed(*words: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """`./runbook.py …` without a terminal, by which no file may grow beyond `limit` bytes."""

    def full() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        ["./runbook.py", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=full,
    )


def files(directory: Path) -> dict[str, bytes]:
    found = [path for path in sorted(directory.rglob("*")) if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def edit(journal: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:9], lines[9].replace('"seq":10', '"seq":11'), *lines[10:]]))


def directory(journal: Path) -> None:
    journal.unlink()
    journal.mkdir()


@pytest.mark.parametrize(("break_it", "where"), [(edit, ":11 does not follow"), (directory, " cannot be read: ")])
def test_no_command_takes_a_broken_journal_for_one_in_which_nothing_happened(site, break_it, where):
    journal = site.directory / "journal.jsonl"
    break_it(journal)
    before = files(site.directory)
    for words in [*READ, *WRITE]:
        ran = typed(*words)
        said = ran.stdout + ran.stderr
        assert (words, ran.returncode) == (words, ExitCode.BAD_INPUT), said
        assert f"E-journal-broken  {journal}{where}" in ran.stderr, said
        assert "Traceback" not in said
        assert "has no incident" not in said
    assert files(site.directory) == before


def test_a_full_disk_is_a_message_and_leaves_nothing_half_done(site):
    assert typed("report").returncode == 0
    before = files(site.directory)
    for words in [*READ, *WRITE]:
        ran = typed(*words, limit=0)
        said = ran.stdout + ran.stderr
        assert "Traceback" not in said, (words, said)
        assert ran.returncode != 0 or words[:1] in (("status",), ("incident",)), (words, said)
        assert files(site.directory) == before, words
    ran = typed("report", limit=0)
    assert (ran.returncode, ran.stderr[:12]) == (ExitCode.FAILED, "E-disk-full "), ran.stderr
    assert f"{site.directory}/report.html could not be written" in ran.stderr
    assert "./runbook.py report" in ran.stderr


def test_a_plan_that_does_not_fit_on_the_disk_leaves_no_directory(site):
    kept = site.directory.parent
    before = sorted(path.name for path in kept.iterdir())
    ran = typed("plan", "new", "--inventory", str(site.channels.inventory), limit=0)
    assert "Traceback" not in ran.stderr
    assert ran.returncode != 0
    assert sorted(path.name for path in kept.iterdir()) == before


def test_a_disk_that_may_only_be_read_is_a_message(site):
    if os.getuid() != 0:
        pytest.skip("only root can mount")
    mount = ["/usr/bin/env", "mount", "--bind", str(site.directory), str(site.directory)]
    if (mounted := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"nothing can be mounted: {mounted.stderr.strip()}")
    try:
        subprocess.run(["/usr/bin/env", "mount", "-o", "remount,ro,bind", str(site.directory)], check=True)
        before = files(site.directory)
        for words in [*READ, *WRITE]:
            ran = typed(*words)
            said = ran.stdout + ran.stderr
            assert "Traceback" not in said, (words, said)
        ran = typed("report")
        assert (ran.returncode, ran.stderr[:13]) == (ExitCode.FAILED, "E-read-only  "), ran.stderr
        assert typed("status").returncode == 0
        assert files(site.directory) == before
    finally:
        subprocess.run(["/usr/bin/env", "umount", str(site.directory)], check=True)
