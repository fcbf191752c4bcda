"""What every kind of service can do: tell how it is, pause, be waited for, come back as it was, restart (R5)."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple


class ServiceError(Exception):
    """An error: a service cannot be looked at or switched; the text is the module's message."""


class Look(NamedTuple):
    """A service as it was found.

    `paused` is True when nothing of it can begin, `text` says how it is, `was` is what `resume` needs to bring it back.
    `left` is True when the service itself shows that a pause of ours was not ended.
    """

    paused: bool
    text: str
    was: Mapping[str, Any] = {}
    left: bool = False


class Work(NamedTuple):
    """Something of a service that is still at work; `command` is what a person types to look at it."""

    text: str
    command: str = ""


class Service:
    """One service of the inventory. A kind says how; every method raises ServiceError, with what to type."""

    settles = False  # whether something of it may begin just after it was paused, having looked just before

    def __init__(self, given: Mapping[str, Any], seconds: float) -> None:
        """Keep the service's entry in the inventory, and the seconds that one of its commands may take."""
        self.given = given
        self.name = str(given["name"])
        self.seconds = seconds

    def look(self) -> Look:
        """Return the service as it is now. Nothing is changed."""
        raise NotImplementedError

    def pause(self) -> None:
        """Let nothing of it begin any more; what is at work may go on."""
        raise NotImplementedError

    def resume(self, was: Mapping[str, Any]) -> str | None:
        """Bring it back as `was` of the `look` before the pause says; return what a person should know, or None."""
        raise NotImplementedError

    def busy(self) -> list[Work]:
        """Return what is still at work after the pause."""
        return []

    def stale(self) -> list[str]:
        """Return a line for each trace of work that nobody does any more, and that is not waited for."""
        return []

    def diff(self, *, pausing: bool) -> dict[str, str]:
        """Return the change that pausing or resuming makes, as Ansible shows it."""
        states = [f"{self.name}: runs\n", f"{self.name}: paused\n"]
        before, after = states if pausing else states[::-1]
        return {"before_header": self.name, "after_header": self.name, "before": before, "after": after}

    def restart(self) -> None:
        """Have it load again what it serves, and return once it is up."""
        raise ServiceError(
            f"E-no-restart  {self.name} is of the kind {self.given['kind']}, which cannot be restarted.\n"
            "  Name a service of the kind systemd or command."
        )
