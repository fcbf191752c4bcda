"""Modules are called for real: the file itself, in a process of its own, its arguments as JSON, as Ansible does."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.forks.process import ForkedProcess

if TYPE_CHECKING:
    from lab.postgres import Servers
    from tests.modules.database_servers import Database, Slow

PROJECT = Path(__file__).resolve().parents[2]
MODULES = PROJECT / "plugins" / "modules"
_DATABASES = itertools.count(1)


class RunningModule:
    """A module that has been started: signal it through `.process`, then ask for its `result()`."""

    def __init__(
        self, name: str, args: Mapping[str, Any], *, check: bool, diff: bool, env: Mapping[str, str], cwd: Path | None
    ) -> None:
        module = MODULES / f"{name}.py"
        assert module.is_file(), f"there is no module {module}"
        params = {
            **args,
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_module_name": name,
            "_ansible_no_log": False,
            "_ansible_remote_tmp": str(PROJECT / "var" / "cache" / "modules"),  # a killed module leaves it behind
        }
        arguments = json.dumps({"ANSIBLE_MODULE_ARGS": params})
        self.process = ForkedProcess("modules", [module], arguments.encode(), {**os.environ, **env}, cwd)

    def result(self, timeout: float = 60) -> dict[str, Any]:
        """The parsed JSON answer, always with `failed`, `changed` and `warnings` (texts). No answer fails the test."""
        stdout, stderr = self.process.communicate(timeout=timeout)
        try:
            answer: dict[str, Any] = json.loads(stdout)
        except json.JSONDecodeError:
            pytest.fail(f"module answered no JSON (exit {self.process.returncode})\nstdout: {stdout}\nstderr: {stderr}")
        answer.setdefault("failed", False)
        answer.setdefault("changed", False)
        answer["warnings"] = [warning["event"]["msg"] for warning in answer.get("warnings", [])]
        assert answer["failed"] == (self.process.returncode != 0), f"exit {self.process.returncode} with {answer}"
        return answer


@pytest.fixture
def start_module() -> Iterator[Callable[..., RunningModule]]:
    """`start_module(name, args, check=False, diff=False, env={}, cwd=None) -> RunningModule`, killed after the test."""
    started: list[RunningModule] = []

    def start(
        name: str,
        args: Mapping[str, Any] | None = None,
        check: bool = False,
        *,
        diff: bool = False,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> RunningModule:
        running = RunningModule(name, args or {}, check=check, diff=diff, env=env or {}, cwd=cwd)
        started.append(running)
        return running

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


@pytest.fixture
def run_module(start_module: Callable[..., RunningModule]) -> Callable[..., dict[str, Any]]:
    """`run_module(name, args, check=False, diff=False, env={}, cwd=None) -> the module's parsed JSON result`."""

    def run(
        name: str, args: Mapping[str, Any] | None = None, check: bool = False, timeout: float = 60, **how: Any
    ) -> dict[str, Any]:
        return start_module(name, args, check, **how).result(timeout)

    return run


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate for localhost that signs itself, `cert.pem`, and its `key.pem`."""
    from tests.modules import certificates  # only tests of TLS load it

    return certificates.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def database_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A PostgreSQL primary and standby with the lab's baseline in a template database."""
    from tests.modules.database_servers import serving  # only tests that need a server load it

    with serving(tmp_path_factory.mktemp("postgres") / "servers") as servers:
        yield servers


@pytest.fixture(scope="session")
def debian_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The same with Debian's PostgreSQL."""
    from tests.modules.database_servers import need_debian_postgresql, serving

    need_debian_postgresql()
    with serving(tmp_path_factory.mktemp("debian") / "servers", debian=True) as servers:
        yield servers


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of its own for the test, and what a host has to reach it. See `both_versions`."""
    from lab import postgres
    from tests.modules.database_servers import Database

    debian = getattr(request, "param", "lab") == "debian"
    servers = request.getfixturevalue("debian_servers" if debian else "database_servers")
    database = Database.new(servers, tmp_path, _DATABASES)
    yield database
    database.resume_replay()  # a killed outage leaves it paused, and the next test has the same standby
    postgres.drop_database(servers, database.name)


@pytest.fixture
def slow(start_module: Callable[..., RunningModule], database: Database) -> Iterator[Slow]:
    """An outage that can be had in the middle of its third patch."""
    from tests.modules.database_servers import Slow

    slow = Slow(start_module, database)
    yield slow
    slow.blocker.close()
