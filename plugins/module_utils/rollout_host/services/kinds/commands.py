"""A service that the site's own commands stop, start and check; also how every kind runs a command."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from typing import Any, Mapping, NamedTuple, Sequence

from .base import Look, Service, ServiceError, Work

RUNS, STOPPED = (0,), (1, 3)  # a check's exit codes; 3 is what init scripts and systemctl say
_LONGEST = 2000  # bytes of what a command said that are told


class Said(NamedTuple):
    """The end of a command: its exit code and what it printed, cut off where it is long."""

    code: int
    text: str


def run(argv: Sequence[str], seconds: float) -> Said:
    """Run a command. Raises ServiceError if it cannot be run, or does not end within `seconds`.

    Its output goes to a file: a daemon that it starts may keep that open, and a pipe would be waited for.
    """
    typed = shlex.join(argv)
    with tempfile.TemporaryFile() as out:
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise ServiceError(
                f"E-service-command  {typed} did not end within {seconds:g} s, and was ended.\n"
                f"  Look what it waits for. Then:  ./runbook.py run"
            ) from None
        except OSError as error:
            raise ServiceError(
                f"E-service-command  {typed} cannot be run: {error.strerror}.\n"
                f"  Correct it in services_paused. Then:  ./runbook.py run"
            ) from None
        out.seek(0)
        return Said(done.returncode, out.read(_LONGEST).decode("utf-8", "replace").strip())


def need(argv: Sequence[str], seconds: float) -> str:
    """Run a command that has to exit 0, and return what it printed. Raises ServiceError."""
    said = run(argv, seconds)
    if said.code != 0:
        typed = shlex.join(argv)
        raise ServiceError(
            f"E-service-command  {typed} exited {said.code}: {said.text or 'it said nothing'}\n"
            f"  Try it by hand there. Then:  ./runbook.py run"
        )
    return said.text


class Command(Service):
    """`stop` and `start` are argv lists; `check` exits 0 while it runs, and 1 or 3 when it is stopped."""

    def look(self) -> Look:
        """Return what the check says. Raises ServiceError for any other exit code: it is not known, then."""
        argv = self.given["check"]
        said = run(argv, self.seconds)
        if said.code not in (*RUNS, *STOPPED):
            raise ServiceError(
                f"E-service-unknown  {self.name}: {shlex.join(argv)} exited {said.code}: {said.text or 'no word'}\n"
                "  Expected: 0 while it runs, 1 or 3 when it is stopped. Nothing of it was changed."
            )
        text = " ".join(said.text.split())[:200]
        return Look(said.code in STOPPED, text or ("stopped" if said.code else "runs"))

    def pause(self) -> None:
        """Stop it."""
        need(self.given["stop"], self.seconds)

    def resume(self, was: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - it ran
        """Start it, if it does not run."""
        if self.look().paused:
            need(self.given["start"], self.seconds)
        return None

    def busy(self) -> list[Work]:
        """Return the service itself while its check says that it runs."""
        look = self.look()
        return [] if look.paused else [Work(f"{self.name}: {look.text}", shlex.join(self.given["check"]))]

    def restart(self) -> None:
        """Run its restart, or stop and start; then its check, if it has one. Raises ServiceError unless it runs."""
        for argv in [self.given["restart"]] if self.given["restart"] else [self.given["stop"], self.given["start"]]:
            need(argv, self.seconds)
        if self.given["check"] and self.look().paused:
            raise ServiceError(f"E-service-down  {self.name} does not run after its restart: {self.look().text}")
