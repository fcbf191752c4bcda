"""The lock of a rollout: who holds it, told from who once did and from whoever may read the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollout import process_identity
from rollout.gates import other_terminal
from rollout.journal import lock_owner, store
from rollout.outcomes import ExitCode, LockedError, RunbookError

LOCKS = "fcntl.flock(held, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
HOLD = f"import fcntl, sys; held = open(sys.argv[1]); {LOCKS}"
HOLD_WHAT_IS_OPEN = f"import fcntl, sys; held = int(sys.argv[1]); {LOCKS}"


@pytest.fixture
def rollout(tmp_path: Path) -> Path:
    directory = tmp_path / "2026-12"
    directory.mkdir()
    return directory


@pytest.fixture
def stranger(rollout: Path):
    """`stranger(said)`: a process that holds the lock, which says that."""
    started: list[subprocess.Popen[str]] = []

    def hold(said: str) -> subprocess.Popen[str]:
        (rollout / "lock").write_text(said)
        argv = [sys.executable, "-c", HOLD, str(rollout / "lock")]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.communicate()


def said(**more: object) -> str:
    """What this process, which lives and is ours, would leave in a lock, and what is different."""
    here = {"pid": os.getpid(), "started": process_identity.started(os.getpid()), "host": os.uname().nodename}
    return json.dumps({**here, "terminal": "none", **more})


def ended() -> int:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    return process.pid


def test_who_holds_it_is_believed_while_he_lives(rollout):
    assert store.owner(rollout) is None
    with store.lock(rollout):
        owner = store.owner(rollout)
        assert owner is not None
        assert (owner.proven, owner.pid, owner.holders) == (True, os.getpid(), (os.getpid(),))
        with pytest.raises(
            LockedError, match=f"^E-locked  2026-12 is being rolled out already, by pid {os.getpid()} on "
        ):
            lock_owner.take(lock_owner.open_lock(rollout / "lock"), rollout / "lock", rollout.name)
    assert store.owner(rollout) is None


def test_only_we_may_read_it(rollout):
    (rollout / "lock").touch(mode=0o644)
    with store.lock(rollout):
        assert (rollout / "lock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ("", "no name of a runbook's"),
        ("[" * 5000, "no name of a runbook's"),
        ('{"pid": "4711"}', "no name of a runbook's"),
        ("[4711]", "no name of a runbook's"),
        (lambda: said(pid=ended()), "has ended"),
        (lambda: said(started=1), "a later process has that number now"),
        (lambda: said(started=None), "a later process has that number now"),
        (lambda: said(host="another.example\x1b[2J"), "another machine"),
        (lambda: said(), "does not hold it"),
    ],
)
def test_a_stranger_who_holds_it_is_named_and_nobody_else_is_to_be_killed(rollout, stranger, left, why):
    """The pid in the file may be a dead process's, or by now anybody's: only the holder is told of."""
    holder = stranger(left if isinstance(left, str) else left())
    owner = store.owner(rollout)
    assert owner is not None
    assert not owner.proven
    assert why in owner.doubt
    for refused in (lambda: store.lock(rollout).__enter__(), lambda: other_terminal._at_work(rollout)):
        with pytest.raises(LockedError) as raised:
            refused()
        assert raised.value.exit_code == ExitCode.LOCKED
        told = str(raised.value)
        assert told.startswith("E-locked  The lock of 2026-12 is held, and not by a runbook that can be proven")
        assert f"held by pid {holder.pid} of " in told
        assert told.endswith(f"kill {holder.pid}")
        assert "KILL" not in told
        assert "\x1b" not in told


def test_a_runbook_that_does_not_react_is_to_be_killed_only_while_it_is_the_one(rollout, stranger, monkeypatch):
    with store.lock(rollout):
        assert f"kill -KILL {os.getpid()}" in str(other_terminal._no_reaction(rollout))
    stranger(said(pid=ended()))
    with pytest.raises(LockedError):
        other_terminal._no_reaction(rollout)


def test_a_runbook_that_ended_meanwhile_is_not_to_be_killed(rollout):
    told = other_terminal._no_reaction(rollout)
    assert isinstance(told, RunbookError)
    assert str(told).startswith("E-runbook-gone")


def test_another_users_process_is_named_and_not_ours_to_end(rollout):
    if os.getuid() != 0:
        pytest.skip("only root can start another user's process")
    with (rollout / "lock").open("w+") as lock:
        lock.write(said(pid=ended()))
        lock.flush()
        argv = ["/usr/bin/env", "python3", "-c", HOLD_WHAT_IS_OPEN, str(lock.fileno())]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holder = subprocess.Popen(argv, user=65534, cwd="/", pass_fds=[lock.fileno()], **pipes)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
    try:
        told = str(store.owner(rollout).refusal("2026-12"))
        assert f"held by pid {holder.pid} of nobody: " in told
        assert told.endswith("its owner, or root, ends it")
    finally:
        holder.communicate()
    assert store.owner(rollout) is None


def test_a_lock_that_its_taker_left_to_a_child_names_no_dead_process(rollout):
    with (rollout / "lock").open("w+") as lock:
        taker = ["flock", "--exclusive", str(lock.fileno())]
        subprocess.run(taker, pass_fds=[lock.fileno()], check=True)
        owner = store.owner(rollout)
        assert owner is not None
        assert owner.holders == ()
        assert "fuser -v" in str(owner.refusal("2026-12"))
