"""The programs of a lab beside PostgreSQL, each with an environment that has nothing of the caller's."""

from lab import postgres
from lab.layout import (
    APP_HOSTS,
    BAZAAR_PORT,
    BUILDBOT_PORT,
    DATABASE,
    HOSTS,
    HTTP_PORT,
    IRC_PORT,
    PGBOUNCER_PORT,
    PROJECT,
    SMTP_PORT,
    SSH_PORT,
    STANDBY_POOL,
    Lab,
)
from lab.pgbouncer import Pgbouncer
from lab.processes import Part

BIN = PROJECT / ".venv" / "bin"
CRON_HOST = "gac"


def environment(lab: Lab, host: str) -> dict[str, str]:
    """Return the environment of a login on `host`. pam_systemd would set XDG_RUNTIME_DIR, which brz needs."""
    home, user = str(lab.home(host)), HOSTS[host][1]
    path = f"{PROJECT / 'lab' / 'bin'}:{BIN}:{postgres.BIN}:/usr/bin:/bin"
    names = {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash", "LANG": "C.UTF-8"}
    return {**names, "PATH": path, "XDG_RUNTIME_DIR": f"{home}/.run", "TMPDIR": f"{home}/.run"}


def server_environment(lab: Lab) -> dict[str, str]:
    """Return the environment of a program that runs on none of the hosts."""
    home = str(lab.run)
    names = {"HOME": home, "XDG_RUNTIME_DIR": home, "LANG": "C.UTF-8", "BRZ_LOG": "/dev/null"}
    return {**names, "PATH": f"{BIN}:/usr/bin:/bin"}


def servers(lab: Lab) -> postgres.Servers:
    """Return the lab's PostgreSQL servers, which are started by lab/postgres.py."""
    return postgres.Servers(lab.directory / "postgres", lab.address("wildcherry"), lab.standby_address)


def pooler(lab: Lab) -> Pgbouncer:
    """Return the pgbouncer of a lab that has one."""
    return Pgbouncer(lab.directory / "pgbouncer", (lab.pooler_address, PGBOUNCER_PORT))


def pools(lab: Lab) -> dict[str, tuple[str, str]]:
    """Return pgbouncer's pools: name → (server's address, database there)."""
    return {DATABASE: (lab.address("wildcherry"), DATABASE), STANDBY_POOL: (lab.standby_address, DATABASE)}


def parts(lab: Lab) -> list[Part]:
    """Return every part, in no order: each can start before the others."""
    return [
        *(_ssh(lab, host) for host in HOSTS),
        *(_site(lab, host) for host in APP_HOSTS),
        _cron(lab, CRON_HOST),
        _bazaar(lab),
        _buildbot(lab),
        _irc(lab),
        _smtp(lab),
        _status_account(lab),
        _links(lab),
        *([_pgbouncer(lab)] if lab.pooler else []),
    ]


def _ssh(lab: Lab, host: str) -> Part:
    address = lab.address(host)
    argv = _python("lab.ssh_server", f"--address={address}", f"--port={SSH_PORT}", f"--user={HOSTS[host][1]}")
    argv += [f"--host-key={lab.keys / host}", f"--authorized-key={lab.keys / 'id_ed25519.pub'}"]
    return Part(f"ssh-{host}", argv, environment(lab, host), (address, SSH_PORT), stateful=False)


def _site(lab: Lab, host: str) -> Part:
    address = lab.address(host)
    argv = _python("lab.site", f"--address={address}", f"--port={HTTP_PORT}", f"--links={lab.links_url}")
    argv += [_dsn(lab, "launchpad", f"site-{host}")]
    return Part(f"site-{host}", argv, environment(lab, host), (address, HTTP_PORT))


def _cron(lab: Lab, host: str) -> Part:
    return Part(f"cron-{host}", _python("lab.cron", _dsn(lab, "cron", "cron")), environment(lab, host), None)


def _bazaar(lab: Lab) -> Part:
    argv = [str(BIN / "brz"), "serve", "--allow-writes", f"--listen={lab.bazaar_address}", f"--port={BAZAAR_PORT}"]
    argv += [f"--directory={lab.bazaar}"]
    return Part("bazaar", argv, server_environment(lab), (lab.bazaar_address, BAZAAR_PORT))


def _buildbot(lab: Lab) -> Part:
    argv = _python("lab.buildbot_master", str(lab.directory), lab.network)
    return Part("buildbot", argv, server_environment(lab), (lab.buildbot_address, BUILDBOT_PORT))


def _irc(lab: Lab) -> Part:
    argv = _python("lab.irc", lab.irc_address, str(IRC_PORT), str(lab.topic))
    return Part("irc", argv, server_environment(lab), (lab.irc_address, IRC_PORT))


def _smtp(lab: Lab) -> Part:
    argv = _python("lab.smtp", lab.mail_address, str(SMTP_PORT), str(lab.mail))
    return Part("smtp", argv, server_environment(lab), (lab.mail_address, SMTP_PORT))


def _status_account(lab: Lab) -> Part:
    argv = _python("lab.status_account", lab.status_account_address, str(HTTP_PORT), str(lab.status_account))
    return Part("status-account", argv, server_environment(lab), (lab.status_account_address, HTTP_PORT))


def _links(lab: Lab) -> Part:
    argv = _python("lab.external", lab.links_address, str(HTTP_PORT), str(lab.links))
    return Part("links", argv, server_environment(lab), (lab.links_address, HTTP_PORT))


def _pgbouncer(lab: Lab) -> Part:
    return Part("pgbouncer", pooler(lab).argv(), server_environment(lab), pooler(lab).address)


def _python(module: str, *arguments: str) -> list[str]:
    return [str(BIN / "python"), "-m", module, *arguments]


def _dsn(lab: Lab, user: str, application: str) -> str:
    host, port = pooler(lab).address if lab.pooler else (lab.address("wildcherry"), postgres.PORT)
    return f"--dsn=host={host} port={port} dbname={DATABASE} user={user} application_name={application}"
