"""What tells one process from the next with its number, and who holds a file's lock, from what the kernel says."""

from __future__ import annotations

import os
import subprocess

import pytest

from plugins.module_utils.rollout_core.site import process_identity as core
from rollout import process_identity

STAT = "4711 (tmux: (a) b) ) S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 66237 2342912 213"
LOCKS = """1: FLOCK  ADVISORY  WRITE 28019 fe:00:2149355 0 EOF
1: -> FLOCK  ADVISORY  WRITE 28020 fe:00:2149355 0 EOF
2: POSIX  ADVISORY  WRITE 300 fe:01:2149355 0 EOF
3: POSIX  ADVISORY  READ  301 fe:00:77 100 200
4: OFDLCK ADVISORY  READ  -1 00:2a:88 0 EOF
5: FLOCK  ADVISORY  WRITE 302 00:2a:99 0 EOF
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [(STAT, ("S", 1, 66237)), ("", None), ("4711 (cut of", None), ("4711 (a) S 1 2", None), (") x y z" * 20, None)],
)
def test_what_stat_says(text, said):
    assert core.stat(text) == said


@pytest.mark.parametrize(
    ("device", "inode", "pids"),
    [
        ((0xFE, 0), 2149355, [28019]),  # not who waits for it
        ((0xFE, 1), 2149355, [300]),
        ((0xFE, 0), 77, [301]),
        ((0xFE, 0), 88, []),  # a lock of a description, not of a process
        ((0xFE, 0), 99, [302]),  # a file system that shows another device here
        ((0xFE, 0), 1, []),
    ],
)
def test_who_holds_a_lock(device, inode, pids):
    assert core.holders(LOCKS, device, inode) == pids


def test_a_process_lives_as_the_one_that_began_then():
    process = subprocess.Popen(["/bin/sleep", "60"])
    began = process_identity.started(process.pid)
    assert began is not None
    assert process_identity.lives(process.pid, began)
    assert not process_identity.lives(process.pid, began + 1)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie has ended
    assert not process_identity.lives(process.pid, began)
    process.wait()
    assert process_identity.started(process.pid) is None
