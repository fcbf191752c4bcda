"""The lab's mail server: it takes mail for everybody from who has the password, and keeps each one as a file.

Run as `python -m lab.smtp ADDRESS PORT DIRECTORY`. DIRECTORY holds `password` (of LOGIN) and `mails/0001.eml`, …: the
mail as it came, below the envelope as a mail server writes it down (Return-Path, one Delivered-To a recipient).
"""

import asyncio
import secrets
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from lab.layout import Lab

LOGIN = "rollout"


def make(lab: Lab) -> None:
    """Give a new lab its mail server's password."""
    (lab.mail / "mails").mkdir(parents=True)
    password = lab.mail / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(12) + "\n")


class Keeper:
    """Keeps every mail that comes, and checks who may send."""

    def __init__(self, directory: Path) -> None:
        """Continue the numbers of the mails in the directory."""
        self.mails = directory / "mails"
        self.password = (directory / "password").read_text().strip().encode()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Write the mail to disk before it is acknowledged."""
        number = sum(1 for _ in self.mails.glob("*.eml")) + 1
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        part = self.mails / f"{number:04}.part"
        part.write_bytes("".join(f"{line}\r\n" for line in lines).encode() + (envelope.original_content or b""))
        part.replace(part.with_suffix(".eml"))
        return f"250 2.0.0 Ok: queued as {number:04}"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, auth_data: object
    ) -> AuthResult:
        """Check the password of LOGIN, by one of two mechanisms; handled=False lets the server refuse."""
        right = (
            mechanism in ("LOGIN", "PLAIN")
            and isinstance(auth_data, LoginPassword)
            and secrets.compare_digest(auth_data.login, LOGIN.encode())
            and secrets.compare_digest(auth_data.password, self.password)
        )
        return AuthResult(success=right, handled=False)


async def serve(address: str, port: int, directory: Path) -> None:
    """Serve for ever. The lab has no TLS, so the password is sent in the clear, on loopback."""
    keeper = Keeper(directory)
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            keeper,
            hostname="mail.lab.example",
            ident="lab",
            authenticator=keeper.authenticate,
            auth_required=True,
            auth_require_tls=False,
            loop=loop,
        )

    server = await loop.create_server(protocol, address, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
