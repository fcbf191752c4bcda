"""A disk that is full, or may not be written: nothing that is on record is lost, and nothing is written by halves."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rollout import whole_file
from rollout.journal.file import NAME, Journal
from rollout.outcomes import ExitCode, RunbookError, UnwrittenError
from tests.unit.journals import event


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: a write gets as far as that, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, heard)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small disk")
    there = tmp_path / "disk"
    there.mkdir()
    mount = ["/usr/bin/env", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(there)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    yield there
    subprocess.run(["/usr/bin/env", "umount", str(there)], check=True)


def step(text: str):
    return event("step_started", stage="outage", step=text, since=None)


def test_an_entry_that_does_not_fit_is_not_on_record_and_the_next_one_is(tmp_path):
    path = tmp_path / NAME
    journal = Journal(path)
    journal.write(step("first"))
    before = path.read_bytes()
    with no_more_than(len(before) + 100), pytest.raises(UnwrittenError) as raised:
        journal.write(step("x" * 700))
    assert str(raised.value).startswith(f"E-disk-full  {path} could not be written: ")
    assert "step_started is not on record" in str(raised.value)
    assert "./runbook.py resume" in str(raised.value)
    assert path.read_bytes() == before
    assert [entry.event.step for entry in journal.entries] == ["first"]
    journal.write(step("second"))
    assert [entry.event.step for entry in Journal(path).entries] == ["first", "second"]


def test_half_a_line_that_cannot_be_taken_back_is_no_entry(tmp_path, monkeypatch):
    """Not even the truncation works: the same process takes it away with its next entry, and so does any other."""
    path = tmp_path / NAME
    journal = Journal(path)
    journal.write(step("first"))

    def fails(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken, no_more_than(path.stat().st_size + 100):
        broken.setattr(os, "ftruncate", fails)
        with pytest.raises(UnwrittenError):
            journal.write(step("x" * 700))
    assert not path.read_bytes().endswith(b"\n")
    assert len(Journal(path).entries) == 1
    journal.write(step("second"))
    assert [entry.event.step for entry in Journal(path).entries] == ["first", "second"]


def test_a_disk_that_gets_full_again_and_again_loses_nothing(small_disk):
    path, filler = small_disk / NAME, small_disk / "filler"
    journal, written = Journal(path), 0

    def until_it_is_full() -> None:
        nonlocal written
        with filler.open("ab", buffering=0) as fills:
            while True:
                with suppress(OSError):
                    fills.write(b"0" * 4096)
                journal.write(step("x" * 700))
                written += 1

    for _ in range(3):
        with pytest.raises(UnwrittenError, match=r"^E-disk-full "):
            until_it_is_full()
        filler.unlink()
        assert len(Journal(path).entries) == written
    journal.write(step("at last"))
    assert len(Journal(path).entries) == written + 1


def test_a_first_entry_that_does_not_fit_leaves_no_file(tmp_path):
    with no_more_than(10), pytest.raises(UnwrittenError):
        Journal(tmp_path / NAME).write(step("x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [whole_file.write_whole, whole_file.create_whole])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, write):
    path = tmp_path / "plan.yml"
    if write is whole_file.write_whole:
        path.write_text("old")
    before = {each.name: each.read_text() for each in tmp_path.iterdir()}
    with no_more_than(100), pytest.raises(OSError, match="too large") as raised:
        write(path, "x" * 4096)
    assert raised.value.filename == str(path)
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize("durable", ["file", "directory"])
def test_what_is_written_is_on_disk(tmp_path, monkeypatch, durable):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd)))
    whole_file.write_whole(tmp_path / "plan.yml", "x")
    assert (synced[-1] == tmp_path) if durable == "directory" else (synced[0].parent == tmp_path)


ENTRY = """
import sys
from rollout.commands import cli
def fails(**_):
    raise {error}
cli.main.commands["status"].callback = fails
sys.argv[1:] = ["status"]
cli.entry()
"""


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("OSError(28, 'No space left on device', '/x/plan.yml')", 1, "E-disk-full  /x/plan.yml could not be written: "),
        ("OSError(122, 'Disk quota exceeded')", 1, "E-disk-full  a file could not be written: "),
        ("OSError(30, 'Read-only file system', '/x')", 1, "E-read-only  /x could not be written: "),
        ("PermissionError(13, 'Permission denied', '/x')", 1, "E-not-allowed  /x: Permission denied"),
        ("IsADirectoryError(21, 'Is a directory', '/x')", 1, "E-system  /x: Is a directory"),
        ("OSError('odd')", 1, "E-system  a file: odd"),
    ],
)
def test_what_the_system_refuses_is_a_message(error, code, says):
    ran = subprocess.run([sys.executable, "-c", ENTRY.format(error=error)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.startswith(says)) == (code, True), ran.stderr
    assert "Traceback" not in ran.stderr
    assert "./runbook.py status" in ran.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_terminal_that_takes_nothing_is_a_message():
    code = "import sys; from rollout.commands import cli; sys.argv[1:] = ['--help']; cli.entry()"
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == ExitCode.FAILED
    assert ran.stderr.startswith("E-disk-full  ")
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_the_error_is_one_of_the_runbooks_and_one_of_the_systems(tmp_path):
    assert issubclass(UnwrittenError, RunbookError)
    assert issubclass(UnwrittenError, OSError)
