"""Users of a database, on real connections, in processes of their own: a crowd, and one user who measures gaps.

Those of the crowd come back whenever their connection is ended. Their work costs the machine, not the process that
watches them. `python -m lab.clients crowd|probe` reads a line of JSON from its stdin, {dsn, count}, then answers each
line with one, and ends with its stdin. So no dsn is in an argv.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import logging
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from lab.postgres import PORT, Servers
from lab.waiting import eventually

PROJECT = Path(__file__).resolve().parent.parent
THINK = 4.0  # seconds between two statements of a client
BACKOFF = (
    0.1,
    3.0,
)  # seconds before it connects again, doubled each time up to the second; each waits half to all of it
PROBE = 0.003  # seconds between two attempts of the probe
CONNECT = 10  # seconds a connection may take


def dsn(servers: Servers, database: str, *, at: tuple[str, int] | None = None, user: str = "launchpad") -> str:
    """Return conninfo for many connections: it has SCRAM's keys instead of the password that they are made of.

    Making them takes 4096 rounds of SHA-256 a connection. Users do that on machines of their own; here it would take
    two cores from the database, and be measured as its slowness. `at` is a pgbouncer that has the same `verifier`.
    """
    password = json.loads((servers.directory / "passwords.json").read_text())[user]
    rounds, salt = verifier(servers, user).split("$")[1].split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    keys = {
        f"scram_{side}_key": base64.b64encode(hmac.digest(salted, f"{side.title()} Key".encode(), "sha256")).decode()
        for side in ("client", "server")
    }
    host, port = at or (servers.primary, PORT)
    return make_conninfo(host=host, port=port, user=user, dbname=database, **keys)


def verifier(servers: Servers, user: str) -> str:
    """Return what the servers store of a user's password: SCRAM-SHA-256$ROUNDS:SALT$…"""
    with psycopg.connect(servers.dsn("postgres")) as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user]).fetchone()
    assert row  # noqa: S101
    return str(row[0])


class _Asked:
    """A process of this module, which runs while the block does and answers questions."""

    def __init__(self, what: str, dsn: str, count: int) -> None:
        self._argv = [sys.executable, "-m", "lab.clients", what]
        self._given = {"dsn": dsn, "count": count}
        self._process: subprocess.Popen[str] | None = None

    def _start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._argv, cwd=PROJECT, stdin=pipe, stdout=pipe, text=True)
        self._write(json.dumps(self._given))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End the process, and with it all its clients."""
        if self._process:
            self._process.communicate()  # closes its stdin

    def ask(self) -> dict[str, Any]:
        """Return the process's answer. Raises RuntimeError if it has died."""
        self._write("?")
        assert self._process and self._process.stdout  # noqa: S101, PT018
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the clients have died: {' '.join(self._argv)}")
        said: dict[str, Any] = json.loads(answer)
        return said

    def _write(self, line: str) -> None:
        assert self._process and self._process.stdin  # noqa: S101, PT018
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


class Crowd(_Asked):
    """`count` clients of the application: every second one always in a transaction, every fourth with a row lock.

    Whoever is ended or refused comes back, soon at first and then less and less often.
    """

    def __init__(self, dsn: str, count: int = 200) -> None:
        """Set up the crowd; `dsn` is an ordinary user's of the lab's database, or of a pool that leads there."""
        super().__init__("crowd", dsn, count)
        self.count = count

    def __enter__(self) -> Crowd:
        """Start the clients, and return when all are connected."""
        self._start()
        self.wait_until_all_are_in(60)
        return self

    def wait_until_all_are_in(self, seconds: float = 30) -> None:
        """Return when every client is connected and has had an answer since. Raises NeverHappenedError."""
        eventually(lambda: self.ask()["in"] == self.count, f"{self.count} clients to be in: {self.ask()}", seconds)

    @property
    def ended(self) -> int:
        """Return how many connections were ended so far."""
        return int(self.ask()["ended"])


class Probe(_Asked):
    """A user who asks `SELECT 1` on a new connection every few milliseconds."""

    def __init__(self, dsn: str) -> None:
        """Set up the probe; `dsn` is an ordinary user's, for closed access lets superusers pass."""
        super().__init__("probe", dsn, 1)

    def __enter__(self) -> Probe:
        """Start the probe; its first answer has come when this returns. Raises NeverHappenedError."""
        self._start()
        eventually(lambda: self.ask()["answers"], "the probe to get an answer", CONNECT)
        return self

    def gap(self) -> float:
        """Return the longest time between two answers since the last call, in seconds; one that still lasts counts."""
        return float(self.ask()["gap"])


async def _crowd(lines: asyncio.StreamReader, dsn: str, count: int) -> None:
    said = Counter[str](ended=0, refused=0)
    inside: set[int] = set()
    clients = [asyncio.create_task(_client(dsn, number, inside, said)) for number in range(count)]
    await _answering(lines, lambda: {"in": len(inside), **said})
    for client in clients:
        client.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


async def _client(dsn: str, number: int, inside: set[int], said: Counter[str]) -> None:
    backoff, longest = BACKOFF
    while True:
        try:
            async with await _connect(dsn) as session:
                while True:
                    await _work(session, number)
                    inside.add(number)
                    backoff = BACKOFF[0]
                    async for _ in session.notifies(timeout=THINK * random.uniform(0.5, 1)):  # noqa: S311
                        pass  # nobody notifies: this is how it hears at once that it is ended
        except psycopg.Error:
            said["ended" if number in inside else "refused"] += 1
            inside.discard(number)
        await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311
        backoff = min(2 * backoff, longest)


async def _connect(dsn: str) -> psycopg.AsyncConnection[Any]:
    connect = psycopg.AsyncConnection.connect
    return await connect(dsn, autocommit=True, connect_timeout=CONNECT, prepare_threshold=None)


async def _work(session: psycopg.AsyncConnection[Any], number: int) -> None:
    """Read a row; every second client reads it in a transaction that stays open, every fourth also locks it."""
    if number % 2:
        await session.execute("ROLLBACK; BEGIN" if session.info.transaction_status else "BEGIN")
    lock = " FOR UPDATE" if number % 4 == 1 else ""
    await session.execute(f"SELECT * FROM Person WHERE id = {number + 1}{lock}".encode())  # noqa: S608


async def _probe(lines: asyncio.StreamReader, dsn: str) -> None:
    answers: list[float] = []
    kept: list[float] = []

    async def attempts() -> None:
        while True:
            try:
                async with await _connect(dsn) as session:
                    await session.execute("SELECT 1")
                    answers.append(time.monotonic())
            except psycopg.Error:
                pass
            await asyncio.sleep(PROBE)

    def longest() -> dict[str, Any]:
        times = [*kept, *answers, time.monotonic()]
        kept[:], count = answers[-1:] or kept, len(answers)
        answers.clear()
        return {"answers": count, "gap": max((b - a for a, b in itertools.pairwise(times)), default=0.0)}

    task = asyncio.create_task(attempts())
    await _answering(lines, longest)
    task.cancel()


async def _answering(lines: asyncio.StreamReader, answer: Callable[[], dict[str, Any]]) -> None:
    """Answer each line of stdin until it ends."""
    while await lines.readline():
        print(json.dumps(answer()), flush=True)


async def main(what: str) -> None:
    """Run the crowd or the probe."""
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # that connections are ended is what this is about
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    given = json.loads(await lines.readline())
    await (_crowd(lines, **given) if what == "crowd" else _probe(lines, given["dsn"]))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
