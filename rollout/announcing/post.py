"""`python -m rollout.announcing.post`: posts one text on one channel, and says what became of it.

It is told by one JSON object on stdin (rollout/announcing/delivery.py) and answers in JSON lines: `{"sending": true}`
before the first byte that may make a post, at last `{"outcome", "said"}`. At its time limit it ends itself, also when
nobody waits for it any more; if nobody reads the first line, nothing is sent.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from apprise import NotifyFormat
from apprise.plugins.email import NotifyEmail
from apprise.plugins.irc import NotifyIRC
from apprise.plugins.mastodon import NotifyMastodon
from apprise.utils.parse import is_email

from rollout.announcing import destination
from rollout.announcing.witness import NOT_SENT, SENT, UNKNOWN, NotLoopbackError, Seen, Witness, why

LONGEST_SAID = 600
Job = dict[str, Any]


def main() -> int:
    """Do it, and answer; 0 whatever became of it."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    job: Job = json.loads(sys.stdin.read())
    signal.setitimer(signal.ITIMER_REAL, job["timeout_seconds"])

    def say(**what: Any) -> None:
        try:
            answers.write(json.dumps(what) + "\n")
            answers.flush()
        except BrokenPipeError:  # nobody is there any more who would record it
            os._exit(1)

    seen = posted(job, lambda: say(sending=True))
    say(outcome=seen.outcome, said=seen.said)
    return 0


def posted(job: Job, say_sending: Callable[[], None]) -> Seen:
    """Post it; what is wrong with the job is a rejection too."""
    try:
        made = destination.service(job["url"], job["timeout_seconds"])
        _check(job, made)
    except destination.BadUrlError as error:
        return Seen(NOT_SENT, f"refused, nothing was sent: {error}")
    keyed = {"Idempotency-Key": known_by(job["key"])} if destination.repeatable_seconds(made) else {}
    witness = Witness(say_sending, job["loopback_only"], keyed)
    witness.watch()
    try:
        seen = _by_irc(job, made, witness) if isinstance(made, NotifyIRC) else _by_apprise(job, made, witness)
    except NotLoopbackError as error:
        seen = Seen(NOT_SENT, f"refused, nothing was sent: {error}")
    except Exception as error:  # whatever it was: what is known is whether it may be out
        seen = Seen(UNKNOWN if witness.sending else NOT_SENT, f"{type(error).__name__}: {why(error)}")
    return Seen(seen.outcome, _masked(seen.said, destination.secrets(made)))


def known_by(key: str) -> str:
    """What servers know every attempt by: the same for the same key, and nothing but hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _check(job: Job, made: Any) -> None:
    """Refuse what could not arrive as it is. Raises BadUrlError with the reason, nothing of the URL in it."""
    title, body = job["title"], job["body"].rstrip()
    if job["loopback_only"]:
        destination.check_loopback(made)
    if not body:
        raise destination.BadUrlError("the text is empty")
    if not title.isprintable():
        raise destination.BadUrlError("a title is one line")
    if title and not destination.takes_title(made):
        raise destination.BadUrlError("this channel takes no title")
    if isinstance(made, NotifyIRC):
        if not body.isprintable():
            raise destination.BadUrlError("on IRC a text is one line")
        return  # how long it may be depends on our name there
    for what, text, longest in (("title", title, made.title_maxlen), ("text", body, made.body_maxlen)):
        if len(text) > longest:
            raise destination.BadUrlError(f"the {what} has {len(text)} characters, the channel takes {longest}")


def _by_apprise(job: Job, made: Any, witness: Witness) -> Seen:
    """Apprise's own client. A mail's Message-ID comes from the key: who gets it twice has it once."""
    if isinstance(made, NotifyEmail):
        domain = str(made.from_addr[1]).rpartition("@")[2]
        module = importlib.import_module("apprise.plugins.email.base")
        module.make_msgid = lambda **_: f"<{known_by(job['key'])}@{domain}>"  # type: ignore[attr-defined]
        if job["to"]:
            if not is_email(job["to"]):  # type: ignore[no-untyped-call]
                return Seen(NOT_SENT, f"refused, nothing was sent: {job['to']!r} is no mail address")
            made.targets = [(False, job["to"])]
    ok = made.notify(title=job["title"], body=job["body"], body_format=NotifyFormat.TEXT)
    seen = witness.verdict(ok=bool(ok))
    if seen.outcome == SENT and isinstance(made, NotifyMastodon) and not witness.status_id:
        return Seen(UNKNOWN, f"{seen.said}, but no status is in the answer: is it a status account's server?")
    return seen


def _by_irc(job: Job, made: NotifyIRC, witness: Witness) -> Seen:
    """Our own client: Apprise's says yes to a channel that refuses, and on a connection that is dead.

    (It goes on when JOIN is refused, and after PRIVMSG it reads for 0.75 s and looks at nothing but PING. A server
    answers in order, so what it has to say of a message comes before its answer to our PING.)
    """
    irc = importlib.import_module("plugins.module_utils.rollout_host.chat.irc")
    witness.is_told()
    try:
        with irc.IrcChannel(destination.irc_options(made, job["timeout_seconds"])) as channel:
            channel.say(job["body"].rstrip(), witness.now_sending)
            return Seen(SENT, f"said in {channel.name}" + (" (nobody else is there)" if channel.alone else ""))
    except irc.NotSaid as error:
        return Seen(NOT_SENT, _sentence(error))
    except irc.IrcError as error:
        return Seen(UNKNOWN if witness.sending else NOT_SENT, _sentence(error))


def _sentence(error: Exception) -> str:
    return str(error).partition("  ")[2].rstrip(".")


def _masked(said: str, secrets: list[str]) -> str:
    for secret in secrets:
        said = said.replace(secret, "****")
    return " ".join(said.split())[:LONGEST_SAID]


if __name__ == "__main__":
    sys.exit(main())
