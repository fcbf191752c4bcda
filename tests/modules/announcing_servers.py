"""Real servers for announcements, on loopback, and the faults between them and who posts: each counts what arrived."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from lab import status_account as lab_account
from lab.external import LoopbackServer
from lab.smtp import Keeper
from rollout.announcing.channels import Channel
from tests.modules.irc_servers import free_port

TOKEN = "s3cret-t0ken/of the=account"  # noqa: S105  what a URL must quote
QUOTED = "s3cret-t0ken%2Fof%20the%3Daccount"
PASSWORD = "pa55-w0rd"  # noqa: S105


def channel(wording: str, url: str, *, loopback_only: bool = True) -> Channel:
    """A channel as `channels.load` makes it."""
    from rollout.announcing import destination

    made = destination.service(url)
    shown, repeatable = destination.shown(made), destination.repeatable_seconds(made)
    return Channel("test", wording, url, shown, repeatable, loopback_only, destination.takes_title(made))


class QuietHandler(lab_account.Handler):
    """The lab's, without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class StatusAccount:
    """The lab's status account."""

    directory: Path
    port: int

    @property
    def texts(self) -> list[str]:
        """What was posted, in order."""
        return [post["text"] for post in json.loads((self.directory / "statuses.json").read_text())]


@contextmanager
def status_account(directory: Path) -> Iterator[StatusAccount]:
    """The lab's own, with TOKEN."""
    (directory / "token").write_text(f"{TOKEN}\n")
    (directory / "statuses.json").write_text("[]\n")
    port = free_port()
    account = lab_account.Account(directory, f"http://127.0.0.1:{port}")
    server = LoopbackServer(("127.0.0.1", port), type("Handler", (QuietHandler,), {"account": account}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield StatusAccount(directory, port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@dataclass(frozen=True)
class MailServer:
    """The lab's mail server."""

    directory: Path
    port: int

    @property
    def mails(self) -> list[EmailMessage]:
        """What arrived, in order."""
        paths = sorted((self.directory / "mails").glob("*.eml"))
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


@contextmanager
def mail_server(directory: Path) -> Iterator[MailServer]:
    """The lab's own, with PASSWORD."""
    (directory / "password").write_text(f"{PASSWORD}\n")
    (directory / "mails").mkdir()
    keeper = Keeper(directory)
    with controlled(keeper, authenticator=keeper.authenticate, auth_required=True, auth_require_tls=False) as port:
        yield MailServer(directory, port)


@contextmanager
def controlled(handler: object, **options: Any) -> Iterator[int]:
    """A mail server that leaves everything to the handler; gives its port."""
    port = free_port()
    controller = Controller(handler, "127.0.0.1", port, server_hostname="test", ident="test", **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop(no_assert=True)


@contextmanager
def serving(serve: Callable[[socket.socket], None], certificate: Path | None = None) -> Iterator[int]:
    """A server that does what `serve` does with each connection, one after the other; gives its port."""
    tls = server_context(certificate) if certificate else None
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted = listener.accept()[0]
                with contextlib.suppress(ConnectionError, ssl.SSLError), accepted:
                    if tls:
                        with tls.wrap_socket(accepted, server_side=True) as connection:
                            serve(connection)
                    else:
                        serve(accepted)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def server_context(certificate: Path) -> ssl.SSLContext:
    """TLS for a server that has this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


def request_of(connection: socket.socket) -> bytes:
    """One HTTP request, whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _hung_up()
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while len(body) < int(lengths[0] if lengths else 0):
        body += connection.recv(65536) or _hung_up()
    return head + b"\r\n\r\n" + body


def _hung_up() -> bytes:
    raise ConnectionResetError


def answer(status: str, body: bytes = b"{}", more: str = "") -> bytes:
    """One HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}\r\n".encode() + body


def wait_for_the_end(connection: socket.socket) -> None:
    """Say nothing until the other side hangs up."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def hang_up_at_data(connection: socket.socket, refusal: bytes = b"") -> None:
    """Be a mail server until the text is about to come, or, with a refusal, until it has come."""
    connection.sendall(b"220 here\r\n")
    lines = connection.makefile("rb")
    while not (line := lines.readline()).upper().startswith(b"DATA"):
        connection.sendall(b"250 OK\r\n" if line else _hung_up())
    if refusal:
        connection.sendall(b"354 go on\r\n")
        while lines.readline() not in (b".\r\n", b""):
            pass
        connection.sendall(refusal)


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, too slowly to be a silence, until the other side hangs up."""
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            threading.Event().wait(0.2)


def forwarded(port: int, request: bytes) -> bytes:
    """What the server behind answers to a request."""
    with socket.create_connection(("127.0.0.1", port), 20) as behind:
        behind.sendall(request)
        head, _, body = behind.makefile("rb").read().partition(b"\r\n\r\n")  # HTTP/1.0: it hangs up at the end
        return head + b"\r\n\r\n" + body


# What can be between us and a status account, by the names of tests/modules/announcing_faults.yml.
HTTP_FAULTS: dict[str, Callable[[socket.socket, int], None]] = {
    "hangs before it reads": lambda connection, _port: wait_for_the_end(connection),
    "drips": lambda connection, _port: (request_of(connection), drip(connection))[1],
    "answers 401": lambda c, _: (request_of(c), c.sendall(answer("401 Unauthorized", b'{"error": "who is that?"}')))[1],
    "answers 429": lambda c, _: (request_of(c), c.sendall(answer("429 Too Many Requests")))[1],
    "answers 503": lambda c, _: (request_of(c), c.sendall(answer("503 Service Unavailable")))[1],
    "answers 500": lambda c, _: (request_of(c), c.sendall(answer("500 Internal Server Error")))[1],
    "sends elsewhere": lambda c, _: (
        request_of(c),
        c.sendall(answer("307 Temporary Redirect", more="Location: http://203.0.113.7/api/v1/statuses\r\n")),
    )[1],
    "cuts before it posts": lambda c, _: (request_of(c), None)[1],
    "posts, then cuts": lambda c, port: (forwarded(port, request_of(c)), None)[1],
    "posts, then cuts in its answer": lambda c, port: c.sendall(forwarded(port, request_of(c))[:-40]),
    "posts, then answers 500": lambda c, port: (
        forwarded(port, request_of(c)),
        c.sendall(answer("500 Internal Server Error")),
    )[1],
    "posts, then answers 504": lambda c, port: (
        forwarded(port, request_of(c)),
        c.sendall(answer("504 Gateway Timeout", b"<html>upstream</html>")),
    )[1],
    "posts, then hangs": lambda c, port: (forwarded(port, request_of(c)), wait_for_the_end(c))[1],
    "is a page": lambda c, _: (request_of(c), c.sendall(answer("200 OK", b"<html>Please log in</html>")))[1],
}


class FaultyMail:
    """A mail server with one fault, by its name; `taken` is who got how many mails, `ids` their Message-IDs."""

    def __init__(self, fault: str) -> None:
        """Nothing arrived yet."""
        self.fault = fault
        self.taken: list[str] = []
        self.ids: list[str] = []

    async def handle_MAIL(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Who sends."""
        if self.fault == "refuses the sender":
            return "550 5.7.1 Sender not allowed"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Who gets it."""
        if self.fault == "greylists":
            return "450 4.2.0 Greylisted, try again later"
        if self.fault == "refuses one recipient" and address.startswith("gone"):
            return "550 5.1.1 No such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The mail, after its last dot."""
        if self.fault == "refuses the mail":
            return "554 5.7.1 Looks like spam"
        if self.fault == "cannot take it now":
            return "451 4.3.0 Queue is full"
        self.taken += envelope.rcpt_tos
        self.ids.append(email.message_from_bytes(envelope.original_content or b"")["Message-ID"])
        if self.fault == "takes it, then cuts":
            assert server.transport is not None
            server.transport.close()
        if self.fault == "takes it, then hangs":
            await asyncio.sleep(3600)
        return "250 2.0.0 Ok: queued"


@contextmanager
def faulty_mail(fault: str = "", certificate: Path | None = None) -> Iterator[tuple[FaultyMail, int]]:
    """A mail server with that fault, and its port; with a certificate it takes nothing before STARTTLS."""
    handler = FaultyMail(fault)
    tls = {"tls_context": server_context(certificate), "require_starttls": True} if certificate else {}
    with controlled(handler, **tls) as port:
        yield handler, port
