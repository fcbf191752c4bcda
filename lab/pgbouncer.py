"""Debian's pgbouncer in front of the lab's servers: one process on loopback, one pool per database and server.

Its state is one directory: `pgbouncer.ini` and `userlist.txt` (0600, with the passwords of the roles that it lets in
and logs in with, checked with scram-sha-256 on both sides). pgbouncer refuses to be root: what root starts becomes
PostgreSQL's system user once it has read these.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import postgres

ADMIN = "losa"  # the only one of admin_users
_LINES = """\
[databases]
{databases}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {admin}
stats_users = {stats}
pool_mode = {pool_mode}
default_pool_size = 250
max_client_conn = 400
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
"""


def program() -> str | None:
    """Return the path of pgbouncer; None if it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True)
class Pgbouncer:
    """One pgbouncer: its state is in `directory`, and it listens on `address`."""

    directory: Path
    address: tuple[str, int]

    def console(self, user: str = ADMIN) -> str:
        """Return the conninfo of its admin console, without a password."""
        return f"host={self.address[0]} port={self.address[1]} user={user} dbname=pgbouncer"

    def argv(self) -> list[str]:
        """Return the command that starts it in the foreground. Raises FileNotFoundError if it is not installed."""
        found = program()
        if found is None:
            raise FileNotFoundError("pgbouncer is not installed: apt-get install pgbouncer")
        user = ["-u", postgres.SYSTEM_USER] if os.geteuid() == 0 else []
        return [found, *user, str(self.directory / "pgbouncer.ini")]

    def pgpass(self, *roles: str) -> str:
        """Return the lines for a host's ~/.pgpass that let `roles` come through it, or ADMIN to its console."""
        passwords = json.loads((self.directory / "passwords.json").read_text())
        host, port = self.address
        return "".join(f"{host}:{port}:*:{role}:{passwords[role]}\n" for role in roles)


def create(
    pgbouncer: Pgbouncer, servers: postgres.Servers, pools: dict[str, tuple[str, str]], *, pool_mode: str = "session"
) -> None:
    """Write pgbouncer's configuration into a new directory. `pools`: name → (server's address, database there)."""
    passwords = json.loads((servers.directory / "passwords.json").read_text())
    known = {role: passwords[role] for role in (postgres.SUPERUSER, *postgres.APPLICATION_ROLES)}
    known[ADMIN] = secrets.token_urlsafe(24)
    directory = pgbouncer.directory
    directory.mkdir(mode=0o700, parents=True)
    users = directory / "userlist.txt"
    configured = _LINES.format(
        databases="".join(
            f"{name} = host={host} port={postgres.PORT} dbname={database}\n" for name, (host, database) in pools.items()
        ),
        address=pgbouncer.address[0],
        port=pgbouncer.address[1],
        users=users,
        admin=ADMIN,
        stats=postgres.APPLICATION_ROLES[0],
        pool_mode=pool_mode,
    )
    _write(directory / "passwords.json", json.dumps(known))
    _write(users, "".join(f'"{role}" "{password}"\n' for role, password in known.items()))
    _write(directory / "pgbouncer.ini", configured)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
