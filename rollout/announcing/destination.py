"""Makes an Apprise client from a URL: one that leaves a text as it is, and tries once."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

from apprise import Apprise, AppriseAsset
from apprise.plugins import url_to_dict
from apprise.plugins.email import NotifyEmail
from apprise.plugins.irc import NotifyIRC
from apprise.plugins.mastodon import NotifyMastodon

# It would tell the terminal about URLs, and has nothing that we do not say.
logging.getLogger("apprise").disabled = True

# Options of a URL that would change the text, or that belong to whoever delivers it (retries, time limits).
NOT_FOR_URLS = ("format", "overflow", "emojis", "retry", "wait", "optional", "redirect", "cto", "rto")
FORGETS_SECONDS = 3300.0  # Mastodon keeps an Idempotency-Key for 3600 s; five minutes are for clocks and slow answers
SHORTEST_SECRET = 4  # a shorter one may be part of ordinary words
SHORTEST_IN_PATH = 8  # and there, `hooks` or `api` is none


class BadUrlError(ValueError):
    """A phrase that says what is wrong with a URL, without anything of the URL that could be secret."""


def service(url: str, timeout_seconds: float = 30.0) -> Any:
    """Return Apprise's client for a URL. Raises BadUrlError."""
    found: dict[str, Any] | None = url_to_dict(url)  # type: ignore[no-untyped-call]
    if not found:
        scheme = re.match(r"[a-z0-9]{1,20}://", url)
        reason = f"Apprise takes no URL that begins with {scheme[0]}" if scheme else "it is no URL"
        raise BadUrlError(reason if url else "its URL is empty: put it into the vault (docs/operations.md, Channels)")
    for name in NOT_FOR_URLS:
        found.pop(name, None)
    made = Apprise.instantiate(
        found, asset=AppriseAsset(app_id="downtime-runbook", app_desc="downtime runbook", interpret_emojis=False)
    )
    if made is None:
        raise BadUrlError(
            f"Apprise does not take this {found['schema']}:// URL (its own documentation says how one looks)"
        )
    made.redirects = False  # a redirected POST is a GET: nothing would be posted
    made.socket_connect_timeout = made.socket_read_timeout = timeout_seconds
    if isinstance(made, NotifyIRC):
        irc_options(made, timeout_seconds)
    return made


def irc_options(irc: NotifyIRC, timeout_seconds: float) -> dict[str, Any]:
    """Return the options of `IrcChannel` that an irc:// URL stands for. Raises BadUrlError."""
    if len(irc.channels) != 1 or irc.users:
        raise BadUrlError("an IRC URL names exactly one channel, as irc://HOST/%23CHANNEL")
    if not irc.verify_certificate:
        raise BadUrlError("verify=no is not possible on IRC: the server's certificate is always checked")
    (name, key), password = next(iter(irc.channels.items())), irc.password or ""
    account = irc.user if irc.auth_mode == "nickserv" and password else ""
    as_server_password = f"{irc.user}:{password}" if irc.auth_mode == "znc" else password
    return {
        "server": irc.host.strip("[]"),
        "port": irc.port or (6697 if irc.secure else 6667),
        "tls": irc.secure,
        "channel": name if name.startswith("#") else f"#{name}",
        "channel_key": key or "",
        "nick": irc.nickname or "rollout",
        "account": account,
        "password": password,
        "server_password": "" if account or irc.auth_mode == "none" else as_server_password,
        "timeout_seconds": timeout_seconds,
    }


def address(made: Any) -> tuple[str, int] | None:
    """Return host and port of the server that a client talks to; None for a service that has no address of its own.

    A chat's URL may have a token in the place of the host: no resolver has to hear that.
    """
    host = getattr(made, "smtp_host", None) or made.host
    if not host or any(host in secret for secret in secrets(made)):
        return None
    irc = 6697 if made.secure else 6667
    return host.strip("[]"), int(made.port or (irc if isinstance(made, NotifyIRC) else 443 if made.secure else 80))


def takes_title(made: Any) -> bool:
    """Return True if a message of this client has a title of its own, as a mail has a subject."""
    return int(made.title_maxlen) > 0


def wordings(made: Any) -> tuple[str, ...]:
    """Return the wordings that suit a client."""
    if isinstance(made, NotifyEmail):
        return ("mail",)
    if isinstance(made, (NotifyIRC, NotifyMastodon)):
        return ("status", "irc")
    return ("chat", "mail") if takes_title(made) else ("chat", "status", "irc")


def shown(made: Any) -> str:
    """Return the client's URL for people, without anything secret."""
    if isinstance(made, (NotifyEmail, NotifyIRC, NotifyMastodon)):
        return str(made.url(privacy=True)).partition("?")[0].rstrip("/")
    return str(made.service_name)  # others may have their secret anywhere in the URL


def repeatable_seconds(made: Any) -> float:
    """Return for how many seconds after the first attempt a repeat with the same key makes no second post; 0: never."""
    return FORGETS_SECONDS if isinstance(made, NotifyMastodon) else 0.0


def secrets(made: Any) -> list[str]:
    """Return the secrets of a client, the longest first: what Apprise's plugin calls private, and a web hook's path.

    A server's answer may quote the path, and whoever has it can post.
    """
    private = {
        described.get("map_to", name)
        for described_all in (made.template_tokens, made.template_args, made.template_kwargs)
        for name, described in described_all.items()
        if described.get("private")
    }
    values = [getattr(made, name, None) for name in (*private, "password", "token")]
    values += list(getattr(made, "channels", {}).values()) if isinstance(made, NotifyIRC) else []
    if not isinstance(made, (NotifyEmail, NotifyIRC, NotifyMastodon)):
        pieces = urlsplit(str(made.url())).path.split("/")
        values += [unquote(piece) for piece in pieces if len(piece) >= SHORTEST_IN_PATH]
    texts = {value for value in values if isinstance(value, str) and len(value) >= SHORTEST_SECRET}
    return sorted({form for text in texts for form in (text, str(made.quote(text, safe="")))}, key=len, reverse=True)


def check_loopback(made: Any) -> None:
    """Raise BadUrlError unless every address of the client's host is this machine."""
    host = made.smtp_host if isinstance(made, NotifyEmail) else made.host
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(str(host or "").strip("[]"), None)}
    except OSError:
        addresses = set()
    if not addresses or not all(is_loopback(address) for address in addresses):
        raise BadUrlError(
            "only loopback addresses are allowed here (announcements_loopback_only), and its host is none"
        )


def stay_on_loopback() -> None:
    """Refuse every connection that leaves this machine, for the rest of the process, and use no proxy."""

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else None
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            raise OSError("not a loopback address (announcements_loopback_only)")

    os.environ["no_proxy"] = "*"
    socket.getfqdn = lambda name="": name or "localhost"  # smtplib's greeting would ask DNS for our own name
    sys.addaudithook(hear)


def is_loopback(address: str) -> bool:
    """Return True for an address of this machine; False for any other, and for a name."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
