#!/usr/bin/env -S python3 -I
"""The downtime runbook. Finds the project's .venv itself; the commands are rollout/commands/cli.py."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"

sys.path.insert(0, str(ROOT))

from rollout import environment  # noqa: E402 - this Python may be any


def begin_again() -> None:
    """Become the project's own Python in an environment that is ours; returns if this is so already.

    Streams that are closed lead to nowhere: otherwise the first file that is opened would take their place.
    """
    closed = [number for number in range(3) if not _open(number)]
    try:
        directory = os.getcwd()  # noqa: PTH109 - no library before we know
    except OSError:
        print("E-no-directory  The directory that you are in is gone.  Go to another:  cd", file=sys.stderr)
        sys.exit(2)
    ours = environment.ours(os.environ, str(ROOT), directory)
    if Path(sys.prefix) == ROOT / ".venv" and ours.variables == dict(os.environ) and not closed:
        return
    if not VENV_PYTHON.exists():
        sys.exit(f"E-not-set-up  {ROOT}/.venv is not there.  Make it:  make setup")
    if ours.left_out and "ROLLOUT_CONTROL" not in os.environ and 2 not in closed:  # what a runbook starts is silent
        print(environment.said(ours.left_out), file=sys.stderr, flush=True)
    argv = [str(VENV_PYTHON), __file__, *sys.argv[1:]]
    os.execve(VENV_PYTHON, argv, ours.variables)  # noqa: S606 - the same program, its own Python


def _open(number: int) -> bool:
    """Return True if that stream was open; it is now."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - the lowest that is free: this one
        return False
    return True


begin_again()

from rollout.commands.cli import entry  # noqa: E402

entry()
