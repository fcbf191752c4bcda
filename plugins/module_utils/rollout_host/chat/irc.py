"""A client for one channel of an IRC server: it reads and sets the topic (R15), or says a line.

It needs the library `irc`, and runs on the control machine. Everything has one deadline: a server that takes the
connection and says nothing counts as one that is not there. Text is bytes to IRC: bytes that are no UTF-8 become
surrogates, and go back as the same bytes.
"""

# mypy: allow-subclassing-any
# The library has no types.

from __future__ import annotations

import socket
import ssl
import time
from typing import Any, Callable

import irc.client
import irc.events
import jaraco.stream.buffer

REGISTERED = ("endofmotd", "nomotd")
NOT_REGISTERED = {
    "passwdmismatch": "E-irc-password",
    "yourebannedcreep": "E-irc-refused",
    "login_failed": "E-irc-password",
}
NICK_TAKEN = ("nicknameinuse", "unavailresource", "nickcollision")
NICK_REFUSED = ("erroneusnickname", "nonicknamegiven")
NICKS = 3  # how many are tried
OPERATOR_SECONDS, GOODBYE_SECONDS = 5.0, 2.0

# Servers have refusals of their own, such as 480 (+j), 489 (+S), 495 and 926; from 600 on most numbers are none.
ERRORS, OTHERS = range(400, 600), range(600, 1000)
NO_ERROR = {"nomotd"}  # the end of a welcome
LINE_BYTES = 512  # of a line of IRC, with its sender and its end
REFUSED = {"fail", *(irc.events.numeric.get(str(code), str(code)) for code in ERRORS)} - NO_ERROR


class IrcError(Exception):
    """An error on IRC; the text is the beginning of the module's message."""


class NotOperator(IrcError):  # noqa: N818  it is one
    """An error: the channel lets only operators change its topic."""


class NotSaid(IrcError):  # noqa: N818  nothing was said, for certain
    """An error: the server takes no message from us for this channel, or none of this length."""


class _Lines(jaraco.stream.buffer.DecodingLineBuffer):
    errors = "surrogateescape"


class _Connection(irc.client.ServerConnection):
    buffer_class = _Lines

    def encode(self, msg: str) -> bytes:
        return msg.encode("utf-8", "surrogateescape")


class _Reactor(irc.client.Reactor):
    connection_class = _Connection


