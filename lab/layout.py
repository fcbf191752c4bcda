"""The places in a lab: names, addresses, paths. lab.json tells them to the inventory and to later commands."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rollout.outcomes import RunbookError

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / "lab" / "data"

SSH_PORT = 2222
HTTP_PORT = 8080
BAZAAR_PORT = 4155
BUILDBOT_PORT = 8010
SMTP_PORT = 2525
IRC_PORT = 6668  # not 6667: a ngircd of the machine may listen there on every address
POSTGRES_PORT = 5432
PGBOUNCER_PORT = 6432
DATABASE = "launchpad_prod"
STANDBY_POOL = f"{DATABASE}_standby"

# Host -> (last byte of its address, the user who may log in).
HOSTS = {
    "prae": (11, "pqm"),
    "sourcherry": (12, "launchpad"),
    "wildcherry": (13, "postgres"),
    "gac": (15, "launchpad"),
    "soybean": (16, "launchpad"),
}
APP_HOSTS = ("gac", "soybean")
TREE_HOSTS = ("gac", "soybean", "wildcherry")  # those with ~/srv/launchpad
STANDBY, BAZAAR, LINKS = 14, 17, 18
BUILDBOT, IRC, PGBOUNCER = 19, 20, 21
MAIL, STATUS_ACCOUNT = 22, 23
BUILDERS = ("lucid_lp", "lucid_db_lp")


class LabError(RunbookError):
    """An error of the lab: what happened, where, and what to type next."""


@dataclass(frozen=True)
class Lab:
    """One lab: `directory` holds all of its state, `network` is its loopback subnet (`127.N.0`).

    `pooler`: users come to the database through a pgbouncer.
    """

    directory: Path
    network: str
    pooler: bool = False

    def address(self, host: str) -> str:
        """Return the address of an SSH host."""
        return f"{self.network}.{HOSTS[host][0]}"

    @property
    def standby_address(self) -> str:
        """Return the address of the standby; the primary is on wildcherry."""
        return f"{self.network}.{STANDBY}"

    @property
    def pooler_address(self) -> str:
        """Return the address of pgbouncer, in a lab that has one."""
        return f"{self.network}.{PGBOUNCER}"

    @property
    def bazaar_address(self) -> str:
        """Return the address of the Bazaar server."""
        return f"{self.network}.{BAZAAR}"

    @property
    def links_address(self) -> str:
        """Return the address of the server that the front page's external links point to."""
        return f"{self.network}.{LINKS}"

    @property
    def buildbot_address(self) -> str:
        """Return the address of the Buildbot master."""
        return f"{self.network}.{BUILDBOT}"

    @property
    def buildbot_url(self) -> str:
        """Return the URL of the Buildbot master's pages and REST API; it ends with a slash."""
        return f"http://{self.buildbot_address}:{BUILDBOT_PORT}/"

    @property
    def irc_address(self) -> str:
        """Return the address of the developers' IRC server."""
        return f"{self.network}.{IRC}"

    @property
    def mail_address(self) -> str:
        """Return the address of the mail server that takes the announcements to lists and persons."""
        return f"{self.network}.{MAIL}"

    @property
    def status_account_address(self) -> str:
        """Return the address of the status account's server; a browser shows its posts."""
        return f"{self.network}.{STATUS_ACCOUNT}"

    @property
    def bazaar_url(self) -> str:
        """Return the URL of the smart server that has the branches `devel` and `db-stable`; it ends with a slash."""
        return f"bzr://{self.bazaar_address}:{BAZAAR_PORT}/"

    @property
    def links_url(self) -> str:
        """Return the URL that the front page's external links point to; it ends with a slash."""
        return f"http://{self.links_address}:{HTTP_PORT}/"

    @property
    def listeners(self) -> list[tuple[str, int]]:
        """Return every address and port that the lab binds."""
        return [
            *((self.address(host), SSH_PORT) for host in HOSTS),
            *((self.address(host), HTTP_PORT) for host in APP_HOSTS),
            (self.address("wildcherry"), POSTGRES_PORT),
            (self.standby_address, POSTGRES_PORT),
            (self.bazaar_address, BAZAAR_PORT),
            (self.links_address, HTTP_PORT),
            (self.buildbot_address, BUILDBOT_PORT),
            (self.irc_address, IRC_PORT),
            (self.mail_address, SMTP_PORT),
            (self.status_account_address, HTTP_PORT),
            *([(self.pooler_address, PGBOUNCER_PORT)] if self.pooler else []),
        ]

    def home(self, host: str) -> Path:
        """Return a host's home directory."""
        return self.directory / "hosts" / host / "home"

    @property
    def run(self) -> Path:
        """Return the directory of the parts' process records and logs."""
        return self.directory / "run"

    @property
    def keys(self) -> Path:
        """Return the directory of the client's key, the hosts' keys and known_hosts."""
        return self.directory / "keys"

    @property
    def vault_password(self) -> Path:
        """The file with the password of the lab's vault."""
        return self.keys / "vault-password"

    @property
    def bazaar(self) -> Path:
        """Return the directory that the Bazaar server serves."""
        return self.directory / "bazaar"

    @property
    def links(self) -> Path:
        """Return the directory that the external links' server serves; without a file in it, a link is broken."""
        return self.directory / "links"

    @property
    def buildbot(self) -> Path:
        """Return the Buildbot master's directory: database, workers, and the password of `losa`, who may force."""
        return self.directory / "buildbot"

    def build_machine(self, builder: str) -> Path:
        """Return the directory of the machine for a builder's builds (lab/buildbot.py tells what can happen there)."""
        return self.buildbot / "workers" / builder.replace("_", "-")

    @property
    def topic(self) -> Path:
        """Return the file in which the IRC server keeps the topic of its channel."""
        return self.directory / "irc" / "topic"

    @property
    def irc_log(self) -> Path:
        """Return the log of what was said in channels: a line `TIME CHANNEL <NICK> TEXT` each."""
        return self.topic.with_name("log")

    @property
    def mail(self) -> Path:
        """Return the mail server's directory: its password, and every mail as a file in `mails`."""
        return self.directory / "smtp"

    @property
    def status_account(self) -> Path:
        """Return the status account's directory: its token, and the posts in `statuses.json`."""
        return self.directory / "status_account"

    @property
    def production_status(self) -> Path:
        """Return the lab's own copy of lab/data/production_status.yml, with the cowboys' diffs beside it."""
        return self.directory / "production_status" / "production_status.yml"

    def inventory(self) -> dict[str, dict[str, object]]:
        """Return what lab_addresses.py gives to Ansible: `hostvars`, and `vars` of all as literals (for testinfra)."""
        known_hosts = shlex.quote(f'UserKnownHostsFile="{self.keys}/known_hosts"')
        options = f"IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o {known_hosts} -o GlobalKnownHostsFile=none"
        return {
            "hostvars": {host: {"ansible_host": self.address(host), "ansible_port": SSH_PORT} for host in HOSTS},
            "vars": {
                "ansible_ssh_private_key_file": str(self.keys / "id_ed25519"),
                "ansible_ssh_common_args": f"-F none -o {options}",
                "lab_bazaar_url": self.bazaar_url,
                "lab_database_address": self.address("wildcherry"),
                "lab_standby_address": self.standby_address,
                "lab_links_url": self.links_url,
                "lab_buildbot_url": self.buildbot_url,
                "lab_irc_address": self.irc_address,
                "lab_mail_address": self.mail_address,
                "lab_status_account_address": self.status_account_address,
                "lab_pools": self._pools(DATABASE),
                "lab_standby_pools": self._pools(STANDBY_POOL),
            },
        }

    def _pools(self, database: str) -> list[dict[str, str]]:
        console = f"host={self.pooler_address} port={PGBOUNCER_PORT} user=losa dbname=pgbouncer"
        return [{"console": console, "database": database}] if self.pooler else []

    def save(self, vaulted: Mapping[str, object] | None = None) -> None:
        """Write lab.json: from now on the lab is built. `vaulted`: encrypted variables, or those of before."""
        part, found = self.directory / "lab.json.part", self.inventory()
        found["vars"].update(self._vaulted() if vaulted is None else vaulted)
        part.write_text(json.dumps({"network": self.network, "pooler": self.pooler, **found}, indent=2) + "\n")
        part.replace(self.directory / "lab.json")

    def _vaulted(self) -> dict[str, object]:
        saved = json.loads((self.directory / "lab.json").read_text())["vars"]
        return {name: value for name, value in saved.items() if name.startswith("vault_")}

    @classmethod
    def load(cls, directory: Path) -> Lab | None:
        """Return the lab that was built in `directory`; None if there is none, or only half of one."""
        try:
            saved = json.loads((directory / "lab.json").read_text())
            return cls(directory, saved["network"], saved.get("pooler", False))
        except FileNotFoundError:
            return None


def pooler_wanted() -> bool:
    """Return True if $ROLLOUT_LAB_POOLER asks for a pgbouncer in a new lab. Raises LabError for another pooler."""
    wanted = os.environ.get("ROLLOUT_LAB_POOLER", "")
    if wanted not in ("", "pgbouncer"):
        raise LabError(f"E-lab-pooler  ROLLOUT_LAB_POOLER is {wanted!r}: the only pooler is pgbouncer")
    return wanted == "pgbouncer"


def lab_directory() -> Path:
    """Return $ROLLOUT_LAB, by default `var/lab`; a relative path is from the top of the checkout."""
    return PROJECT / os.environ.get("ROLLOUT_LAB", "var/lab")
