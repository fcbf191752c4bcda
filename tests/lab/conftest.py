"""One lab for all tests of a worker that need one, in var/lab-test*; `fresh_lab` is the same lab as right after `up`.

tests/conftest.py deals the tests out: a worker has one lab at most, and two or three workers have one.
"""

import contextlib
import fcntl
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest

from lab import lab as embedded
from lab import parts
from lab.layout import HOSTS, HTTP_PORT, PROJECT, SSH_PORT, Lab

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
DIRECTORY = PROJECT / "var" / (f"lab-test-{WORKER}" if WORKER else "lab-test")
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def lab_snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Brings the lab up, for commands run by the tests as well ($ROLLOUT_LAB); its state then is in this directory."""
    DIRECTORY.parent.mkdir(exist_ok=True)
    with DIRECTORY.with_suffix(".lock").open("w") as lock, pytest.MonkeyPatch.context() as environment:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another session's tests in this checkout come first
        environment.setenv("ROLLOUT_LAB", str(DIRECTORY))
        embedded.down(DIRECTORY)  # of a session that was killed
        try:
            embedded.up(DIRECTORY)
            snapshot = tmp_path_factory.mktemp("lab") / "snapshot"
            embedded.snapshot(DIRECTORY, snapshot)
            yield snapshot
        finally:
            embedded.down(DIRECTORY)


@pytest.fixture(scope="session")
def lab(lab_snapshot: Path) -> Lab:
    """The running lab, in the state that earlier tests left it in: for tests that change nothing, or put it back."""
    running = Lab.load(DIRECTORY)
    assert running is not None
    return running


@pytest.fixture
def fresh_lab(lab: Lab, lab_snapshot: Path) -> Lab:
    """The running lab as it was right after `up`."""
    embedded.restore(DIRECTORY, lab_snapshot)
    return lab


@pytest.fixture(scope="session")
def ansible(lab: Lab) -> Command:
    """`ansible(command, *arguments)`: one of Ansible's commands on the lab's inventory, as a person would call it."""

    def run(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(PROJECT / ".venv" / "bin" / command), "-i", "inventories/lab", *arguments]
        return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.fixture
def ssh(lab: Lab) -> Callable[..., list[str]]:
    """`ssh(host, *options) -> argv`: the ssh command that the inventory stands for, up to what is to be run."""
    variables = lab.inventory()["vars"]

    def argv(host: str, *options: str, user: str | None = None, key: Path | None = None) -> list[str]:
        common = shlex.split(str(variables["ansible_ssh_common_args"]))
        identity = str(key or variables["ansible_ssh_private_key_file"])
        who = f"{user or HOSTS[host][1]}@{lab.address(host)}"
        return ["ssh", *options, *common, "-o", "BatchMode=yes", "-i", identity, "-p", str(SSH_PORT), who]

    return argv


@pytest.fixture
def on_host(ssh: Callable[..., list[str]]) -> Command:
    """`on_host(host, command)`: what a command on a host printed and how it ended."""

    def run(host: str, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*ssh(host), command], capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def page(lab: Lab) -> Callable[..., tuple[int, dict[str, str], str]]:
    """`page(host, path) -> (status, headers, text)` of the site on an application host; errors too."""

    def get(host: str, path: str = "/") -> tuple[int, dict[str, str], str]:
        try:
            with urllib.request.urlopen(f"http://{lab.address(host)}:{HTTP_PORT}{path}", timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    return get


@pytest.fixture
def database(lab: Lab) -> Callable[..., AbstractContextManager[psycopg.Connection]]:
    """`with database(name) as connection`: the superuser on the primary, in autocommit."""

    @contextlib.contextmanager
    def connect(name: str = "launchpad_prod") -> Iterator[psycopg.Connection]:
        with psycopg.connect(parts.servers(lab).dsn(name), autocommit=True) as connection:
            yield connection

    return connect
