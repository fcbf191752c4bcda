"""Delivers one text to one channel, once: it is sent, certainly not sent, or nobody knows.

A client of a channel can hang, so it works in a process of its own (rollout/announcing/post.py) that can be ended. What
is patched in that process is patched for one text only. Everything that it is told, the secret URL included, goes
through a socket without a name.

A client can hang, so a process of its own does it, rollout/announcing/post.py: it can be ended, and what is patched
there is patched for one text. All that it is told, the secret URL included, goes through a socket without a name.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from rollout import ROOT
from rollout.announcing.attempt import Delivered, Job, Outcome
from rollout.announcing.channels import Channel
from rollout.announcing.text import Text

GRACE_SECONDS = 30.0  # beyond the time limit, which the poster keeps itself unless it hangs or still loads


class Poster:
    """The process that posts. It is started for the first text, and anew if it has ended; it ends with this process."""

    def __init__(self) -> None:
        """Begin without a process; the first text starts it."""
        self._alone = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def hand(self, connection: socket.socket) -> None:
        """Have the process fork, and do the job that is asked on the other end of `connection`. Raises OSError."""
        with self._alone:
            if self._process is None or self._process.poll() is not None:
                self._start()
            socket.send_fds(self._line, [b"."], [connection.fileno()])

    def _start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C at a terminal does not reach it."""
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rollout.announcing.post"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a traceback could quote the URL
                cwd=ROOT,
                # No ~/.netrc: requests would put its passwords in place of the URL's token.
                env={**os.environ, "NETRC": os.devnull},
                start_new_session=True,
            )


POSTER = Poster()


def deliver(channel: Channel, text: Text, key: str, to: str | None = None, timeout_seconds: float = 30) -> Delivered:
    """Send `text` once; return the outcome, whatever fails.

    `key` is the same for every attempt at the same text on the same channel. `to` is the address that a mail goes to in
    place of the URL's. Nothing outlives the time limit, also when this process is interrupted or killed.
    """
    sent = channel.sent(text)
    job = Job(channel.url, channel.loopback_only, sent.title, sent.body, key, to, timeout_seconds)
    began = time.monotonic()
    ours, theirs = socket.socketpair()
    with ours:
        try:
            with theirs:
                POSTER.hand(theirs)
        except OSError as error:
            return Delivered(Outcome.NOT_SENT, f"the process that posts cannot be started: {error.strerror}")
        answers = _answers(ours, job)
    if not answers or "outcome" not in answers[-1]:
        late = time.monotonic() - began >= timeout_seconds
        said = f"no answer within {timeout_seconds:g} s" if late else "the process that posts has ended"
        answers.append({"outcome": Outcome.UNKNOWN if answers else Outcome.NOT_SENT, "said": said})
    outcome = Outcome(answers[-1]["outcome"])
    return Delivered(outcome, answers[-1]["said"], outcome is Outcome.UNKNOWN and channel.repeatable_seconds > 0)


def _answers(connection: socket.socket, job: Job) -> list[dict[str, Any]]:
    """Return the poster's answers to a job: that sending begins, and the outcome; either may be missing."""
    found: list[dict[str, Any]] = []
    connection.settimeout(job.timeout_seconds + GRACE_SECONDS)
    with suppress(OSError), connection.makefile() as lines:
        connection.sendall(json.dumps(asdict(job)).encode() + b"\n")
        for line in lines:
            found.append(json.loads(line))
    return found
