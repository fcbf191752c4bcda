#!/usr/bin/env -S python3 -I
"""The downtime runbook. Finds the project's .venv itself; the commands are rollout/commands/cli.py.

Nothing else is imported before the environment is ours and that .venv is proven: one that is not there, half made,
another user's, or of a Python that is gone, is an error with what to type.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
TRIED = "ROLLOUT_VENV_TRIED"  # in the environment of the second start, which must not make a third
OLDEST = (3, 11)

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
    check_venv()
    tried = os.environ.pop(TRIED, None)
    ours = environment.ours(os.environ, str(ROOT), directory)
    if Path(sys.prefix) == VENV and ours.variables == dict(os.environ) and not closed:
        return
    if tried:
        not_set_up(f"{VENV_PYTHON} does not use {VENV}.")
    if ours.left_out and "ROLLOUT_CONTROL" not in os.environ and 2 not in closed:  # what a runbook starts is silent
        print(environment.said(ours.left_out), file=sys.stderr, flush=True)
    argv = [str(VENV_PYTHON), __file__, *sys.argv[1:]]
    try:
        os.execve(VENV_PYTHON, argv, {**ours.variables, TRIED: "1"})  # noqa: S606 - the same program, its own Python
    except OSError as error:
        not_set_up(f"{VENV_PYTHON} cannot be started: {error.strerror}.")


def check_venv() -> None:
    """Refuse a .venv that is not there, not ready, or not for us."""
    try:
        owner = VENV.stat().st_uid
        if not os.access(VENV, os.X_OK | os.R_OK):
            not_set_up(f"{VENV} belongs to user {owner}, who does not let you use it.")
        made = (VENV / "ready").is_file() and (VENV / "pyvenv.cfg").is_file()
        python = VENV_PYTHON.exists()
    except FileNotFoundError:
        not_set_up(f"{VENV} is not there.")
    except OSError as error:
        not_set_up(f"{VENV} cannot be read: {error.strerror}.")
    if not python:
        not_set_up(f"{VENV_PYTHON} leads nowhere: the Python that it was made with is gone.")
    if not made:
        not_set_up(f"{VENV} is only half made.")


def not_set_up(why: str) -> NoReturn:
    """Tell why it cannot begin, and what to type; exit code 2."""
    print(f"E-not-set-up  {why}\n  Make it:  cd {ROOT} && make setup", file=sys.stderr)
    sys.exit(2)


def _open(number: int) -> bool:
    """Return True if that stream was open; it is now."""
    try:
        os.fstat(number)
    except OSError:
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - the lowest that is free: this one
        return False
    return True


begin_again()
if sys.version_info < OLDEST:
    not_set_up(f"{VENV_PYTHON} is Python {sys.version.split()[0]}; it has to be {'.'.join(map(str, OLDEST))} or later.")

try:
    from rollout.commands.cli import entry
except (ImportError, OSError) as error:
    if str(getattr(error, "name", None)).partition(".")[0] in ("rollout", "plugins"):
        raise  # a fault of ours
    not_set_up(f"{VENV} lacks something: {error}")

entry()
