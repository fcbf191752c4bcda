"""Makes what the hosts of a new lab have besides their trees: keys, known_hosts, and small files in their homes."""

import subprocess

from lab import pgbouncer, postgres
from lab.layout import DATA, HOSTS, SSH_PORT, Lab
from lab.parts import CRON_HOST, pooler

# Which database roles a host can be, by the passwords in its ~/.pgpass.
ROLES = {"sourcherry": ["postgres"], "wildcherry": ["postgres"], "gac": ["launchpad", "cron"], "soybean": ["launchpad"]}
POOLER_ROLES = {**ROLES, "wildcherry": [pgbouncer.ADMIN]}


def make_keys(lab: Lab) -> None:
    """Make one key for the client, one for each host, and the known_hosts that lists them."""
    lab.keys.mkdir(mode=0o700)
    for name in ("id_ed25519", *HOSTS):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(lab.keys / name)]
        subprocess.run(argv, check=True)
    known = [f"[{lab.address(host)}]:{SSH_PORT} {(lab.keys / f'{host}.pub').read_text()}" for host in HOSTS]
    (lab.keys / "known_hosts").write_text("".join(known))


def make_homes(lab: Lab) -> None:
    """Make the hosts' homes, with the files that depend on the layout alone."""
    for host, (_, user) in HOSTS.items():
        home = lab.home(host)
        for name in (".config/breezy", "run", "locks", "logs"):
            (home / name).mkdir(parents=True)
        (home / ".run").mkdir(mode=0o700)
        committer = f"[DEFAULT]\nemail = {user} <{user}@{host}.example.com>\n"
        (home / ".config" / "breezy" / "breezy.conf").write_text(committer)
    (lab.home(CRON_HOST) / "cron.ini").write_bytes((DATA / "cron.ini").read_bytes())
    (lab.home("prae") / "pqm.conf").write_bytes((DATA / "pqm.conf").read_bytes())


def give_passwords(lab: Lab, servers: postgres.Servers) -> None:
    """Write each host's ~/.pgpass, readable by its owner only (libpq ignores it otherwise)."""
    for host, roles in ROLES.items():
        passfile = lab.home(host) / ".pgpass"
        passfile.touch(mode=0o600)
        through_pooler = pooler(lab).pgpass(*POOLER_ROLES[host]) if lab.pooler else ""
        passfile.write_text(postgres.pgpass(servers, *roles) + through_pooler)
