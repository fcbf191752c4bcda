"""The lab's IRC server with one fault: `python -m tests.modules.irc_faults PORT FILE FAULT` (announcing_faults.yml)."""

import sys
import time
from pathlib import Path

import irc.server

from lab.irc import Client, Server


class Member(Client):
    """One connection."""

    def handle_join(self, params: str) -> None:
        """Come in, or not."""
        if FAULT == "refuses to let us in":
            raise irc.server.IRCError.from_name("bannedfromchan", f"{self.nick} {params} :Cannot join channel (+b)")
        super().handle_join(params)

    def handle_privmsg(self, params: str) -> str | None:
        """Say something, and see what comes of it."""
        name = params.partition(" ")[0]
        if FAULT == "takes no message from us":
            raise irc.server.IRCError.from_name("cannotsendtochan", f"{self.nick} {name} :Cannot send to channel")
        if FAULT == "refuses in words of its own":
            return f":{self.server.servername} FAIL PRIVMSG MSGNEEDREGGEDNICK {name} :You need to be identified"
        if FAULT.startswith("passes it on"):
            super().handle_privmsg(params)
        if FAULT.endswith("hangs"):
            time.sleep(3600)
        raise self.Disconnect


if __name__ == "__main__":
    FAULT = sys.argv[3]
    server = Server(("127.0.0.1", int(sys.argv[1])), Path(sys.argv[2]))
    server.RequestHandlerClass = Member
    server.serve_forever(poll_interval=0.05)
