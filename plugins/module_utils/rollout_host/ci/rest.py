"""A REST API that answers in JSON: pages, rate limits, sizes and redirects (R11).

The token goes to the one host that the site named, and nowhere else: no redirect and no link to a next page takes it
along. TLS is verified; without it a token goes to this machine only.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import urllib.request
from email.utils import parsedate_to_datetime
from typing import Any, Iterator, Mapping
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin, urlsplit

from ...rollout_core.plain_text import clean, one_line
from .base import CiDownError, CiError, CiLimitedError

LARGEST_ANSWER = 16 * 1024 * 1024  # bytes
LARGEST_LOG = 32 * 1024 * 1024  # bytes; of a longer one only the beginning is read, and it is not whole
MOST_PAGES = 100
LONGEST_WORD = 300  # letters of what a server says that are shown
_CHUNK = 64 * 1024
_NEXT = re.compile(r'<([^<>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)
_HERE = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


class Rest:
    """The API below one address, with the headers that say who asks. Every question raises CiError."""

    def __init__(self, title: str, url: str, secret: Mapping[str, str], timeout: float, ca_file: str = "") -> None:
        """Prepare to ask; `timeout` in seconds is for each whole answer, `ca_file` for a certificate of the site's."""
        self.title, self.url, self._timeout = title, url.rstrip("/") + "/", timeout
        self._secret = {name: value for name, value in secret.items() if value}
        if any(not 32 <= ord(letter) < 127 for value in self._secret.values() for letter in value):
            raise CiError("the token has a character in it that no header takes, such as a newline")  # and is not shown
        self._origin = _origin(self.url)
        scheme, host, _port = self._origin
        if scheme not in ("https", "http") or not host:
            raise CiError(f"{one_line(url)!r} is no address: expected https://HOST/…")
        if scheme == "http" and self._secret and not _HERE.fullmatch(host):
            raise CiError(
                f"{one_line(url)} is without TLS, and everybody on the way could read the token: use https://"
            )
        try:
            tls = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca_file or None))
        except (OSError, ValueError) as error:
            raise CiError(f"the certificates in {ca_file} cannot be read: {error}") from error
        self._opener = urllib.request.build_opener(tls, _NoRedirect)

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield the answer, and those of the pages that its header Link leads to."""
        url: str | None = self.url + path
        for _ in range(MOST_PAGES):
            asked, headers, content, _whole = self._answer("GET", str(url), query, LARGEST_ANSWER)
            yield self._json(asked, content)
            found = _NEXT.search(headers.get("Link") or "")
            if found is None:
                return
            url, query = urljoin(asked, found[1]), {}
            if _origin(url) != self._origin:
                raise CiError(f"{self.title} says that its next page is elsewhere: {one_line(url)[:LONGEST_WORD]}")
        raise CiError(f"{self.url}{path} has more than {MOST_PAGES} pages")

    def post(self, path: str) -> None:
        """Have something done."""
        self._answer("POST", self.url + path, {}, LARGEST_ANSWER)

    def lines(self, path: str) -> tuple[tuple[str, ...], bool]:
        """Return the lines of a log, and whether they are all of it. Another host that has it gets no token."""
        _url, _headers, content, whole = self._answer("GET", self.url + path, {}, LARGEST_LOG)
        return tuple(clean(content.decode("utf-8", "replace")).splitlines()), whole

    def _json(self, url: str, content: bytes) -> Any:
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CiError(f"{one_line(url)} is not what the API of {self.title} answers: {error}") from error

    def _answer(
        self, method: str, url: str, query: Mapping[str, Any], largest: int
    ) -> tuple[str, Mapping[str, str], bytes, bool]:
        """Return the address that answered, headers, content, and whether that is all of it."""
        url += ("&" if "?" in url else "?") + urlencode(query) if query else ""
        try:
            with self._open(method, url, logs=largest == LARGEST_LOG) as answer:
                content, whole = self._read(answer, largest)
                if not whole and largest != LARGEST_LOG:
                    raise CiError(f"{one_line(url)} answers with more than {largest} bytes")
                return url, answer.headers, content, whole
        except HTTPError as error:
            with error:
                raise self._refusal(error, method, url) from error
        except http.client.IncompleteRead as error:
            raise CiDownError(f"{self.url} hung up in the middle of an answer") from error
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise CiError(f"the certificate of {self.url} is not trusted: {reason.verify_message}") from error
            told = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise CiDownError(f"{self.url} does not answer: {one_line(told)[:LONGEST_WORD]}") from error

    def _open(self, method: str, url: str, *, logs: bool) -> Any:
        """Open an address of the API. A redirect on its own host is followed; of a log, to another host too."""
        for _ in range(5):
            own = _origin(url) == self._origin
            headers = {"Accept": "application/json", "User-Agent": "downtime-runbook", **(self._secret if own else {})}
            data = b"" if method == "POST" else None
            request = urllib.request.Request(url, method=method, headers=headers, data=data)  # noqa: S310  https, http
            try:
                return self._opener.open(request, timeout=self._timeout)
            except HTTPError as error:
                to = urljoin(url, error.headers.get("Location") or "")
                if error.code not in (301, 302, 303, 307, 308) or method != "GET" or to == url:
                    raise
                error.close()
            if _origin(to) != self._origin and not (
                logs and urlsplit(to).scheme in (urlsplit(self.url).scheme, "https")
            ):
                shown = one_line(to)[:LONGEST_WORD]
                raise CiError(
                    f"{self.url} leads to another host, {shown}, which does not get the token: name it itself"
                )
            url = to
        raise CiError(f"{self.url} leads round in circles")

    def _read(self, answer: http.client.HTTPResponse, largest: int) -> tuple[bytes, bool]:
        """Return the content up to a size, and whether it is all. An answer that drips is none."""
        parts, size, deadline = [], 0, time.monotonic() + self._timeout
        while part := answer.read1(min(_CHUNK, largest + 1 - size)):
            parts.append(part)
            size += len(part)
            if size > largest:
                return b"".join(parts)[:largest], False
            if time.monotonic() > deadline:
                raise CiDownError(f"{self.url} has not answered as a whole within {self._timeout:g} s")
        said = answer.headers.get("Content-Length") or ""
        if said.isascii() and said.isdigit() and size < int(said):
            raise http.client.IncompleteRead(b"", int(said) - size)
        return b"".join(parts), True

    def _refusal(self, error: HTTPError, method: str, url: str) -> CiError:
        """Return the error that an HTTP status stands for."""
        said = self._said(error)
        until = _until(error)
        if until is not None:
            return CiLimitedError(f"{self.title} takes no more questions for now{said}", until)
        if error.code >= 500:
            return CiDownError(f"{self.url} answers {error.code}{said}")
        told = f"{method} {one_line(url)} answers {error.code}{said}"
        if error.code in (401, 403):
            told += ". The token is wrong, has expired, or may not do that"
        return UnknownError(told, said) if error.code in (404, 422) else CiError(told)

    def _said(self, error: HTTPError) -> str:
        """Return the text of an error's answer, in brackets."""
        try:
            answer = json.loads(error.read(LARGEST_ANSWER))
            said = answer.get("message") or answer.get("error")
        except (ValueError, AttributeError, OSError, http.client.HTTPException, RecursionError):
            return ""
        text = one_line(said if isinstance(said, str) else json.dumps(said))[:LONGEST_WORD]
        return f" ({text})" if said else ""


class UnknownError(CiError):
    """An error: there is no such thing, or the token may not see it. `said` is what the server says of it."""

    def __init__(self, text: str, said: str) -> None:
        """Keep both."""
        super().__init__(text)
        self.said = said


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are looked at before anything goes there."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow none."""


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        return "", "", None
    return found.scheme, (found.hostname or "").lower(), port or {"https": 443, "http": 80}.get(found.scheme)


def _until(error: HTTPError) -> float | None:
    """Return until when a server takes no more questions, in seconds since the epoch; None if that is not why."""
    if error.code not in (403, 429):
        return None
    headers, now = error.headers, time.time()
    after = headers.get("Retry-After")
    if after:
        try:
            return now + max(0.0, float(after))
        except ValueError:
            pass
        try:
            return parsedate_to_datetime(after).timestamp()
        except (TypeError, ValueError):
            pass
    spent = error.code == 429 or headers.get("X-RateLimit-Remaining") == "0"
    try:
        return float(headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or "") if spent else None
    except ValueError:
        return now + 60 if spent else None
