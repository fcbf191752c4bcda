"""A real systemd for tests: a user's instance in a mount namespace, on a machine that systemd did not start.

It refuses to begin where `/run/systemd/system` is not there; inside the namespace, `/run` is a file system that has it.
As root it would take every process of the machine into a control group of its own. So it runs as `nobody`, who may
write to nothing but the control groups that are made for it: it takes root to make them, and only they are touched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from lab.waiting import eventually

PROGRAM = Path("/lib/systemd/systemd")
IN_NAMESPACE = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && exec /lib/systemd/systemd --user"
JOIN = 'for group in $GROUPS_OF_ITS_OWN; do echo $$ >"$group/cgroup.procs" || exit 1; done; exec "$@"'
SHORT = "/tmp"  # noqa: S108 - the path of a socket is at most 107 characters
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
ROOTS = [Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", "")]  # of v1, of both, of v2
PARTS = "systemd, setpriv and unshare, and root who may make control groups (Debian: apt-get install systemd)"


class Systemd:
    """The instance: `systemctl` is how a command to it begins, `units` where its units are."""

    def __init__(self, directory: Path) -> None:
        self.units = directory / "units"
        self.units.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_RUNTIME_DIR": str(directory)}
        given = [f"{name}={value}" for name, value in self.environment.items()]
        self.systemctl = [*AS_NOBODY, "env", *given, "systemctl", "--user"]

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
    if os.getuid() != 0 or not PROGRAM.exists() or not shutil.which("unshare") or not shutil.which("setpriv"):
        _left_out()
    directory = Path(tempfile.mkdtemp(prefix="sd-", dir=SHORT))
    groups = [root / directory.name for root in ROOTS if (root / "cgroup.procs").exists()]
    process = None
    try:
        made = Systemd(directory)
        with suppress(OSError):
            for group in groups:
                group.mkdir()
                _give_away(group)
            _give_away(directory)
            process = _start(made, groups)
        if process is None or process.poll() is not None:
            _left_out()
        yield made
    finally:
        if process:
            process.terminate()
            process.wait(60)
        for group in groups:
            _remove(group)
        shutil.rmtree(directory)


def _start(made: Systemd, groups: list[Path]) -> subprocess.Popen[bytes]:
    """Return systemd once it answers, or once it has ended."""
    environment = {
        **made.environment,
        "SYSTEMD_UNIT_PATH": f"{made.units}:",
        "GROUPS_OF_ITS_OWN": " ".join(map(str, groups)),
    }
    as_nobody = [*AS_NOBODY, "unshare", "--map-root-user", "--mount", "sh", "-c", IN_NAMESPACE]
    argv = ["sh", "-c", JOIN, "sh", *as_nobody]
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    eventually(lambda: made.ask("show", "--property", "Version") or process.poll() is not None, "systemd", 60)
    return process


def _give_away(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, NOBODY, NOBODY)


def _remove(group: Path) -> None:
    """Remove a control group with those in it, once what was in them is gone."""
    for path in sorted([group, *group.rglob("*/")], key=lambda path: len(path.parts), reverse=True):
        if path.is_dir():
            eventually(lambda path=path: _removed(path), f"the end of {path}", 60)


def _removed(path: Path) -> bool:
    with suppress(OSError):
        path.rmdir()
    return not path.exists()


def _left_out() -> None:
    if os.environ.get("CI"):
        pytest.fail(f"not there: {PARTS}")
    pytest.skip(f"left out: {PARTS}")
