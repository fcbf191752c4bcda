"""Pythons that hosts have, beside the one of these tests: modules run on them as on such a host.

The oldest that this machine has, 3.8 at the least, is a host that nobody upgraded. Debian's own is one with nothing but
the distribution's packages.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ansible
import pytest

PROJECT = Path(__file__).resolve().parents[2]
# On a host, Ansible ships a module inside its collection's package; here it is a part of the checkout's `plugins`.
BOOTSTRAP = """
import runpy, sys
sys.path[0] = {project!r}
runpy.run_module("plugins.modules.{name}", run_name="__main__")
"""

LIBRARIES = Path(sys.prefix) / "oldest-python"  # what `make setup` put there, from oldest_python.txt
MISSING = "a Python from 3.8 to 3.10 (Debian: apt-get install pypy3, which is 3.9)"
DEBIAN = "/usr/bin/python3"
_VERSION = "import sys; print(*sys.version_info[:2])"


def candidates() -> Iterator[str]:
    """Every Python older than ours that may be here, the oldest first; pyenv's are not on the PATH."""
    for minor in (8, 9, 10):
        named = shutil.which(f"python3.{minor}")
        kept = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python3.{minor}"))
        yield from [*([named] if named else []), *map(str, kept)]
        pypy = shutil.which("pypy3") if minor == 9 else None
        yield from [pypy] if pypy else []


def interpreter() -> str:
    """The oldest that answers. Without one the test is left out by name, and in CI it fails."""
    for path in candidates():
        said = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False)  # pyenv's may refuse
        if said.returncode == 0 and (3, 8) <= tuple(map(int, said.stdout.split())) < (3, 11):
            return path
    if os.environ.get("CI"):
        pytest.fail(f"not installed: {MISSING} (.ci/run does)")
    pytest.skip(f"left out: {MISSING}")


class HostPython:
    """Ansible's module code and the checkout on the interpreter `argv`, with its own libraries and `libraries`."""

    def __init__(self, directory: Path, argv: Sequence[str], libraries: Sequence[Path] = ()) -> None:
        self.argv = argv
        if not (directory / "ansible").exists():
            (directory / "ansible").symlink_to(Path(ansible.__file__).parent)
        self.environment = {
            "PYTHONPATH": os.pathsep.join(map(str, [directory, *libraries])),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, program: str, given: str = "", env: Mapping[str, str] | None = None, timeout: float = 90) -> str:
        """Run a program and return what it printed; one that prints nothing fails the test."""
        done = subprocess.run(
            [*self.argv, "-c", program],
            input=given,
            capture_output=True,
            env={**os.environ, **self.environment, **(env or {})},
            cwd=PROJECT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.stdout

    def module(
        self,
        name: str,
        args: Mapping[str, Any],
        check: bool = False,
        *,
        env: Mapping[str, str] | None = None,
        diff: bool = False,
        timeout: float = 90,
    ) -> dict[str, Any]:
        """The answer of a module. Called as `run_module` is."""
        told = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_module_name": name}
        told["_ansible_remote_tmp"] = str(PROJECT / "var" / "cache" / "modules")
        boot = BOOTSTRAP.format(project=str(PROJECT), name=name)
        given = json.dumps({"ANSIBLE_MODULE_ARGS": {**args, **told}})
        answer: dict[str, Any] = json.loads(self.run(boot, given, env, timeout))
        return {"failed": False, "changed": False, **answer}


class OldestPython(HostPython):
    """The oldest Python here, with `LIBRARIES`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, [interpreter()], [LIBRARIES])

    def needs_psycopg(self) -> None:
        """Leave the test out where psycopg is none: it cannot be had for PyPy."""
        if Path(self.argv[0]).name.startswith("pypy"):
            pytest.skip("left out: psycopg has nothing for PyPy; a CPython from 3.8 to 3.10 would do")


def debian_python(directory: Path, *flags: str) -> HostPython:
    """Debian's own Python and psycopg. Without them the test is left out by name, and in CI it fails."""
    there = Path(DEBIAN).exists()
    if not there or subprocess.run([DEBIAN, "-c", "import psycopg"], capture_output=True, check=False).returncode:
        missing = "Debian's own psycopg (apt-get install python3-psycopg)"
        if os.environ.get("CI"):
            pytest.fail(f"not installed: {missing} (.ci/run does)")
        pytest.skip(f"left out: {missing}")
    return HostPython(directory, [DEBIAN, *flags])
