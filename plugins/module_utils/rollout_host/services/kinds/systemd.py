"""A systemd unit, the system's or a user's. Of a timer, what it has started is waited for."""

from __future__ import annotations

import shlex
from typing import Any, Mapping

from . import commands
from .base import Look, Service, ServiceError, Work

_RUNS = ("active", "reloading", "refreshing", "activating")
_BUSY = (*_RUNS, "deactivating")
_ASKED = "Id,LoadState,ActiveState,SubState,Triggers"


class Systemd(Service):
    """The unit is stopped and started, never enabled or disabled: after a boot it is as its owner has it."""

    def look(self) -> Look:
        """Return the unit's state. Raises ServiceError if systemd has no such unit, or does not answer."""
        unit = self._show(self.given["unit"])
        if unit["LoadState"] not in ("loaded", "masked"):
            raise ServiceError(
                f"E-no-unit  {self.name}: systemd has no unit {self.given['unit']} ({unit['LoadState']}).\n"
                f"  Look:  {self._typed('list-units', '--all')}  Correct services_paused. Nothing of it was changed."
            )
        return Look(unit["ActiveState"] not in _RUNS, f"{unit['ActiveState']} ({unit['SubState']})")

    def pause(self) -> None:
        """Stop the unit, and do not wait: `busy` tells when it has stopped."""
        self._run("stop", "--no-block", self.given["unit"])

    def resume(self, was: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - it ran
        """Start the unit, and return once systemd says that it is up."""
        self._run("start", self.given["unit"])
        return None

    def busy(self) -> list[Work]:
        """Return the unit until it has stopped, and of a timer the unit that it has started."""
        unit = self._show(self.given["unit"])
        units = [unit]
        if self.given["unit"].endswith(".timer"):
            units += [self._show(name) for name in unit["Triggers"].split()]
        at_work = [each for each in units if each["ActiveState"] in _BUSY]
        return [Work(f"{each['Id']} is {each['ActiveState']}", self._typed("status", each["Id"])) for each in at_work]

    def restart(self) -> None:
        """Restart the unit. Raises ServiceError unless it is active then."""
        self._run("restart", self.given["unit"])
        look = self.look()
        if look.paused:
            raise ServiceError(
                f"E-service-down  {self.name} is {look.text} after its restart.\n"
                f"  Look:  {self._typed('status', self.given['unit'])}"
            )

    def _show(self, unit: str) -> dict[str, str]:
        said = self._run("show", "--property", _ASKED, "--", unit)
        return {"Triggers": "", **dict(line.split("=", 1) for line in said.split("\n") if "=" in line)}

    def _run(self, *arguments: str) -> str:
        return commands.need([*self.given["systemctl"], *arguments], self.seconds)

    def _typed(self, *arguments: str) -> str:
        return shlex.join([*self.given["systemctl"], *arguments])