class IrcChannel:
    """A channel that we have joined for the length of a `with` block."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Keep the `options` of the module irc_topic; nothing is connected yet."""
        self.options, self.name = options, options["channel"]
        self.server = f"{options['server']}:{options['port']}"
        self.deadline = time.monotonic() + float(options["timeout_seconds"])
        self.heard: list[irc.client.Event] = []
        self.members: set[str] = set()
        reactor = _Reactor()
        reactor.add_global_handler("all_events", lambda _connection, event: self.heard.append(event))
        self.reactor, self.connection = reactor, reactor.server()

    def __enter__(self) -> IrcChannel:
        """Connect, register and join. Raises IrcError."""
        try:
            self._register()
            self._join()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Quit, and wait until the server has heard it: then our nick is free again."""
        until = time.monotonic() + min(self._left(), GOODBYE_SECONDS)
        if self.connection.connected:
            self.connection.quit("done")
        while self.connection.connected and time.monotonic() < until:
            self._process()
        self.connection.disconnect()

    @property
    def longest(self) -> int | None:
        """Return how many bytes of topic the server takes; None if it does not say."""
        found = getattr(self.connection.features, "topiclen", None)
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    def topic(self) -> str:
        """Return the topic, "" if there is none. Raises IrcError."""
        self._send(f"TOPIC {self.name}")
        answer = self._wait("what the topic is", "currenttopic", "notopic", *REFUSED)
        if answer.type in REFUSED:
            raise IrcError(f"E-irc-channel  {self.server} does not tell the topic of {self.name}: {_said(answer)}.")
        return answer.arguments[-1] if answer.type == "currenttopic" else ""

    def set_topic(self, text: str) -> None:
        """Change the topic; `topic` tells what the server made of it. Raises NotOperator and IrcError."""
        self._send(f"TOPIC {self.name} :{text}")
        answer = self._wait("the new topic", "topic", *REFUSED)
        if answer.type == "chanoprivsneeded" and self.options["account"] and self._made_operator():
            self._send(f"TOPIC {self.name} :{text}")
            answer = self._wait("the new topic", "topic", *REFUSED)
        if answer.type == "chanoprivsneeded":
            nick = self.connection.get_nickname()
            raise NotOperator(
                f"E-irc-operator  {self.name} takes its topic from operators only (+t), and {nick} is none."
            )
        if answer.type in REFUSED:
            raise IrcError(f"E-irc-channel  {self.server} does not set the topic of {self.name}: {_said(answer)}.")

    def say(self, text: str, sending: Callable[[], None] = lambda: None) -> None:
        """Say one line in the channel, and return when the server has taken it; `sending` is called just before.

        Raises NotSaid when it is certain that nobody heard it, IrcError when nobody knows. A server answers in order,
        so what it has to say of a message comes before its answer to a PING after it.
        """
        line = f"PRIVMSG {self.name} :{text}"
        longest = LINE_BYTES - len(f":{self.connection.get_nickname()}!{'u' * 11}@{'h' * 63} \r\n")
        if len(line.encode()) > longest:
            room = longest - len(f"PRIVMSG {self.name} :".encode())
            raise NotSaid(f"E-irc-too-long  {self.name} takes {room} bytes a line; this text has {len(text.encode())}.")
        sending()
        self._send(line)
        self._send("PING rollout")
        answer = self._wait("that it has taken the message", "pong", *REFUSED)
        if answer.type != "pong":
            raise NotSaid(f"E-irc-refused  {self.server} does not take it for {self.name}: {_said(answer)}.")

    def _made_operator(self) -> bool:
        """Return True once services have made us an operator, which they do a moment after we join."""
        until = time.monotonic() + min(self._left(), OPERATOR_SECONDS)
        while time.monotonic() < until:
            while self.heard:
                event = self.heard.pop(0)
                if (
                    event.type == "mode"
                    and "o" in event.arguments[0]
                    and self.connection.get_nickname() in event.arguments
                ):
                    return True
            self._process()
        return False

    def _register(self) -> None:
        options = self.options
        password = options["password"] if options["account"] else options["server_password"]
        login = (
            {"sasl_login": options["account"], "password": password} if options["account"] else {"password": password}
        )
        try:
            self.connection.connect(
                options["server"], options["port"], options["nick"], connect_factory=self._connect, **login
            )
        except irc.client.ServerConnectionError as error:
            reason = error.__cause__ or error
            raise IrcError(f"E-irc-connection  {self.server} cannot be reached: {reason}.") from error
        for attempt in range(1, NICKS + 1):
            answer = self._wait("its welcome", *REGISTERED, *NOT_REGISTERED, *NICK_TAKEN, *NICK_REFUSED)
            if answer.type in REGISTERED:
                return
            if answer.type in NOT_REGISTERED:
                raise IrcError(f"{NOT_REGISTERED[answer.type]}  {self.server} does not let us in: {_said(answer)}.")
            if answer.type in NICK_REFUSED or attempt == NICKS:
                break
            self.connection.nick(options["nick"] + "_" * attempt)
        raise IrcError(f"E-irc-nick  {self.server} does not let us be called {options['nick']}: {_said(answer)}.")

    def _connect(self, address: tuple[str, int]) -> socket.socket:
        connected = socket.create_connection(address, self._left())
        if self.options["tls"]:
            connected = ssl.create_default_context().wrap_socket(connected, server_hostname=address[0])
        return connected

    def _join(self) -> None:
        """Join, and learn who is there. A server answers in order: what it says instead is said before its PONG.

        Not every server repeats in a PONG what was in the PING, so the one that belongs to this PING is waited for.
        """
        self._send(f"JOIN {self.name} {self.options.get('channel_key', '')}".rstrip())
        self._send("PING joined")
        noticed: list[str] = []
        joined = False
        while True:
            answer = self._wait("who is in the channel")
            if answer.type == "pong" and joined:
                return
            joined = joined or answer.type == "endofnames"
            if answer.type == "namreply":
                self.members.update(nick.lstrip("~&@%+") for nick in answer.arguments[-1].split())
            if answer.type in ("privnotice", "pubnotice") and "!" not in str(answer.source):
                noticed.append(_said(answer))  # the server itself says so, and perhaps nothing else
            told = noticed if answer.type == "pong" else [_said(answer)] if self._kept_out(answer) else []
            if told:
                raise IrcError(f"E-irc-channel  {self.server} does not let us into {self.name}: {'; '.join(told)}.")

    def _kept_out(self, event: irc.client.Event) -> bool:
        """Return True for what, after a JOIN, can only be a no to it."""
        code = str(irc.events.codes.get(event.type, event.type))
        number = int(code) if code.isascii() and code.isdigit() else 0
        named = [str(argument).lower() for argument in [event.target, *event.arguments]]
        if event.type == "kick":
            return self.connection.get_nickname() in event.arguments
        if event.type == "tryagain":
            return "join" in named
        if event.type == "fail" or number in OTHERS:
            return self.name.lower() in named or (event.type == "fail" and "join" in named)
        return event.type in REFUSED

    @property
    def alone(self) -> bool:
        """Return True if nobody else is in the channel: perhaps it only exists because we joined it."""
        return self.members <= {self.connection.get_nickname()}

    def _send(self, line: str) -> None:
        """Send a command, and forget what was heard before, which is no answer to it."""
        self.heard.clear()
        try:
            self.connection.send_raw(line)
        except irc.client.MessageTooLong as error:
            raise IrcError(
                f"E-topic-too-long  A line of IRC takes 512 bytes; this topic of {self.name} needs more."
            ) from error
        except irc.client.ServerNotConnectedError as error:
            raise self._lost() from error

    def _wait(self, what: str, *types: str) -> irc.client.Event:
        """Return the first event of one of the types, or of any if none is named.

        Raises IrcError if the server hangs up, and at the deadline.
        """
        while True:
            while self.heard:
                event = self.heard.pop(0)
                if event.type in ("error", "disconnect") and event.type not in types:
                    raise self._lost(_said(event))
                if event.type in types or not types:
                    return event
            if self._left() <= 0:
                raise IrcError(
                    f"E-irc-silent  {self.server} did not say {what} within {self.options['timeout_seconds']:g} s."
                )
            self._process()

    def _process(self) -> None:
        try:
            if getattr(self.connection.socket, "pending", int)():  # decrypted already: select would not tell
                self.connection.process_data()
            else:
                self.reactor.process_once(min(self._left(), 1.0))
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # the library takes a line for IRC
            raise IrcError(f"E-irc-line  {self.server} sent a line that is no IRC: {error}.") from error

    def _left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def _lost(self, said: str = "no connection") -> IrcError:
        return IrcError(f"E-irc-refused  {self.server} hung up: {said}.")


def _said(event: irc.client.Event) -> str:
    """Return the reason that the server gave."""
    reason = event.arguments or event.target  # the library's own login_failed has it as its target
    return (" ".join(reason) if isinstance(reason, list) else str(reason or "")).strip().rstrip(".") or str(event.type)
