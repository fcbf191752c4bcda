"""Measures outages by the database and by its users: 200 clients, Ansible over SSH, `./runbook.py run` (R18).

On a lab of its own; its database is put back before each outage. `OUTAGES=3 python -m bench outage` has 3 of each, not
10. All durations are seconds.
"""

import functools
import json
import os
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import yaml
from rich.console import Console

from bench.pooler import Pooler, pooler
from lab import clients, parts, pgbouncer, postgres
from lab.drills.base import Base
from lab.drills.command import made_base
from lab.drills.rollout import DATABASE, Rollout
from lab.layout import SSH_PORT
from rollout import ROOT

DIRECTORY = ROOT / "var" / "bench"
CLIENTS = 200
# What only makes the patches slow: without it they take as long as real ones do that were made to be fast.
ROWS = "TRUNCATE Bug, BugTask, BugTag, BugSubscription, Branch, TranslationMessage, POTMsgSet, EmailAddress CASCADE"
FULL, EMPTIED = f"{DATABASE}_full", f"{DATABASE}_emptied"
MORE_HOSTS = [f"app-{number}" for number in range(3, 31)]  # with the lab's two: 30 application hosts
SQL = ("patch-", "permissions")  # how the steps are called that are not ours


@dataclass(frozen=True)
class Outage:
    """One outage: how long access was closed, its steps, and the longest gap between two answers that a user got."""

    seconds: float
    steps: dict[str, float]
    gap: float

    @property
    def sql(self) -> float:
        """Return the seconds that the patches and permissions took."""
        return sum(seconds for step, seconds in self.steps.items() if step.startswith(SQL))


@dataclass
class Series:
    """Measured outages of each kind, taken in turns, so that other load on the machine hits all kinds alike."""

    full: list[Outage] = field(default_factory=list)
    emptied: list[Outage] = field(default_factory=list)
    many_hosts: list[Outage] = field(default_factory=list)
    pooled: list[Outage] = field(default_factory=list)
    task_by_task: list[float] = field(default_factory=list)  # gaps


def beyond_the_sql() -> list[float]:
    """Return the seconds of an outage that are not spent on patches and permissions."""
    return [each.seconds - each.sql for each in measured().full]


def clients_gap() -> list[float]:
    """Return by how many seconds clients got no answer for longer than the outage says it lasted."""
    return [each.gap - each.seconds for each in measured().full]


def pooled_beyond_the_sql() -> list[float]:
    """Return `beyond_the_sql` for users who come through pgbouncer; nothing if that is not installed."""
    return [each.seconds - each.sql for each in measured().pooled]


def pooled_clients_gap() -> list[float]:
    """Return `clients_gap` for users who come through pgbouncer; nothing if that is not installed."""
    return [each.gap - each.seconds for each in measured().pooled]


def with_more_hosts() -> list[float]:
    """Return by how many seconds the outage is longer with 30 application hosts than with two."""
    pairs = zip(measured().emptied, measured().many_hosts, strict=True)
    return [many.seconds - few.seconds for few, many in pairs]


def of_task_by_task() -> list[float]:
    """Return our outage as a fraction of one with a task for each step, as clients see both, on the same tables."""
    return [ours.gap / theirs for ours, theirs in zip(measured().emptied, measured().task_by_task, strict=True)]


@functools.cache
def measured() -> Series:
    """Measure outages of all kinds, once; return them."""
    with ExitStack() as stack:
        base = stack.enter_context(made_base(DIRECTORY, Console(stderr=True)))
        series = _series(Bench(base, stack))
    for kind in ("full", "emptied", "many_hosts", "pooled"):
        outages: list[Outage] = getattr(series, kind)
        print(f"{kind}: outage (sql) gap", *(f"{o.seconds:.2f} ({o.sql:.2f}) {o.gap:.2f}" for o in outages), sep="  ")
        for step in outages[0].steps if outages else ():
            print(f"  {step}: {statistics.median(outage.steps.get(step, 0) for outage in outages):.3f}")
    print("task by task: gap", *(f"{gap:.2f}" for gap in series.task_by_task), sep="  ")
    return series


def _series(bench: "Bench") -> Series:
    series = Series()
    for number in range(int(os.environ.get("OUTAGES", "10"))):
        series.full.append(bench.outage(f"full-{number}", FULL))
        series.emptied.append(bench.outage(f"emptied-{number}", EMPTIED))
        series.many_hosts.append(bench.outage(f"many-{number}", EMPTIED, bench.many_hosts))
        series.task_by_task.append(bench.task_by_task(EMPTIED))
        if bench.pooler:
            series.pooled.append(bench.outage(f"pooled-{number}", FULL, bench.pooled))
    return series


