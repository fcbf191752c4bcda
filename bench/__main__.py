"""`python -m bench [NAME…]`: run the benchmarks and print a table with the machine and the spread."""

import os
import platform
import statistics
import sys
from collections.abc import Callable

import psutil
from rich.console import Console
from rich.table import Table

from bench import aborts, decisions, runbook

BENCHMARKS: dict[str, tuple[Callable[[], list[float]], float]] = {
    "status": (runbook.status, 0.3),
    "late": (decisions.late, 0.3),
    "deployable": (decisions.deployable, 3.0),
    "deployable of a branch": (decisions.deployable_of_a_branch, 3.0),
    "deployable of a git branch": (decisions.deployable_of_a_git_branch, 3.0),
    "conductor": (runbook.conductor_overhead, 0.3),
    "rollout": (runbook.rollout, 120.0),
    "decision": (aborts.decision, 1.0),
    "reopened": (aborts.reopened, 5.0),
    "aborts": (aborts.aborts, 5.0),
}


def main(names: list[str]) -> None:
    """Print one row a benchmark: median, smallest and largest of its runs, and what it is to stay under, in seconds."""
    table = Table("benchmark", "runs", "median s", "min s", "max s", "at most s")
    for name in names or BENCHMARKS:
        measure, limit = BENCHMARKS[name]
        seconds = measure()
        figures = (statistics.median(seconds), min(seconds), max(seconds), limit)
        table.add_row(name, str(len(seconds)), *(f"{figure:.2f}" for figure in figures))
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    Console().print(table, f"{machine}, load {load:.1f}")


main(sys.argv[1:])
