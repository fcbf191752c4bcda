"""Connection strings of PostgreSQL: none of ours holds a password, because many read and show them.

A connection string stands in command lines, in Ansible's output and events, in progress files, messages, the journal
and the report. What reads it is libpq's own parser where that can be had: the caller's.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Iterator, Mapping
from urllib.parse import unquote

from .plain_text import texts_in

SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_KEYS = "|".join(sorted(SECRETS, key=len, reverse=True))
_KEY = re.compile(rf"(?:^|[\s?&'\"])(?P<key>{_KEYS})\s*=\s*(?!''|\"\"|[\s&]|$)", re.IGNORECASE)
_HOST = re.compile(r"\w://([^/?#\s]*)")  # of a URI: up to what follows it, or to what is in a password too
_PASSWORD = re.compile(r":[^@\s]+@")  # user:password@host
_MOST_LEVELS = 3  # a dbname that is a connection string itself


def secret(dsn: str, parse: Callable[[str], Mapping[str, Any]] | None = None, levels: int = _MOST_LEVELS) -> str | None:
    """Return the keyword of a secret in the connection string (`key=value` pairs or a URI), None without one.

    `parse` is libpq's, or None. What it cannot parse is looked at all the same.
    """
    for text in (dsn, unquote(dsn)):
        if found := _KEY.search(text):
            return found["key"].lower()
        if _in_uri(text):
            return "password"
    try:
        given = parse(dsn) if parse else {}
    except Exception:
        return None
    inner = str(given.get("dbname") or "")
    if levels and ("://" in inner or "=" in inner) and (found_inside := secret(inner, parse, levels - 1)):
        return found_inside
    return next((key for key in SECRETS if given.get(key)), None)


def _in_uri(text: str) -> bool:
    """Return True if a URI in the text has a password. In time that grows with the text only, whatever is in it."""
    text = text[: text.rfind("@") + 1]
    for host in _HOST.finditer(text):
        password = _PASSWORD.search(text, host.start(1))
        if password and password.start() < host.end():
            return True
    return False


def secrets_in(
    value: Any, name: str, parse: Callable[[str], Mapping[str, Any]] | None = None
) -> Iterator[tuple[str, str]]:
    """Give name and keyword of every secret in connection strings in the value, as deep as it goes."""
    if isinstance(value, str):
        if keyword := secret(value, parse):
            yield name, keyword
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from secrets_in(each, f"{name}.{key}", parse)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from secrets_in(each, f"{name}.{number}", parse)


def with_secrets(value: Any, parse: Callable[[str], Mapping[str, Any]] | None = None) -> Iterator[str]:
    """Give every connection string in the value that has a secret in it, for whoever has to keep it out of sight."""
    yield from (text for text in texts_in(value) if secret(text, parse))


def refusal(found: Iterable[tuple[str, str]]) -> str:
    """Return the message about secrets that were found, (name, keyword) each; it holds none of them."""
    first, *others = [f"{name} has a password in it (`{keyword}`)" for name, keyword in dict.fromkeys(found)]
    lines = [f"E-password-in-dsn  {first}; nothing was touched.", *(f"  {other}" for other in others)]
    return "\n".join(
        [
            *lines,
            "  It would be in command lines, Ansible's events, the journal and the report; it is not shown here.",
            "  Instead, on the host and as the user who connects: a line in ~/.pgpass (0600), or passfile=FILE;",
            "  or a service in ~/.pg_service.conf, and service=NAME here; or peer authentication, without a password.",
        ]
    )
