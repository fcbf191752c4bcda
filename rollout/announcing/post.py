"""`python -m rollout.announcing.post`: the process that posts. It loads Apprise once, and forks for every text.

Its standard input is a Unix socket on which delivery.py hands it a connection for each text. The fork reads the job
from its connection, and answers in JSON lines: `{"sending": true}` before the first byte that may make a post, and
`{"outcome", "said"}` at the end. If nobody reads the first line, nothing is sent. A fork ends itself at its time limit,
even if nobody waits for it any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
from importlib import import_module
from typing import Any

from apprise import NotifyFormat
from apprise.plugins import N_MGR
from apprise.plugins.email import NotifyEmail
from apprise.plugins.email import base as apprise_mail
from apprise.plugins.irc import NotifyIRC
from apprise.utils.parse import is_email

from rollout.announcing import destination
from rollout.announcing.attempt import Delivered, Job, Outcome, Sending, why
from rollout.announcing.witness import Witness

LONGEST_SAID = 600
irc = import_module("plugins.module_utils.rollout_host.chat.irc")  # the modules' own client


def main() -> int:
    """Fork for every connection that comes, until their sender is gone; return 0."""
    N_MGR.load_modules()  # type: ignore[no-untyped-call]  # all services, once and not in every fork
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(fileno=0) as line:
        while descriptors := socket.recv_fds(line, 1, 1)[1]:
            if os.fork() == 0:
                try:
                    serve(socket.socket(fileno=descriptors[0]))
                finally:
                    os._exit(0)
            os.close(descriptors[0])
    return 0


def serve(connection: socket.socket) -> None:
    """Read one job from a connection, do it, and answer there."""
    with connection.makefile() as asked:
        job = Job(**json.loads(asked.readline()))
    signal.setitimer(signal.ITIMER_REAL, job.timeout_seconds)

    def say(**what: Any) -> None:
        try:
            connection.sendall(json.dumps(what).encode() + b"\n")
        except OSError:  # nobody is there any more who would record it
            os._exit(1)

    done = posted(job, Sending(lambda: say(sending=True)))
    say(outcome=done.outcome, said=done.said)


def posted(job: Job, sending: Sending) -> Delivered:
    """Post the text of a job; return its outcome without any secret. A job that is wrong is rejected."""
    try:
        made = destination.service(job.url, job.timeout_seconds)
        _check(job, made)
    except destination.BadUrlError as error:
        return Delivered(Outcome.NOT_SENT, f"refused, nothing was sent: {error}")
    if job.loopback_only:
        destination.stay_on_loopback()
    try:
        done = (_by_irc if isinstance(made, NotifyIRC) else _by_apprise)(job, made, sending)
    except Exception as error:  # whatever it was: what is known is whether it may be out
        done = Delivered(sending.failed, f"{type(error).__name__}: {why(error)}")
    said = done.said
    for secret in destination.secrets(made):
        said = said.replace(secret, "****")
    return Delivered(done.outcome, " ".join(said.split())[:LONGEST_SAID])


def _check(job: Job, made: Any) -> None:
    """Raise BadUrlError for a text that could not arrive as it is; the reason quotes nothing of the URL."""
    title, body = job.title, job.body.rstrip()
    if job.loopback_only:
        destination.check_loopback(made)
    if not body:
        raise destination.BadUrlError("the text is empty")
    if not title.isprintable():
        raise destination.BadUrlError("a title is one line")
    if title and not destination.takes_title(made):
        raise destination.BadUrlError("this channel takes no title")
    if isinstance(made, NotifyEmail) and job.to and not is_email(job.to):  # type: ignore[no-untyped-call]
        raise destination.BadUrlError(f"{job.to!r} is no mail address")
    if isinstance(made, NotifyIRC):
        if not body.isprintable():
            raise destination.BadUrlError("on IRC a text is one line")
        return  # how long it may be depends on our name there
    for what, text, longest in (("title", title, made.title_maxlen), ("text", body, made.body_maxlen)):
        if len(text) > longest:
            raise destination.BadUrlError(f"the {what} has {len(text)} characters, the channel takes {longest}")


def _by_apprise(job: Job, made: Any, sending: Sending) -> Delivered:
    """Post with Apprise's own client, watched. Every attempt at a text has the same key for servers and readers."""
    known_by = hashlib.sha256(job.key.encode()).hexdigest()[:32]
    witness = Witness(sending, known_by if destination.repeatable_seconds(made) else "")
    witness.watch()
    if isinstance(made, NotifyEmail):
        domain = str(made.from_addr[1]).rpartition("@")[2]
        apprise_mail.make_msgid = lambda **_: f"<{known_by}@{domain}>"  # type: ignore[attr-defined]
        made.targets = [(False, job.to)] if job.to else made.targets
    return witness.verdict(ok=bool(made.notify(title=job.title, body=job.body, body_format=NotifyFormat.TEXT)))


def _by_irc(job: Job, made: NotifyIRC, sending: Sending) -> Delivered:
    """Say the text on IRC with our own client: Apprise's reports success on a refused channel or a dead connection.

    Apprise goes on when JOIN is refused; after PRIVMSG it reads for 0.75 s and looks at nothing but PING. A server
    answers in order, so any answer to our message comes before its answer to our PING.
    """
    try:
        with irc.IrcChannel(destination.irc_options(made, job.timeout_seconds)) as channel:
            channel.say(job.body.rstrip(), sending)
            alone = " (nobody else is there)" if channel.alone else ""
            return Delivered(Outcome.SENT, f"said in {channel.name}{alone}")
    except irc.NotSaid as error:
        return Delivered(Outcome.NOT_SENT, _sentence(error))
    except irc.IrcError as error:
        return Delivered(sending.failed, _sentence(error))


def _sentence(error: Exception) -> str:
    """Return an error's text without its `E-` code."""
    return str(error).partition("  ")[2].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
