#!/usr/bin/env python3
"""The downtime runbook. Finds the project's .venv itself; the commands are rollout/commands/cli.py.

Nothing is imported before that .venv is proven: one that is not there, half made, another user's, or of a Python that
is gone, is an error with what to type.
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


def not_set_up(why: str) -> NoReturn:
    """Tell why it cannot begin, and what to type; exit code 2."""
    print(f"E-not-set-up  {why}\n  Make it:  cd {ROOT} && make setup", file=sys.stderr)
    sys.exit(2)


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


def start_again() -> NoReturn:
    """Become the same program under the Python of .venv."""
    check_venv()
    if TRIED in os.environ:
        not_set_up(f"{VENV_PYTHON} does not use {VENV}.")
    try:
        environment = {**os.environ, TRIED: "1"}
        os.execve(VENV_PYTHON, [str(VENV_PYTHON), __file__, *sys.argv[1:]], environment)  # noqa: S606 - our own program
    except OSError as error:
        not_set_up(f"{VENV_PYTHON} cannot be started: {error.strerror}.")


if Path(sys.prefix) != VENV:
    start_again()
os.environ.pop(TRIED, None)
check_venv()
if sys.version_info < OLDEST:
    not_set_up(f"{VENV_PYTHON} is Python {sys.version.split()[0]}; it has to be {'.'.join(map(str, OLDEST))} or later.")
sys.path.insert(0, str(ROOT))

try:
    from rollout.commands.cli import entry
except (ImportError, OSError) as error:
    if str(getattr(error, "name", None)).partition(".")[0] in ("rollout", "plugins"):
        raise  # a fault of ours
    not_set_up(f"{VENV} lacks something: {error}")

entry()
