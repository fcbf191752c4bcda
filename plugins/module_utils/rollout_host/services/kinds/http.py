"""A feature flag that is read and written by HTTP: JSON objects, and a token from the vault."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Mapping
from urllib.parse import urlsplit

from ... import whole_file
from .base import Look, Service, ServiceError

_LARGEST = 1_000_000  # bytes of an answer that are read


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the token is for that address alone."""


class HttpFlag(Service):
    """GET tells the flag's object. It is paused while the fields in `paused` have those values there.

    Pausing sends these fields, resuming the values that they had. What is sent and asked is never in an error.
    """

    def look(self) -> Look:
        """Return the flag's fields as they are. Raises ServiceError if it does not tell all of them."""
        wanted = self.given["paused"]
        found = self._ask("GET")
        missing = ", ".join(name for name in wanted if name not in found)
        if missing:
            raise ServiceError(
                f"E-flag-unknown  {self.name}: {self._shown()} tells nothing of {missing}; it has:"
                f" {', '.join(found) or 'nothing'}.\n  Correct `paused` in services_paused. Nothing was changed."
            )
        was = {name: found[name] for name in wanted}
        return Look(was == wanted, json.dumps(was), was)

    def pause(self) -> None:
        """Send the values that pause it."""
        self._ask(self.given["method"], self.given["paused"])

    def resume(self, was: Mapping[str, Any]) -> str | None:
        """Send the values that it had."""
        self._ask(self.given["method"], was)
        return None

    def diff(self, *, pausing: bool) -> dict[str, str]:
        """Return the fields that are sent, on the side where they are."""
        fields = json.dumps(self.given["paused"]) + "\n"
        headers = {"before_header": self._shown(), "after_header": self._shown()}
        return {**headers, "before": "" if pausing else fields, "after": fields if pausing else ""}

    def _ask(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request, and return the JSON object of a GET's answer. Raises ServiceError."""
        url = self.given["url"]
        if urlsplit(url).scheme not in ("https", "http"):
            raise ServiceError(f"E-flag-url  {self.name}: expected a URL that begins with https://")
        headers = {"Accept": "application/json", "User-Agent": "downtime-runbook"}
        if self.given["token"]:
            headers[self.given["token_header"]] = self.given["token_prefix"] + self.given["token"].strip()
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - as above
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=min(self.seconds, 30)) as answer:
                said = answer.read(_LARGEST)
            return whole_file.object_of(said) if body is None else {}
        except urllib.error.HTTPError as error:
            raise self._failed(method, f"it answered {error.code} {error.reason}") from None
        except OSError as error:
            raise self._failed(method, str(getattr(error, "reason", error))) from None
        except HTTPException as error:  # its text may quote the URL
            raise self._failed(method, type(error).__name__) from None
        except ValueError:
            raise self._failed(method, "its answer is no JSON object") from None

    def _failed(self, method: str, why: str) -> ServiceError:
        return ServiceError(
            f"E-flag  {self.name}: {method} {self._shown()}: {why}.\n"
            "  Look at the URL, and at the token in the vault. Then:  ./runbook.py run"
        )

    def _shown(self) -> str:
        parts = urlsplit(self.given["url"])
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
