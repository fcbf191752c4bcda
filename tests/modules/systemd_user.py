"""A real systemd for tests: a user's instance in a mount namespace, on a machine that systemd did not start.

It refuses to begin where `/run/systemd/system` is not there; inside the namespace, `/run` is a file system that has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import eventually

PROGRAM = Path("/lib/systemd/systemd")
IN_NAMESPACE = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user"
SHORT = "/tmp"  # noqa: S108 - the path of a socket is at most 107 characters


class Systemd:
    """The instance: `systemctl` is how a command to it begins, `units` where its units are."""

    def __init__(self, directory: Path) -> None:
        self.units = directory / "units"
        self.units.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)}
        self.systemctl = [
            "env",
            *(f"{name}={value}" for name, value in self.environment.items()),
            "systemctl",
            "--user",
        ]

    def unit(self, name: str, text: str) -> None:
        """Write a unit, and have it read."""
        (self.units / name).write_text(text)
        self.ask("daemon-reload")

    def ask(self, *arguments: str) -> str:
        """Return what systemctl printed; its exit code is not looked at."""
        argv = [*self.systemctl, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout.strip()


@contextmanager
def running() -> Iterator[Systemd]:
    """Start one. Where it cannot run the test is left out by name, and in CI it fails."""
    directory = Path(tempfile.mkdtemp(prefix="sd-", dir=SHORT))
    made = Systemd(directory)
    environment = {**made.environment, "SYSTEMD_UNIT_PATH": f"{made.units}:", "DBUS_SESSION_BUS_ADDRESS": ""}
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", IN_NAMESPACE]
    process = None
    try:
        if PROGRAM.exists() and shutil.which("unshare"):
            process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            eventually(lambda: made.ask("show", "--property", "Version") or process.poll() is not None, "systemd")
        if process is None or process.poll() is not None:
            missing = "systemd and a user namespace (Debian: apt-get install systemd)"
            if os.environ.get("CI"):
                pytest.fail(f"not there: {missing}")
            pytest.skip(f"left out: {missing}")
        yield made
    finally:
        if process:
            process.terminate()
            process.wait(60)
        shutil.rmtree(directory)
