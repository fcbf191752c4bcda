"""One attempt to deliver one text: the job, and its outcome."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from plugins.module_utils.rollout_core import plain_text

LONGEST = 200  # characters of what a server said


class Outcome(StrEnum):
    """How an attempt ended. NOT_SENT is certain: no connection, or a clear rejection. UNKNOWN: the text may be out."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Delivered:
    """The outcome of an attempt. `said` is a line for people, without a secret.

    `repeatable` is true if the outcome is unknown, but a repeat cannot make a second post.
    """

    outcome: Outcome
    said: str
    repeatable: bool = False


@dataclass(frozen=True)
class Job:
    """Everything that the posting process is told. `key` is the same for every attempt at the same text."""

    url: str = field(repr=False)
    loopback_only: bool
    title: str
    body: str
    key: str
    to: str | None
    timeout_seconds: float


@dataclass
class Sending:
    """A callback before the first byte that may make a post; `tell` then tells the process that waits, once."""

    tell: Callable[[], None]
    begun: bool = False

    def __call__(self) -> None:
        """Note that the text may be out from here on, and tell the process that waits."""
        if not self.begun:
            self.begun = True
            self.tell()

    @property
    def failed(self) -> Outcome:
        """Return the outcome of an attempt that fails now: unknown once sending has begun."""
        return Outcome.UNKNOWN if self.begun else Outcome.NOT_SENT


def together(parts: Sequence[Delivered]) -> Delivered:
    """Return one outcome for several requests or mails: unknown if only some are out, as those must not be repeated."""
    out = [part for part in parts if part.outcome is Outcome.SENT]
    failed = [part for part in parts if part.outcome is not Outcome.SENT]
    if not failed:
        return Delivered(Outcome.SENT, _joined(out))
    certain = not out and all(part.outcome is Outcome.NOT_SENT for part in failed)
    said = _joined(failed) + (f" — but taken by: {_joined(out)}" if out else "")
    return Delivered(Outcome.NOT_SENT if certain else Outcome.UNKNOWN, said)


def _joined(parts: Sequence[Delivered]) -> str:
    return "; ".join(dict.fromkeys(part.said for part in parts))


def why(error: BaseException) -> str:
    """Return the reason of a failure as the innermost error gives it: the outer ones quote URLs."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {one_line(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "the server hung up"
    for _ in range(10):  # urllib3 and requests hide it in `reason`, arguments, causes
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        inner = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        if inner is None:
            break
        error = inner
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    return getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)[:LONGEST]


def one_line(said: bytes | str) -> str:
    """Return what a server said, on one line."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return plain_text.one_line(text)[:LONGEST]
