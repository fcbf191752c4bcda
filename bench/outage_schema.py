"""Measures the outage of a schema of Launchpad's size against a floor: the same by one connection, nothing around it.

The floor executes the same texts and the same GRANTs in one transaction; it closes and opens access by bare statements.
Both are taken in turns, each on a copy of the same database with 70 clients in it. `PAIRS=5 python -m bench
outage_schema` has 5 pairs, not 20. All durations are seconds.
"""

import fcntl
import functools
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg

from bench import made_schema
from lab import clients, postgres
from plugins.module_utils.rollout_core.schema import permissions_file
from plugins.module_utils.rollout_host.database import permissions
from rollout import ROOT

DIRECTORY = ROOT / "var" / "bench" / "schema"
CLIENTS = 70
TEMPLATE, DATABASE = "schema_template", "schema_prod"
# The worker as it runs on a host, but for the guardian, who only listens.
WORKER = """
import json, resource, sys
from plugins.module_utils.rollout_host.database.outage import worker
answer = worker.run(json.load(sys.stdin))
print(json.dumps({**answer, "cpu": resource.getrusage(resource.RUSAGE_SELF).ru_utime}))
"""


class Pair(NamedTuple):
    """One outage of ours and its floor: the seconds of all of it, and of what is done while access is closed."""

    outage: float
    work: float
    floor: float
    floor_work: float
    steps: list[dict[str, Any]]


def work_of_floor() -> list[float]:
    """Return patches, permissions and commit as a fraction of the floor's."""
    return [pair.work / pair.floor_work for pair in measured()]


def outage_of_floor() -> list[float]:
    """Return the whole outage as a fraction of the floor with access closed and opened by bare statements."""
    return [pair.outage / pair.floor for pair in measured()]


@functools.cache
def measured() -> list[Pair]:
    """Measure pairs in turns, once; return them."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(DIRECTORY / "state", ignore_errors=True)
        servers = _servers()
        try:
            bench = Bench(servers)
            pairs = [bench.pair(ours_first=bool(number % 2)) for number in range(int(os.environ.get("PAIRS", "20")))]
        finally:
            postgres.remove(servers)
    told = (f"{p.outage:.3f} ({p.work:.3f}) {p.floor:.3f} ({p.floor_work:.3f})" for p in pairs)
    print("outage (work) floor (work)", *told, sep="  ")
    return pairs


class Bench:
    """Servers with the template of the database, the patches and the permissions file."""

    def __init__(self, servers: postgres.Servers) -> None:
        """Make all of it."""
        self.servers = servers
        self.home, self.schema = DIRECTORY / "home", DIRECTORY / "patches"
        for directory in (self.home, self.schema):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
        (self.home / ".pgpass").write_text(postgres.pgpass(servers, postgres.SUPERUSER))
        (self.home / ".pgpass").chmod(0o600)
        self.names = made_schema.write_patches(self.schema)
        self.file = DIRECTORY / "security.cfg"
        self.file.write_text(made_schema.permissions())
        wanted = permissions_file.parse(str(self.file), self.file.read_text())
        postgres.create_database(servers, TEMPLATE, made_schema.BASELINE)
        with psycopg.connect(servers.dsn(TEMPLATE)) as connection:
            connection.execute(made_schema.tables().encode())
            connection.execute(";".join(permissions.difference(connection, wanted).statements).encode())
        with psycopg.connect(servers.dsn(TEMPLATE)) as connection:
            self.texts = [(self.schema / name).read_bytes() for name in self.names]
            for text in self.texts:
                connection.execute(text)
            self.grants = ";\n".join(permissions.difference(connection, wanted).statements).encode()
            connection.rollback()

    def pair(self, *, ours_first: bool) -> Pair:
        """Measure one of each, on a fresh copy with its clients."""
        ours: dict[str, Any] = {}
        floor = (0.0, 0.0)
        for which in ("ours", "floor") if ours_first else ("floor", "ours"):
            postgres.drop_database(self.servers, DATABASE)
            postgres.copy_database(self.servers, TEMPLATE, DATABASE)
            with clients.Crowd(clients.dsn(self.servers, DATABASE), CLIENTS):
                if which == "ours":
                    ours = self.ours()
                else:
                    floor = self.floor()
        work = sum(step["seconds"] for step in ours["steps"] if not step["step"].endswith(("access", "connections")))
        commit = sum(step["seconds"] for step in ours["steps"] if step["step"].startswith("commit"))
        return Pair(ours["outage_seconds"], work + commit, *floor, ours["steps"])

    def ours(self) -> dict[str, Any]:
        """Carry out an outage; return its answer."""
        given = {
            "dsn": f"host={self.servers.primary} port={postgres.PORT} user={postgres.SUPERUSER} dbname={DATABASE}",
            "schema_directory": str(self.schema),
            "patches": self.names,
            "permissions": str(self.file),
            "run_id": "bench/outage-1",
            "state_directory": str(DIRECTORY / "state"),
            "standbys": [],
            "pools": [],
            "deadline_seconds": 300,
            "clock_offset": 0,
        }
        environment = {**os.environ, "HOME": str(self.home), "ROLLOUT_RUN": "bench/outage-1"}
        argv = [sys.executable, "-c", WORKER]
        done = subprocess.run(
            argv, input=json.dumps(given), cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer.get("committed"), answer
        return answer

    def floor(self) -> tuple[float, float]:
        """Do the same by one connection; return the seconds of all of it, and of the transaction."""
        with psycopg.connect(self.servers.dsn(DATABASE), autocommit=True) as connection:
            begun = time.monotonic()
            connection.execute(f"ALTER DATABASE {DATABASE} CONNECTION LIMIT 0")
            while connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND usename <> current_user"
            ).fetchall():
                time.sleep(0.005)
            closed = time.monotonic()
            connection.execute("BEGIN")
            for text in self.texts:
                connection.execute(text)
            connection.execute(self.grants)
            connection.execute(f"ALTER DATABASE {DATABASE} CONNECTION LIMIT -1")
            connection.execute("COMMIT")
            ended = time.monotonic()
        return ended - begun, ended - closed


def _servers() -> postgres.Servers:
    """Make and start servers on a loopback subnet that nobody uses."""
    postgres.remove(postgres.Servers(DIRECTORY / "servers", "", ""))  # of a benchmark that was killed
    for number in itertools.count(150):
        addresses = (f"127.{number}.1.13", f"127.{number}.1.14")
        with suppress(OSError):
            for address in addresses:
                with socket.create_server((address, postgres.PORT)):
                    pass
            servers = postgres.Servers(DIRECTORY / "servers", *addresses)
            postgres.create(servers)
            return servers
    raise AssertionError
