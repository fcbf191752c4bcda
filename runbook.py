#!/usr/bin/env python3
"""The downtime runbook. Finds the project's .venv itself; the commands are rollout/commands/cli.py."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"

if Path(sys.prefix) != ROOT / ".venv":
    if not VENV_PYTHON.exists():
        sys.exit(f"E-not-set-up  {ROOT}/.venv is not there.  Make it:  make setup")
    os.execv(VENV_PYTHON, [str(VENV_PYTHON), __file__, *sys.argv[1:]])  # noqa: S606 - the same program, its own Python

sys.path.insert(0, str(ROOT))

from rollout.commands.cli import entry  # noqa: E402

entry()
