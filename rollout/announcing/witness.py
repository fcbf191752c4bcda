"""Watches Apprise's clients at work, because Apprise itself answers only yes or no.

All HTTP is watched in requests' adapter, every mail in Apprise's SMTP controller. Python's audit events tell the moment
from which a message may be out.
"""

from __future__ import annotations

import json
import smtplib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from apprise.plugins.email import base as apprise_mail
from apprise.plugins.email.smtp import AppriseSMTPController
from requests.adapters import HTTPAdapter

from rollout.announcing.attempt import Delivered, Outcome, Sending, one_line, together, why

LOOKS = ("GET", "HEAD", "OPTIONS")  # requests that post nothing, with most services
DOT = b"\r\n.\r\n"  # the end of a mail: from here on it may be accepted
MAIL_OK, MAIL_FORWARDED = 250, 251


@dataclass
class Witness:
    """Records the outcome of each request and each mail.

    `idempotency_key` is for a status account: it is added to each post, and an answer without a status is a failure.
    """

    sending: Sending
    idempotency_key: str = ""
    seen: list[Delivered] = field(default_factory=list)
    _out: bool = False  # the request or mail that is under way
    _inside: bool = False  # one is under way

    def watch(self) -> None:
        """Begin to watch Apprise's clients, for the rest of the process."""
        sys.addaudithook(self._hear)
        HTTPAdapter.send = self._watched(HTTPAdapter.send)  # type: ignore[method-assign]
        WatchedMail.witness = self
        apprise_mail.AppriseSMTPController = WatchedMail  # type: ignore[attr-defined]

    def verdict(self, *, ok: bool) -> Delivered:
        """Return one outcome for everything that was seen; `ok` is Apprise's own answer."""
        found = together(self.seen)
        if ok:
            return Delivered(Outcome.SENT, found.said or "accepted")
        if found.outcome is Outcome.SENT:  # nothing was seen to fail
            return Delivered(self.sending.failed, found.said or "Apprise did not say why not")
        return found

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Record one request or mail if it fails: as unknown once its text may be out, else as not sent."""
        self._out, self._inside = False, True
        try:
            yield
        except (requests.RequestException, smtplib.SMTPException, OSError) as error:
            self.seen.append(Delivered(Outcome.UNKNOWN if self._out else Outcome.NOT_SENT, f"{name}: {why(error)}"))
            raise
        finally:
            self._inside = False

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("http.client.send", "smtplib.send"):
            data = arguments[1] if isinstance(arguments[1], bytes) else b""
            if data.endswith(DOT) if event == "smtplib.send" else not data.startswith(b"CONNECT "):  # to a proxy
                self._out = True
                self.sending()
        elif event in ("socket.connect", "socket.sendto") and not self._inside:
            self.sending()  # a transport that we know nothing of: it may post at once

    def _watched(self, send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
        """Return the adapter's method `send`, watched."""

        def sent(adapter: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> requests.Response:
            where, posts = urlsplit(str(request.url)).netloc.rpartition("@")[2], request.method not in LOOKS
            key = {"Idempotency-Key": self.idempotency_key} if self.idempotency_key and posts else {}
            request.headers.update(key)
            with self.part(where):
                answer = send(adapter, request, *arguments, **options)
                outcome, found = of_status(answer.status_code), _object(answer.content)  # all of it, while we watch
                if key and outcome is Outcome.SENT and not found.get("id"):
                    raise requests.RequestException("no status is in the answer: is it a status account's server?")
            if posts or outcome is not Outcome.SENT:
                more = found.get("error") or found.get("url")
                more = f" ({one_line(more)})" if isinstance(more, str) else ""
                self.seen.append(Delivered(outcome, f"{where}: {answer.status_code} {answer.reason or ''}{more}"))
            return answer

        return sent


class WatchedMail(AppriseSMTPController):
    """Apprise's SMTP controller, watched."""

    witness: Witness

    def __enter__(self) -> AppriseSMTPController:
        """Connect and log in."""
        with self.witness.part(self.host):
            return super().__enter__()

    def sendmail(self, from_addr: str, to_addrs: list[str], message: str) -> bool:
        """Send one mail; return True if every recipient got it. What the server said of each is recorded."""
        smtp: Any = self._socket
        ok = False
        with suppress(smtplib.SMTPException, OSError), self.witness.part(", ".join(to_addrs)):
            smtp.ehlo_or_helo_if_needed()
            smtp.rset()  # the mail before may have been refused half-way
            if (reply := smtp.mail(from_addr))[0] != MAIL_OK:
                raise smtplib.SMTPResponseException(*reply)
            replies = {to: smtp.rcpt(to) for to in to_addrs}
            if accepted := [to for to, reply in replies.items() if reply[0] in (MAIL_OK, MAIL_FORWARDED)]:
                replies.update(dict.fromkeys(accepted, smtp.data(message)))
            for to, (code, said) in replies.items():
                refused = Outcome.NOT_SENT if code >= HTTPStatus.BAD_REQUEST else Outcome.UNKNOWN
                outcome = Outcome.SENT if code == MAIL_OK else refused
                self.witness.seen.append(Delivered(outcome, f"{to}: {code} {one_line(said)}"))
            ok = all(code == MAIL_OK for code, _ in replies.values())
        return ok


def of_status(status: int) -> Outcome:
    """Return the outcome that an HTTP status means for a POST.

    503 comes before work is begun; other 5xx may come after it.
    """
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Outcome.SENT
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Outcome.NOT_SENT
    return Outcome.UNKNOWN


def _object(content: bytes) -> dict[str, Any]:
    """Return the answer if it is a JSON object, else an empty one."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
