"""Watches what Apprise's clients do on the wire (requests, smtplib), for Apprise itself answers only yes or no.

Everything here is for the one delivery of a process (rollout/announcing/post.py). Python's audit events tell the moment
from which a message may be out; before it, nothing can have been posted.
"""

from __future__ import annotations

import json
import smtplib
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from rollout.announcing.destination import is_loopback

LONGEST = 200  # characters of what a server said
DOT = b"\r\n.\r\n"  # the end of a mail: from here on it may be accepted
SENT, NOT_SENT, UNKNOWN = "sent", "not_sent", "unknown"


class NotLoopbackError(OSError):
    """A connection to elsewhere, from where only loopback is allowed."""


@dataclass(frozen=True)
class Seen:
    """One request, or one mail: what became of it, and what there is to say. `posts`: it may be the message itself."""

    outcome: str
    said: str
    posts: bool = True


@dataclass
class Witness:
    """What was seen. `say_sending` is called once, before the first byte that may make a post."""

    say_sending: Callable[[], None]
    loopback_only: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    trouble: str = ""  # of a connection that never came to a message
    sending: bool = False
    status_id: str = ""  # of the post, as a status account's server answers it
    _out: bool = False  # the request or mail that is under way
    _reply: str = ""  # to a mail
    _inside: int = 0  # how deep in a transport that we know

    def watch(self) -> None:
        """Begin; for the rest of the process."""
        sys.addaudithook(self._hear)
        HTTPAdapter.send = self._of_request(HTTPAdapter.send)  # type: ignore[method-assign]
        for name in ("__init__", "starttls", "login"):
            setattr(smtplib.SMTP, name, self._of_smtp(getattr(smtplib.SMTP, name)))
        smtplib.SMTP.sendmail = self._of_mail(smtplib.SMTP.sendmail)  # type: ignore[method-assign]
        smtplib.SMTP.data = self._of_data(smtplib.SMTP.data)  # type: ignore[method-assign]
        if self.loopback_only:
            socket.getfqdn = lambda name="": name or "localhost"  # smtplib's greeting would ask DNS for our own name

    def is_told(self) -> None:
        """The caller says itself when it is `now_sending`: connections alone are not a sign of it."""
        self._inside += 1

    def now_sending(self) -> None:
        """From here on, it may be out."""
        self._out = True
        if not self.sending:
            self.sending = True
            self.say_sending()

    def verdict(self, *, ok: bool) -> Seen:
        """All in all. `ok` is Apprise's answer."""
        if not self.seen:
            said = self.trouble or ("accepted" if ok else "Apprise did not say why not")
            return Seen(SENT if ok else UNKNOWN if self.sending else NOT_SENT, said)
        return together(self.seen, ok=ok)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if self.loopback_only and isinstance(address, tuple) and not is_loopback(str(address[0])):
                raise NotLoopbackError("not a loopback address (announcements_loopback_only)")
            if not self._inside:  # a transport that we know nothing of: it may post at once
                self.now_sending()
        elif event == "http.client.send":
            data = arguments[1]
            if not (isinstance(data, bytes) and data.startswith(b"CONNECT ")):  # to a proxy, before TLS
                self.now_sending()
        elif event == "smtplib.send" and isinstance(arguments[1], bytes) and arguments[1].endswith(DOT):
            self.now_sending()

    def _of_request(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(adapter: HTTPAdapter, request: Any, *arguments: Any, **options: Any) -> Any:
            where = str(request.url).split("/")[2].rpartition("@")[2]
            posts = request.method not in ("GET", "HEAD", "OPTIONS")
            request.headers.update(self.headers if posts else {})
            self._out, answer = False, None
            self._inside += 1
            try:
                answer = send(adapter, request, *arguments, **options)
                answer.content  # noqa: B018 - all of it, while we watch
                self.status_id = str(_answered(answer).get("id", "")) if posts else self.status_id
                self.seen.append(Seen(of_status(answer.status_code), f"{where}: {_status(answer)}", posts))
            except (requests.RequestException, OSError) as error:
                status = "" if answer is None else f"{answer.status_code}, then "
                self.seen.append(Seen(UNKNOWN if self._out else NOT_SENT, f"{where}: {status}{why(error)}", posts))
                raise
            finally:
                self._inside -= 1
            return answer

        return sent

    def _of_smtp(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any, **options: Any) -> Any:
            self._inside += 1
            try:
                return do(*arguments, **options)
            except (smtplib.SMTPException, OSError) as error:
                self.trouble = why(error)
                raise
            finally:
                self._inside -= 1

        return done

    def _of_data(self, data: Callable[..., Any]) -> Callable[..., Any]:
        def done(*arguments: Any) -> Any:
            reply = data(*arguments)
            self._reply = _reply(reply)
            return reply

        return done

    def _of_mail(self, sendmail: Callable[..., Any]) -> Callable[..., Any]:
        def sent(smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], *arguments: Any, **options: Any) -> Any:
            self._out = False
            self._inside += 1
            try:
                refused = sendmail(smtp, sender, recipients, *arguments, **options)
            except (smtplib.SMTPException, OSError) as error:
                outcome = UNKNOWN if self._out and not _rejected(error) else NOT_SENT
                self.seen.append(Seen(outcome, f"{', '.join(recipients)}: {why(error)}"))
                raise
            finally:
                self._inside -= 1
            self.seen += [Seen(NOT_SENT, f"{recipient}: {_reply(reply)}") for recipient, reply in refused.items()]
            self.seen += [Seen(SENT, f"{to}: {self._reply}") for to in recipients if to not in refused]
            return refused

        return sent


