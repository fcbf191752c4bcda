"""A host as companies have them: OpenSSH's sshd, sudo, su, and users of its own, on loopback.

It has an /etc, a /home, a /srv and a /run of its own in a mount namespace, so nothing of it is seen by this machine,
and nothing is left. That needs root, and Debian's openssh-server and sudo (tests/debian_parts.sh).
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lab.waiting import eventually

NAME = "gac.corp.example"  # known on the host only: nobody gets to that name but by a jump
OPS, APP = "ops", "launchpad"  # who logs in, and whom the application runs as
PASSWORDS = {OPS: "of the operator", APP: "of the application"}
SSHD = Path("/usr/sbin/sshd")
SETUP = r"""
set -e
directory=$1 port=$2; shift 2
cp -a /etc "$directory/etc"
mount --bind "$directory/etc" /etc
echo "127.0.0.1 localhost $NAME" >/etc/hosts
install -m 644 "$directory/id.pub" /etc/ssh/authorized
for each in /home /srv /run; do mount -t tmpfs tmpfs "$each"; done
mkdir /run/sshd
[ -z "$PROC" ] || mount -t proc -o "$PROC" proc /proc
for user; do useradd --create-home --shell /bin/bash "$user"; done
chpasswd <"$directory/passwords"
rm -f /etc/sudoers.d/* /etc/nologin
exec "$SSHD" -D -e -f "$directory/sshd_config" -p "$port"
"""
CONFIG = """\
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile /etc/ssh/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
PidFile none
MaxStartups 100
AllowTcpForwarding yes
"""


@functools.cache
def possible() -> str | None:
    """Return None if there can be such a host here, else why not."""
    missing = [name for name in ("sudo", "useradd", "chpasswd", "unshare") if shutil.which(name) is None]
    missing += [] if SSHD.exists() else [str(SSHD)]
    if missing:
        return f"{', '.join(missing)}: not installed (tests/debian_parts.sh)"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:  # noqa: S607
        return "needs root, and a mount namespace"
    return None


class SshHost:
    """One such host; `start` and `stop` are the test's."""

    def __init__(self, directory: Path, configuration: str = "", proc: str = "") -> None:
        """Make its keys in a directory. `configuration` is added to sshd's; `proc` are mount options of /proc."""
        self.directory, self.proc = directory, proc
        directory.mkdir()
        for name in ("host_key", "id"):
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
            subprocess.run(argv, check=True)
        (directory / "sshd_config").write_text(configuration + CONFIG.format(directory=directory))
        (directory / "passwords").write_text("".join(f"{user}:{word}\n" for user, word in PASSWORDS.items()))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        key = (directory / "host_key.pub").read_text()
        self.known_hosts = directory / "known_hosts"
        self.known_hosts.write_text("".join(f"[{name}]:{self.port} {key}" for name in ("127.0.0.1", "localhost", NAME)))

    def start(self) -> None:
        """Start it."""
        argv = ["unshare", "--mount", "--propagation=private", "sh", "-c", SETUP, "sh", str(self.directory)]
        with (self.directory / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*argv, str(self.port), *PASSWORDS],
                env={"PATH": os.environ["PATH"], "SSHD": str(SSHD), "NAME": NAME, "PROC": self.proc},
                stderr=log,
            )
        eventually(self._listens)

    def _listens(self) -> bool:
        assert self.process.poll() is None, (self.directory / "log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()

    def path(self, inside: str) -> Path:
        """Return a path on the host as this machine sees it."""
        return Path(f"/proc/{self.process.pid}/root{inside}")

    def sudoers(self, text: str) -> None:
        """Say who may do what by sudo."""
        rules = self.path("/etc/sudoers.d/rules")
        rules.write_text(text + "\n")
        rules.chmod(0o440)

    def program(self, name: str, text: str) -> str:
        """Put a program onto the host; returns its path there."""
        program = self.path(f"/srv/{name}")
        program.write_text(text)
        program.chmod(0o755)
        return f"/srv/{name}"

    def variables(self, **more: object) -> Mapping[str, object]:
        """Return how Ansible gets there, as `ops`."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": OPS,
            "ansible_ssh_private_key_file": str(self.directory / "id"),
            "ansible_ssh_common_args": self.options,
            "ansible_python_interpreter": "/usr/bin/python3",
            **more,
        }

    @property
    def options(self) -> str:
        """Return what ssh needs to know of it, but for user and key; its configuration is `ssh_config`."""
        config = self.directory / "ssh_config"
        config.touch()
        return (
            f"-F {config} -o IdentitiesOnly=yes -o UserKnownHostsFile={self.known_hosts} -o GlobalKnownHostsFile=none"
        )
