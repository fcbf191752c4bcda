"""The file of RC mode on the branch's host, such as PQM's configuration: replaced as a whole by one rename (R13)."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path


class RcModeError(Exception):
    """An error: RC mode cannot be switched; the text is the module's message."""


def now(offset_seconds: float) -> str:
    """Return the rollout's time, ISO 8601 in UTC; the offset, in seconds, is not 0 only in rehearsals."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=offset_seconds)
    return moment.isoformat(timespec="seconds")


class Configuration:
    """The configuration file, symbolic links followed, with its own line ends."""

    def __init__(self, path: str, new: str | None = None) -> None:
        """Read the file; one that is not there is as `new`, and is made when it is replaced. Raises RcModeError."""
        self.path = Path(path).resolve()
        try:
            self.there = new is None or self.path.exists()
            self.content = self.path.read_bytes() if self.there else str(new).encode("utf-8")
            self.text = self.content.decode("utf-8")
        except FileNotFoundError as error:
            raise RcModeError(
                f"E-rc-mode-file  There is no file {self.path}.\n"
                "  Name PQM's configuration:  rc_mode_config in the inventory"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise RcModeError(f"E-rc-mode-file  {self.path} cannot be read: {error}.") from error

    def replace(self, text: str) -> None:
        """Replace the file's text durably, with the file's mode and owner. Raises RcModeError.

        PQM reads the old file or the new one, never half of one. If somebody else changed the file meanwhile, it is
        refused.
        """
        content = text.encode("utf-8")
        part = None
        try:
            handle, name = tempfile.mkstemp(dir=str(self.path.parent), prefix=f".{self.path.name}-")
            part = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                self._give_owner_and_mode(stream.fileno())
                stream.flush()
                os.fsync(stream.fileno())
            if self.path.exists() != self.there or (self.there and self.path.read_bytes() != self.content):
                raise RcModeError(
                    f"E-rc-mode-file  {self.path} was changed by somebody else just now; it is left as it is.\n"
                    "  Then once more:  ./runbook.py run"
                )
            part.replace(self.path)
            part = None
            self._sync_directory()
        except OSError as error:
            raise RcModeError(
                f"E-rc-mode-file  {self.path} cannot be replaced: {error.strerror} ({error.filename})."
            ) from error
        finally:
            if part:
                part.unlink()
        self.content, self.text, self.there = content, text, True

    def _give_owner_and_mode(self, handle: int) -> None:
        if not self.there:
            os.fchmod(handle, 0o644)  # whoever pushes reads it
            return
        old, new = self.path.stat(), os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            try:
                os.fchown(handle, old.st_uid, old.st_gid)
            except PermissionError as error:
                raise RcModeError(
                    f"E-rc-mode-file  {self.path} belongs to {old.st_uid}:{old.st_gid}, and this is user"
                    f" {os.geteuid()}: replaced, it would be another's.\n  Run it as the owner (ansible_become_user)."
                ) from error
        os.fchmod(handle, old.st_mode & 0o7777)

    def _sync_directory(self) -> None:
        handle = os.open(str(self.path.parent), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
