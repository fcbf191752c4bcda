"""The whole embedded lab: up, down, status, snapshot, restore.

`down` leaves nothing of a lab, so `up` after it starts from nothing. A lab whose making was interrupted has no
lab.json; the next `up` or `down` deletes it. One command at a time works on a directory, the others wait.
"""

import fcntl
import os
import shutil
import subprocess
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from lab import buildbot, hosts, irc, parts, pgbouncer, postgres, processes, smtp, staging, status_account, vault
from lab.layout import (
    DATA,
    HOSTS,
    PROJECT,
    SSH_PORT,
    Lab,
    LabError,
    lab_directory,
    pooler_wanted,
)
from plugins.module_utils.rollout_host.database.connection import RolloutError, message

# What a snapshot holds.
STATE = ("bazaar", "buildbot", "hosts", "irc", "links", "postgres", "production_status", "smtp", "status_account")
BELONGINGS = (*STATE, "pgbouncer", "keys", "run", "lab.json", "lab.json.part")
# Tool -> the Debian package that has it.
TOOLS = {
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "patch": "patch",
    "git": "git",
    "setsid": "util-linux",
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class PartStatus:
    """One line of `lab status`: `pid` is None for a part that does not run."""

    name: str
    address: str
    pid: int | None

    @property
    def state(self) -> str:
        """Return `up` or `down`."""
        return "down" if self.pid is None else "up"


def up(directory: Path | None = None, say: Say = print) -> Lab:
    """Make the lab if there is none, start what does not run, and return the lab. Raises LabError."""
    directory = _absolute(directory)
    _check_tools()
    with _alone(directory):
        before = {part.name for part in status(directory) if part.pid}
        lab = Lab.load(directory)
        if lab is None:
            say(f"making a lab in {directory} …")
            _clear(directory)
            lab = _free_network(directory, pooler=pooler_wanted())
            _build(lab)
        _start(lab)
        for part in status(directory):
            ran = " (ran already)" if part.name in before else ""
            say(f"  {part.name:<18} {part.address:<17} pid {part.pid}{ran}")
    return lab


def down(directory: Path | None = None, say: Say = print) -> None:
    """Stop every process of the lab, with what a crash or a command on a host has left, and delete its state."""
    directory = _absolute(directory)
    if not directory.exists():
        say(f"there is no lab in {directory}")
        return
    with _alone(directory):
        _clear(directory)
        if not any(directory.iterdir()):
            directory.rmdir()
    say(f"the lab in {directory} is gone")


def status(directory: Path | None = None) -> list[PartStatus]:
    """Return every part of the lab with its address; an empty list if there is no lab."""
    lab = Lab.load(_absolute(directory))
    if lab is None:
        return []
    found = []
    for role, server in postgres.status(parts.servers(lab)).items():
        found.append(PartStatus(f"postgres-{role}", f"{server['address']}:{server['port']}", server["pid"]))
    for part in parts.parts(lab):
        process = processes.running(lab.run, part.name)
        address = "{}:{}".format(*part.listens) if part.listens else "-"
        found.append(PartStatus(part.name, address, process.pid if process else None))
    return found


def snapshot(directory: Path | None, to: Path) -> None:
    """Copy the lab's state into the new directory `to`; all but its SSH servers stop meanwhile. Raises LabError."""
    lab = _existing(directory)
    with _alone(lab.directory):
        _stop_state(lab, immediate=False)
        to.mkdir(parents=True)
        _copy(lab.directory, to)
        _start(lab)


def restore(directory: Path | None, source: Path) -> None:
    """Bring the lab's state back to a snapshot of it; commands that run on its hosts are ended. Raises LabError."""
    lab = _existing(directory)
    with _alone(lab.directory):
        _stop_state(lab, immediate=True)
        _delete(lab.directory, STATE)
        _copy(source, lab.directory)
        _start(lab)


def _build(lab: Lab) -> None:
    lab.run.mkdir()
    shutil.copytree(DATA / "links", lab.links)
    hosts.make_homes(lab)
    buildbot.make(lab)
    irc.make(lab)
    smtp.make(lab)
    status_account.make(lab)
    with ThreadPoolExecutor() as workers:
        trees = workers.submit(_run_bazaar_builder, lab)
        keys = workers.submit(hosts.make_keys, lab)
        with _postgres_errors():
            _build_databases(lab, parts.servers(lab))
        trees.result()
        keys.result()
    vault.make(lab)
    lab.save(vault.encrypted(lab))


def _build_databases(lab: Lab, servers: postgres.Servers) -> None:
    postgres.create(servers)
    if lab.pooler:
        pgbouncer.create(parts.pooler(lab), servers, parts.pools(lab))
    hosts.give_passwords(lab, servers)
    schema = DATA / "schema"
    for name in ("launchpad_prod", "launchpad_qastaging"):
        postgres.create_database(servers, name, schema / "launchpad-2208-00-0.sql")
    log = lab.home("sourcherry") / "logs" / f"{datetime.now(UTC):%Y-%m-%d}-staging_restore.log"
    staging.write_restore_log(servers, schema, log)


def _run_bazaar_builder(lab: Lab) -> None:
    argv = [str(parts.BIN / "python"), "-m", "lab.bazaar", str(lab.directory), lab.network]
    environment = {**parts.server_environment(lab), processes.MARK: f"{lab.directory}:builder"}
    done = subprocess.run(argv, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(
            f"E-lab-bazaar  the branches could not be made from {DATA}:\n{done.stdout}{done.stderr}{processes.AFRESH}"
        )


def _start(lab: Lab) -> None:
    """Start every part that does not run, all at once."""
    with ThreadPoolExecutor(max_workers=20) as workers:
        started = [workers.submit(processes.start, lab.directory, part) for part in parts.parts(lab)]
        with _postgres_errors():
            postgres.start(parts.servers(lab))
    for future in started:
        future.result()


def _stop_state(lab: Lab, *, immediate: bool) -> None:
    """Stop everything that has files in STATE open; connections of the SSH servers survive that."""
    stateless = [processes.running(lab.run, part.name) for part in parts.parts(lab) if not part.stateful]
    processes.stop_all(lab.directory, but=stateless)
    with _postgres_errors():
        postgres.stop(parts.servers(lab), immediate=immediate)


def _clear(directory: Path) -> None:
    """Stop what runs of a lab, whole or half made, and delete what belongs to it."""
    lab = Lab.load(directory)
    clients = processes.ssh_clients({lab.address(host) for host in HOSTS}, SSH_PORT) if lab else []
    processes.stop_all(directory)
    processes.stop(clients)  # ControlMasters end by themselves when their server goes: this waits for them
    with _postgres_errors():
        postgres.remove(parts.servers(lab or Lab(directory, "")))
    _delete(directory, BELONGINGS)


def _delete(directory: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy STATE with owners and times; a file system that shares blocks between copies does so."""
    names = [str(source / name) for name in STATE]
    subprocess.run(["cp", "--archive", "--reflink=auto", *names, str(target)], check=True)  # noqa: S607


def _absolute(directory: Path | None) -> Path:
    return (directory or lab_directory()).absolute()


def _existing(directory: Path | None) -> Lab:
    lab = Lab.load(_absolute(directory))
    if lab is None:
        raise LabError(f"E-lab-down  there is no lab in {_absolute(directory)}.\n  Make one:  ./runbook.py lab up")
    return lab


def _check_tools() -> None:
    missing = {tool: package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    if pooler_wanted() and pgbouncer.program() is None:
        missing["pgbouncer"] = "pgbouncer"
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise LabError(f"E-lab-tools  not here: {', '.join(missing)}.\n  Install:  sudo apt-get install {packages}")


def _free_network(directory: Path, *, pooler: bool) -> Lab:
    """Return a lab on a subnet 127.N.0 whose ports are free; for one directory always the same one if possible."""
    first = zlib.crc32(str(directory).encode())
    for attempt in range(250):
        lab = Lab(directory, f"127.{2 + (first + attempt) % 250}.0", pooler)
        if all(processes.can_bind(listener) for listener in lab.listeners):
            return lab
    raise LabError(
        "E-lab-network  no subnet from 127.2.0 to 127.251.0 has the lab's ports free.\n  See who has them:  ss -ltnp"
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Lock the directory against other commands; it is made if it is missing, again if it was deleted meanwhile."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if directory.exists() and directory.stat().st_ino == os.fstat(descriptor).st_ino:
                yield
                return
        finally:
            os.close(descriptor)


@contextmanager
def _postgres_errors() -> Iterator[None]:
    """Raise PostgreSQL's errors from the block as LabError."""
    try:
        yield
    except RolloutError as error:  # a patch of the lab's own; it is named
        raise LabError(f"{message(error)}\n{processes.AFRESH}") from error
    except (RuntimeError, TimeoutError, FileExistsError, subprocess.CalledProcessError, psycopg.Error) as error:
        output = getattr(error, "stderr", None) or ""
        raise LabError(f"E-lab-postgres  {error}\n{output}{processes.AFRESH}") from error