def together(seen: Sequence[Seen], *, ok: bool) -> Seen:
    """What several requests or mails of one delivery come to; what is out for some only, nobody may repeat unasked."""
    failed = [one for one in seen if one.outcome != SENT]
    out = [one for one in seen if one.outcome == SENT and one.posts]
    if ok or not failed:
        return Seen(SENT if ok else UNKNOWN, "; ".join(dict.fromkeys(one.said for one in out or seen)))
    outcome = UNKNOWN if out or any(one.outcome == UNKNOWN for one in failed) else NOT_SENT
    said = "; ".join(dict.fromkeys(one.said for one in failed))
    return Seen(outcome, f"{said} — but taken by: {'; '.join(one.said for one in out)}" if out else said)


def of_status(status: int) -> str:
    """What an HTTP status says of a POST. 503 is said before work is begun; other 5xx may come after it."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return SENT
    if status < HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return NOT_SENT
    return UNKNOWN


def why(error: BaseException) -> str:
    """What failed, from the innermost error: the outer ones quote URLs."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(dict.fromkeys(_reply(reply) for reply in error.recipients.values()))
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply((error.smtp_code, error.smtp_error))
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the server hung up"
    inner = _innermost(error)
    if isinstance(inner, TimeoutError) or "timed out" in str(inner):
        return "no answer in time"
    return getattr(inner, "verify_message", "") or getattr(inner, "strerror", "") or str(inner)[:LONGEST]


def _innermost(error: BaseException) -> BaseException:
    for _ in range(10):  # urllib3 and requests hide it in `reason`, arguments, causes
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        inner = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    return error


def _rejected(error: BaseException) -> bool:
    """Whether the server has said no to the mail: any code from 400 on, and none that is no reply."""
    return isinstance(error, smtplib.SMTPRecipientsRefused) or (
        isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= HTTPStatus.BAD_REQUEST
    )


def _answered(answer: requests.Response) -> dict[str, Any]:
    """What the answer says, if that is a JSON object."""
    try:
        found = json.loads(answer.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _status(answer: requests.Response) -> str:
    """The status, and what a JSON answer gives as the error, or as the address of the post."""
    found = _answered(answer)
    more = found.get("error") or found.get("url")
    return f"{answer.status_code} {answer.reason or ''}".strip() + (
        f" ({_text(more)})" if isinstance(more, str) else ""
    )


def _reply(reply: tuple[int, bytes | str]) -> str:
    return f"{reply[0]} {_text(reply[1])}"


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:LONGEST]
