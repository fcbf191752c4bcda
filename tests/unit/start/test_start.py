"""runbook.py with a .venv that is not as `make setup` leaves it: told, with what to type, and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout import ROOT

Start = Callable[..., subprocess.CompletedProcess[str]]
SAYS = {
    "not there": "is not there.",
    "empty": "leads nowhere",
    "its Python is gone": "leads nowhere",
    "no packages": "is only half made.",
    "interrupted before its end": "is only half made.",
    "no pyvenv.cfg": "is only half made.",
    "packages of another Python": "lacks something: No module named",
    "not a program": "cannot be started: Exec format error.",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but runbook.py and the conductor."""
    shutil.copy(ROOT / "runbook.py", tmp_path)
    for name in ("rollout", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def start(checkout: Path) -> Start:
    """`start()`: what `runbook.py status` says, started by the system's Python."""
    command = [sys._base_executable, str(checkout / "runbook.py"), "status"]  # type: ignore[attr-defined]
    return lambda **how: subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)


def make(checkout: Path, state: str) -> None:
    """Make .venv as it is after something went wrong."""
    venv = checkout / ".venv"
    if state == "not there":
        return
    (venv / "bin").mkdir(parents=True)
    if state == "empty":
        return
    python = venv / "bin" / "python"
    python.symlink_to("/nowhere/python3" if state == "its Python is gone" else sys._base_executable)  # type: ignore[attr-defined]
    if state == "not a program":
        python.unlink()
        python.write_bytes(b"\0\0")
        python.chmod(0o755)
    if state != "no pyvenv.cfg":
        (venv / "pyvenv.cfg").write_text(f"home = {Path(sys._base_executable).parent}\n")  # type: ignore[attr-defined]
    if state not in ("interrupted before its end", "no packages"):
        (venv / "ready").touch()


@pytest.mark.parametrize("state", SAYS)
def test_it_is_told_what_is_wrong_and_what_to_type(checkout: Path, start: Start, state: str) -> None:
    make(checkout, state)
    done = start()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("E-not-set-up  ")
    assert SAYS[state] in done.stderr
    assert done.stderr.endswith(f"Make it:  cd {checkout} && make setup\n")


def test_another_users_is_told(checkout: Path) -> None:
    """A directory of root's, seen at /mnt by a user who may not enter .venv."""
    mounts = ["unshare", "--mount", "true"]
    if os.geteuid() != 0 or subprocess.run(mounts, check=False).returncode:
        pytest.skip("left out: needs root, and a mount namespace")
    make(checkout, "packages of another Python")
    checkout.chmod(0o755)
    (checkout / ".venv").chmod(0o700)
    as_nobody = "exec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/python3 /mnt/runbook.py"
    script = f'mount --bind "$1" /mnt && {as_nobody}'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(checkout)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        "E-not-set-up  /mnt/.venv belongs to user 0, who does not let you use it.\n  Make it:  cd /mnt && make setup\n"
    )
