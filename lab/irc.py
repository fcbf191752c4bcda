"""The developers' IRC server: one channel that is always there, and its topic, which survives a restart.

It is the `irc` package's server, which knows little of topics; here they are answered as RFC 2812 says: 331, 332, 442,
and 005 with TOPICLEN. A client that quits is hung up on. Run as `python -m lab.irc ADDRESS PORT FILE`; FILE holds the
topic of CHANNEL, and `log` beside it what was said in channels: a line `TIME CHANNEL <NICK> TEXT` each.
"""

import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import irc.server
from irc.events import codes

from lab.layout import Lab

log = logging.getLogger("lab.irc")
CHANNEL = "#launchpad-dev"
TOPIC = "Launchpad development | 10.12 week 3 | lp:launchpad | https://dev.launchpad.net/"
LONGEST = 390  # bytes of topic


class Client(irc.server.IRCClient):
    """One client's connection."""

    server: "Server"

    def handle_nick(self, params: str) -> str | None:
        """Take the client's name; the welcome tells what the server can do."""
        new = not self.nick
        answer: str | None = super().handle_nick(params)
        if new:
            self.send_queue.insert(1, self._numeric("featurelist", f"TOPICLEN={LONGEST} CHANTYPES=# :are supported"))
        return answer

    def handle_join(self, params: str) -> None:
        """Join channels; tell the client the topic, if there is one, and who is there."""
        for name in params.partition(" ")[0].split(","):
            if not re.fullmatch(r"#[A-Za-z0-9_-]{1,49}", name):
                raise irc.server.IRCError.from_name("nosuchchannel", f"{self.nick} {name} :No such channel")
            channel = self.server.channels.setdefault(name, irc.server.IRCChannel(name, topic=""))
            channel.clients.add(self)
            self.channels[name] = channel
            for client in channel.clients:
                client.send_queue.append(f":{self.client_ident()} JOIN {name}")
            if channel.topic:
                self.send_queue.append(self._topic(channel))
            nicks = " ".join(client.nick for client in channel.clients)
            self.send_queue.append(self._numeric("namreply", f"= {name} :{nicks}"))
            self.send_queue.append(self._numeric("endofnames", f"{name} :End of NAMES list"))

    def handle_topic(self, params: str) -> str | None:
        """Tell the topic, or change it for everybody in the channel."""
        name, change, text = params.partition(" ")
        channel = self.server.channels.get(name)
        if channel is None or channel.name not in self.channels:
            raise irc.server.IRCError.from_name("notonchannel", f"{self.nick} {name} :You're not on that channel")
        if not change:
            return self._topic(channel)
        text = text[1:] if text.startswith(":") else text
        channel.topic = text.encode()[:LONGEST].decode(errors="ignore")
        self.server.keep(channel)
        log.info("%s set the topic of %s: %s", self.nick, name, channel.topic)
        for client in channel.clients:
            client.send_queue.append(f":{self.client_ident()} TOPIC {name} :{channel.topic}")
        return None

    def handle_privmsg(self, params: str) -> None:
        """Pass a message on, and log it if a channel takes it."""
        super().handle_privmsg(params)
        name, _, text = params.partition(" ")
        if name in self.server.channels:
            self.server.note(f"{name} <{self.nick}> {text.removeprefix(':')}")

    def handle_quit(self, params: str) -> None:
        """Tell everybody that the client quits, and close its connection."""
        super().handle_quit(params)
        self._send(f"ERROR :Closing link: {params.lstrip(':')}")
        raise self.Disconnect

    def _topic(self, channel: irc.server.IRCChannel) -> str:
        if not channel.topic:
            return self._numeric("notopic", f"{channel.name} :No topic is set")
        return self._numeric("currenttopic", f"{channel.name} :{channel.topic}")

    def _numeric(self, name: str, text: str) -> str:
        return f":{self.server.servername} {codes[name]} {self.nick} {text}"


class Server(irc.server.IRCServer):
    """The IRC server, with the file in which its channel's topic is kept."""

    def __init__(self, address: tuple[str, int], file: Path) -> None:
        """Listen; the topic is read from the file."""
        super().__init__(address, Client)
        self.file = file
        self.channels[CHANNEL] = irc.server.IRCChannel(CHANNEL, topic=file.read_text(encoding="utf-8"))

    def note(self, line: str) -> None:
        """Add a line to the log."""
        with self.file.with_name("log").open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")

    def keep(self, channel: irc.server.IRCChannel) -> None:
        """Write the topic of CHANNEL into the file."""
        if channel.name == CHANNEL:
            part = self.file.with_suffix(".part")
            part.write_text(channel.topic, encoding="utf-8")
            part.replace(self.file)


def make(lab: Lab) -> None:
    """Write the first topic of a new lab's channel."""
    lab.topic.parent.mkdir()
    lab.topic.write_text(TOPIC, encoding="utf-8")


def main() -> None:
    """Serve IRC for ever."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    address, port, file = sys.argv[1:]
    Server((address, int(port)), Path(file)).serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
