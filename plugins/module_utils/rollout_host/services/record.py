"""How each service was before its pause: a file each on the host, written before the pause, gone after the resume."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import whole_file
from .kinds.base import ServiceError


class Records:
    """The records of this host's services, in the directory `paused` of `state_directory`; it is for its user alone."""

    def __init__(self, state_directory: str) -> None:
        """Keep the directory; it is made when it is needed."""
        self.directory = Path(state_directory).expanduser() / "paused"

    def path(self, name: str) -> Path:
        """Return the path of a service's record."""
        return self.directory / f"{quote(name, safe='')}.json"

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a service's record, as `write` got it; None if there is no pause of ours.

        Raises ServiceError for a file that is no record.
        """
        try:
            found = whole_file.read_object(self.path(name))
            return {name: found[name] for name in ("was_paused", "was", "then")}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            raise ServiceError(
                f"E-service-record  {self.path(name)} cannot be read ({error}): how {name} was before its pause is not"
                " known.\n  Bring the service back by hand, delete the file, then:  ./runbook.py run"
            ) from None

    def write(self, name: str, *, was_paused: bool, was: Any, then: Any = None) -> None:
        """Write a record durably: `was` is of the look before the pause, `then` after it. Raises ServiceError."""
        try:
            whole_file.private_directory(self.directory)
            content = json.dumps({"name": name, "was_paused": was_paused, "was": was, "then": then}) + "\n"
            whole_file.replace(self.path(name), content.encode())
        except OSError as error:
            raise ServiceError(
                f"E-service-record  {self.path(name)} cannot be written: {error.strerror}. {name} was not paused."
            ) from None

    def drop(self, name: str) -> None:
        """Delete a service's record."""
        with suppress(FileNotFoundError):
            self.path(name).unlink()
            whole_file.sync(self.directory)
