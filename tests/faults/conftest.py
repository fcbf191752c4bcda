"""Servers that may crash: a pair for each worker of the tests, so that nobody else's go with them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.postgres import Servers
    from tests.modules.database_servers import Database

_DATABASES = itertools.count(1)


@pytest.fixture(scope="session")
def fault_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A PostgreSQL primary and standby with the lab's baseline in a template database."""
    from tests.modules.database_servers import serving  # only tests that need a server load it

    with serving(tmp_path_factory.mktemp("faults") / "servers") as servers:
        yield servers


@pytest.fixture
def database(fault_servers: Servers, tmp_path: Path) -> Iterator[Database]:
    """A database for one moment, with patches that take a moment each."""
    import psycopg

    from lab import postgres
    from tests.faults.stage import slow_patches
    from tests.modules.database_servers import Database

    database = Database.new(fault_servers, tmp_path, _DATABASES)
    slow_patches(database)
    yield database
    postgres.start(fault_servers, streaming=False)  # a moment that failed may have left anything
    with psycopg.connect(fault_servers.dsn("postgres", host=fault_servers.standby), autocommit=True) as standby:
        standby.execute("SELECT pg_wal_replay_resume()")
    postgres.drop_database(fault_servers, database.name)


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what became of the outages, fault by fault: a fault that never finds anything proves nothing."""
    found = Counter(
        tuple(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "moment"
    )
    if found:
        terminalreporter.section("what became of the outages")
        for (fault, access, became), count in sorted(found.items()):
            terminalreporter.write_line(f"{count:4}  {fault} · {access}: {became}")