class Bench:
    """A lab at the moment of its outage: the stages before it are done, and on record."""

    def __init__(self, base: Base, stack: ExitStack) -> None:
        """Prepare the lab of `base`; what is started for it ends with `stack`."""
        self.lab = base.lab
        self.servers = parts.servers(base.lab)
        self.records = DIRECTORY / "records"
        shutil.rmtree(self.records, ignore_errors=True)
        before = base.at_the_window(self.records / "before")
        _must(before.run("pause", "--at=-30m"))
        self._keep_databases()
        self.pooler: Pooler | None = None
        if pgbouncer.program():
            self.pooler = stack.enter_context(pooler(self.lab, self.servers, DATABASE))
            self.pooled = _inventory("pooled", {"database": {"wildcherry": {"database_pools": [self.pooler.pool]}}})
        host = {"ansible_user": "launchpad", "ansible_host": self.lab.address("gac"), "ansible_port": SSH_PORT}
        self.many_hosts = _inventory("many_hosts", {"app": dict.fromkeys(MORE_HOSTS, host)})

    def outage(self, name: str, template: str, inventory: Path | None = None) -> Outage:
        """Carry out and measure an outage by `./runbook.py run outage`, in `inventory` or else the lab's own."""
        rollout = self._rollout(name, inventory)
        with self._probed(template, pooled=bool(self.pooler) and inventory == self.pooled) as probe:
            done = rollout.run("outage", "--at=0m")
            gap = probe.gap()
        _must(done)
        facts = next(e["facts"] for e in rollout.journal if e["event"] == "stage_finished" and e["stage"] == "outage")
        shutil.rmtree(rollout.records)
        return Outage(facts["outage_seconds"], {each["step"]: each["seconds"] for each in facts["outage_steps"]}, gap)

    def task_by_task(self, template: str) -> float:
        """Apply the same patches by a playbook with a task for each step; return the gap in seconds."""
        rollout = Rollout(self.records / "before", self.lab)
        schema = self.lab.home("wildcherry") / f"srv/launchpad/r{rollout.pinned['merged_revno']}/database/schema"
        patches = [str(schema / patch) for patch in rollout.pinned["patches"]]
        told = json.dumps({"database": DATABASE, "patches": patches})
        command = [
            ".venv/bin/ansible-playbook",
            "-i",
            "inventories/lab",
            "bench/playbooks/task_by_task.yml",
            "-e",
            told,
        ]
        environment = rollout.runbook_environment
        with self._probed(template) as probe:
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            gap = probe.gap()
        _must(done)
        return gap

    @contextmanager
    def _probed(self, template: str, *, pooled: bool = False) -> Iterator[clients.Probe]:
        """Put the database back, and yield a probe of it beside its clients; at the end all must be in again."""
        postgres.drop_database(self.servers, DATABASE)
        postgres.copy_database(self.servers, template, DATABASE)
        dsn = self.pooler.dsn if pooled and self.pooler else clients.dsn(self.servers, DATABASE)
        with clients.Crowd(dsn, CLIENTS) as crowd, clients.Probe(dsn) as probe:
            probe.gap()
            yield probe
            crowd.wait_until_all_are_in()

    def _rollout(self, name: str, inventory: Path | None) -> Rollout:
        records = self.records / name
        shutil.copytree(self.records / "before", records)
        rollout = Rollout(records, self.lab)
        if inventory:
            path = rollout.directory / "plan.yml"
            plan = yaml.safe_load(path.read_text(encoding="utf-8"))
            plan["rollout"]["inventory"] = str(inventory.relative_to(ROOT))
            path.write_text(yaml.safe_dump(plan, sort_keys=False), encoding="utf-8")
        return rollout

    def _keep_databases(self) -> None:
        """Keep a copy of production, and one more with few rows; nobody may connect to either."""
        with psycopg.connect(self.servers.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {DATABASE} CONNECTION LIMIT 0")
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [DATABASE])
            admin.execute(f"ALTER DATABASE {DATABASE} RENAME TO {FULL}")
        postgres.copy_database(self.servers, FULL, EMPTIED)
        with psycopg.connect(self.servers.dsn(EMPTIED)) as admin:
            admin.execute(ROWS)


def _inventory(name: str, hosts: dict[str, dict[str, dict[str, object]]]) -> Path:
    """Return the lab's inventory with more hosts and variables: `hosts` is group → host → variables."""
    directory = DIRECTORY / "inventories" / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for path in (ROOT / "inventories" / "lab").iterdir():
        (directory / path.name).symlink_to(path)
    groups = {group: {"hosts": members} for group, members in hosts.items()}
    (directory / "more_hosts.yml").write_text(yaml.safe_dump({"all": {"children": groups}}), encoding="utf-8")
    return directory


def _must(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
