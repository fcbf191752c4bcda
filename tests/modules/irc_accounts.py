"""The lab's IRC server with accounts: SASL PLAIN, and a channel that takes its topic from operators only.

ngircd has no accounts. This one is called `rollout`; who has logged in is made an operator, as services do it, a moment
after joining. `python -m tests.modules.irc_accounts PORT FILE PASSWORD`.
"""

import base64
import sys
from pathlib import Path

import irc.server

from lab.irc import Client, Server


class Member(Client):
    """One connection: whether it negotiates, is logged in, is an operator, and what it is not told yet."""

    negotiates = logged_in = operator = False
    held: list[str] = []  # noqa: RUF012  replaced, never changed

    def handle_cap(self, params: str) -> str | None:
        """Offer SASL; the welcome waits for the end of the negotiation."""
        if params == "END":
            self.send_queue += self.held
            self.negotiates = False
            return None
        self.negotiates = True
        return f":{self.server.servername} CAP * {'LS' if params == 'LS' else 'ACK'} :sasl"

    def handle_authenticate(self, params: str) -> str:
        """Take PLAIN, then who it is."""
        if params == "PLAIN":
            return "AUTHENTICATE +"
        self.logged_in = base64.b64decode(params) == f"\0rollout\0{PASSWORD}".encode()
        said = "903 * :SASL authentication successful" if self.logged_in else "904 * :SASL authentication failed"
        return f":{self.server.servername} {said}"

    def handle_nick(self, params: str) -> str | None:
        """Hold the welcome back while it negotiates."""
        answer = super().handle_nick(params)
        if self.negotiates:
            self.held, self.send_queue = self.send_queue, []
        return answer

    def handle_topic(self, params: str) -> str | None:
        """Refuse a change from who is no operator, and then make who has logged in one."""
        if " " in params and not self.operator:
            name = params.partition(" ")[0]
            if self.logged_in:
                self.operator = True
                self.send_queue.append(f":ChanServ MODE {name} +o {self.nick}")
            raise irc.server.IRCError.from_name("chanoprivsneeded", f"{self.nick} {name} :You're not channel operator")
        return super().handle_topic(params)


if __name__ == "__main__":
    PASSWORD = sys.argv[3]
    server = Server(("127.0.0.1", int(sys.argv[1])), Path(sys.argv[2]))
    server.RequestHandlerClass = Member
    server.serve_forever(poll_interval=0.05)
