"""Runs a pgbouncer in front of a lab's production, for as long as a benchmark takes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

import psycopg

from lab import clients, pgbouncer
from lab.layout import Lab
from lab.postgres import Servers
from lab.waiting import eventually

PORT = 6432


class Pooler(NamedTuple):
    """A running pgbouncer: `pool` is what a module is given, `dsn` what a client connects with."""

    pool: dict[str, str]
    dsn: str


@contextmanager
def pooler(lab: Lab, servers: Servers, database: str) -> Iterator[Pooler]:
    """Run a pgbouncer on the database host, and put its admin's password into that host's ~/.pgpass."""
    host = lab.address("wildcherry")
    bouncer = pgbouncer.Pgbouncer(servers.directory / "pgbouncer", (host, PORT))
    pgbouncer.create(bouncer, servers, {database: (servers.primary, database)}, pool_mode="transaction")
    users = bouncer.directory / "userlist.txt"
    others = [line for line in users.read_text().splitlines() if not line.startswith('"launchpad"')]
    # The server's own verifier: whoever logs in with it is logged in there with it, and nobody computes a hash.
    users.write_text("\n".join([*others, f'"launchpad" "{clients.verifier(servers, "launchpad")}"\n']))
    passfile = servers.directory / "pgbouncer.pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(bouncer.pgpass(pgbouncer.ADMIN))
    with (lab.home("wildcherry") / ".pgpass").open("a") as hosts:
        hosts.write(bouncer.pgpass(pgbouncer.ADMIN))
    with (servers.directory / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen(bouncer.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def answers() -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(f"{bouncer.console()} passfile={passfile}", autocommit=True).close()
            return True
        return False

    try:
        eventually(answers, "pgbouncer answers")
        yield Pooler(
            {"console": bouncer.console(), "database": database}, clients.dsn(servers, database, at=(host, PORT))
        )
    finally:
        process.kill()
        process.wait()
