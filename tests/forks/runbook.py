"""`./runbook.py` as it is typed, without the second that Python takes to import it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from rollout import ROOT, environment
from tests.forks.process import ForkedProcess


def runbook(
    *words: str | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None, cwd: Path = ROOT, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Return how `./runbook.py WORDS…` ended and what it printed. Raises subprocess.TimeoutExpired."""
    argv = [str(ROOT / "runbook.py"), *map(str, words)]
    ours = environment.ours({**os.environ, **(env or {})}, str(ROOT), str(cwd))  # else it would begin again
    process = ForkedProcess("runbook", argv, stdin, ours.variables, cwd)
    stdout, stderr = process.communicate(timeout)
    return subprocess.CompletedProcess(argv, process.wait(), stdout, stderr)
