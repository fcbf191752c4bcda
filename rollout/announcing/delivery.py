"""One text to one channel, once: sent, certainly not sent, or nobody knows.

A client can hang, and Apprise swallows what went wrong, so a process of its own does it, rollout/announcing/post.py:
it watches the transport, and can be ended. All that it is told, the secret URL included, goes through a pipe.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout import ROOT
from rollout.announcing.channels import Channel
from rollout.announcing.text import Text

GRACE_SECONDS = 5.0  # beyond the time limit, which the other process keeps itself: for one that is stopped
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Outcome(StrEnum):
    """What became of it. NOT_SENT is certain: no connection, or a clear rejection. UNKNOWN: it may have gone out."""

    SENT = "sent"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Delivered:
    """`said` is a line for people, without a secret. `repeatable`: unknown, but a repeat cannot make a second post."""

    outcome: Outcome
    said: str
    repeatable: bool = False


def deliver(channel: Channel, text: Text, key: str, to: str | None = None, timeout_seconds: float = 30) -> Delivered:
    """Send `text`, once; `key` is the same for every attempt at the same text on the same channel.

    `to` is the address that a mail goes to in place of the URL's. Whatever fails is in the answer; nothing is left
    running when it returns, or is interrupted. The other process ends by itself if this one is killed.
    """
    job = {
        "url": channel.url,
        "loopback_only": channel.loopback_only,
        "title": text.title,
        "body": text.body,
        "key": key,
        "to": to,
        "timeout_seconds": timeout_seconds,
    }
    try:
        process = _process(_environment(loopback_only=channel.loopback_only))
    except OSError as error:
        return Delivered(Outcome.NOT_SENT, f"the process that posts cannot be started: {error.strerror}")
    output, ended = _posted(process, json.dumps(job), timeout_seconds)
    lines = [json.loads(line) for line in output.splitlines() if line.endswith("}")]
    answer = next((line for line in lines if "outcome" in line), None)
    if answer is None:
        outcome = Outcome.UNKNOWN if {"sending": True} in lines else Outcome.NOT_SENT
        late = ended in (-signal.SIGALRM, -signal.SIGKILL)
        said = f"no answer within {timeout_seconds:g} s" if late else f"the process that posts ended with {ended}"
        answer = {"outcome": outcome, "said": said}
    outcome = Outcome(answer["outcome"])
    return Delivered(outcome, answer["said"], outcome is Outcome.UNKNOWN and channel.repeatable_seconds > 0)


def _process(environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """It has a session of its own: Ctrl-C at a terminal is not for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "rollout.announcing.post"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a traceback could quote the URL
        cwd=ROOT,
        env=environment,
        text=True,
        start_new_session=True,
    )


def _posted(process: subprocess.Popen[str], job: str, timeout_seconds: float) -> tuple[str, int]:
    """What the process printed, and how it ended."""
    try:
        output, _ = process.communicate(job, timeout=timeout_seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return output, process.returncode


def _environment(*, loopback_only: bool) -> dict[str, Any]:
    """Ours, where the modules are, and no ~/.netrc: requests would put its passwords in place of the URL's token."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins" / "module_utils")])
    ours = {name: value for name, value in os.environ.items() if not (loopback_only and name.lower() in PROXIES)}
    return {**ours, "PYTHONPATH": path, "NETRC": os.devnull}
