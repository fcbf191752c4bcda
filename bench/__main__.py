"""`python -m bench [NAME…]`: run the benchmarks and print a table with the machine and the spread."""

import os
import platform
import statistics
import sys
from collections.abc import Callable

import psutil
from rich.console import Console
from rich.table import Table

from bench import aborts, decisions, outage, outage_schema, runbook

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
    "outage beyond the SQL": (outage.beyond_the_sql, 0.25),
    "outage, client's gap minus it": (outage.clients_gap, 0.3),
    "outage beyond the SQL, pgbouncer": (outage.pooled_beyond_the_sql, 0.25),
    "outage, client's gap minus it, pgbouncer": (outage.pooled_clients_gap, 0.3),
    "outage with 30 hosts minus 2": (outage.with_more_hosts, 0.05),
    "outage / task by task (no seconds)": (outage.of_task_by_task, 0.2),
    "outage_schema: patches, permissions, commit / floor (no seconds)": (outage_schema.work_of_floor, 1.15),
    "outage_schema: whole outage / floor (no seconds)": (outage_schema.outage_of_floor, 1.15),
}


def main(names: list[str]) -> None:
    """Print for each benchmark the median, smallest and largest of its runs, and the most allowed, in seconds."""
    table = Table("benchmark", "runs", "median s", "min s", "max s", "at most s")
    for name in chosen(names):
        measure, limit = BENCHMARKS[name]
        seconds = measure()
        if not seconds:
            table.add_row(name, "left out", "", "", "", f"{limit:.2f}")
            continue
        figures = (statistics.median(seconds), min(seconds), max(seconds), limit)
        table.add_row(name, str(len(seconds)), *(f"{figure:.2f}" for figure in figures))
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    Console().print(table, f"{machine}, load {load:.1f}")


def chosen(names: list[str]) -> list[str]:
    """Return the benchmarks to run: all without names; an incomplete name stands for all that begin with it."""
    known = [[name] if name in BENCHMARKS else [each for each in BENCHMARKS if each.startswith(name)] for name in names]
    for name, found in zip(names, known, strict=True):
        assert found, f"there is no benchmark {name}; there are: {', '.join(BENCHMARKS)}"
    return [name for found in known for name in found] or list(BENCHMARKS)


main(sys.argv[1:])
