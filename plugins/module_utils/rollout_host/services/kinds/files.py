"""Services that a file pauses: a flag that is there, or a banner that the web server shows."""

from __future__ import annotations

import base64
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Mapping

from ... import whole_file
from .base import Look, Service, ServiceError


class Flag(Service):
    """A flag file: the service is paused while it is there, whatever is in it."""

    text = ""  # what the file is to say

    @property
    def path(self) -> Path:
        """Return the file's path."""
        return Path(self.given["path"])

    def look(self) -> Look:
        """Return the file as it is; `was` has its content. Raises ServiceError if it cannot be read."""
        try:
            content = self.path.read_bytes()
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                raise ServiceError(
                    f"E-no-directory  {self.name}: there is no directory {self.path.parent} for {self.path.name}.\n"
                    "  Make it, or correct the path in services_paused. Nothing of it was changed."
                ) from None
            return Look(paused=False, text=f"there is no {self.path.name}")
        except OSError as error:
            raise ServiceError(f"E-service-file  {self.name}: {self.path} cannot be read: {error.strerror}.") from None
        said = content.decode("utf-8", "replace").strip()
        was = {"content": base64.b64encode(content).decode("ascii"), "mode": mode}
        return Look(self._pauses(content), f"{self.path.name} is there" + (f": {said[:80]}" if said else ""), was)

    def pause(self) -> None:
        """Write the file, which every service may read."""
        whole_file.replace(self.path, self.text.encode(), mode=0o644)

    def resume(self, was: Mapping[str, Any]) -> str | None:
        """Take the file away, or put back what it said before."""
        if was:
            whole_file.replace(self.path, base64.b64decode(was["content"]), mode=was["mode"])
        else:
            with suppress(FileNotFoundError):
                self.path.unlink()
                whole_file.sync(self.path.parent)
        return None

    def diff(self, *, pausing: bool) -> dict[str, str]:
        """Return the change of the file."""
        headers = {"before_header": str(self.path), "after_header": str(self.path)}
        before, after = ("", self.text) if pausing else (self.text, "")
        return {**headers, "before": before, "after": after}

    def _pauses(self, content: bytes) -> bool:  # noqa: ARG002 - a flag is there or not
        return True


class Banner(Flag):
    """A file with a text for visitors. Another text in it is not ours: it comes back afterwards."""

    @property
    def text(self) -> str:  # type: ignore[override]
        """Return what the file is to say, with the end of its line."""
        return str(self.given["text"]).rstrip("\n") + "\n"

    def _pauses(self, content: bytes) -> bool:
        return content == self.text.encode()
