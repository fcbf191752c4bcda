"""One SSH host of the lab: public key login, and commands run as sshd runs them (`$SHELL -c COMMAND`, cwd = home).

Every connection serves many channels at once, so OpenSSH's ControlMaster works. As with sshd, a command without a
terminal outlives its client; one with a terminal gets SIGHUP when the client goes. Commands get the environment of this
process and nothing else: whoever starts it gives it a clean one (HOME, USER, LOGNAME, PATH, SHELL, LANG).
"""

import argparse
import base64
import contextlib
import fcntl
import io
import logging
import os
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

log = logging.getLogger("lab.ssh")
CHUNK = 32 * 1024


class Session:
    """One channel of a connection: at most one terminal and one command."""

    def __init__(self, channel: paramiko.Channel) -> None:
        """Hold a channel that was opened and has asked for nothing yet."""
        self.channel = channel
        self.environment = dict(os.environ)
        self.terminal: tuple[int, int] | None = None  # master, slave

    def allocate_terminal(self, term: str, columns: int, rows: int) -> None:
        """Open a pseudo terminal for the next command."""
        self.terminal = os.openpty()
        self.environment["TERM"] = term
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of the terminal, if there is one, in characters."""
        if self.terminal:
            fcntl.ioctl(self.terminal[0], termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def run(self, command: str | None) -> None:
        """Run `command` (None: an interactive shell) until its output ends, send its exit status, and close."""
        shell = self.environment["SHELL"]
        argv = [shell] if command is None else [shell, "-c", command]
        try:
            self._send_exit(self._run_on_terminal(argv) if self.terminal else self._run_on_pipes(argv))
        except OSError as error:  # no such shell or home, or the client has gone meanwhile
            log.warning("session ended early: %s", error)
        finally:
            with contextlib.suppress(OSError, EOFError):
                self.channel.close()

    def _run_on_pipes(self, argv: list[str]) -> int:
        pipe, home = subprocess.PIPE, self.environment["HOME"]
        process = subprocess.Popen(
            argv,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            bufsize=0,
            env=self.environment,
            cwd=home,
            start_new_session=True,
        )
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018
        in_background(self._feed, process.stdin)
        errors = in_background(self._pump, process.stderr, self.channel.sendall_stderr)
        self._pump(process.stdout, self.channel.sendall)
        errors.join()
        return process.wait()

    def _run_on_terminal(self, argv: list[str]) -> int:
        assert self.terminal is not None  # noqa: S101
        master, slave = self.terminal
        # setsid --ctty makes the terminal the controlling one, without running Python between fork and exec.
        argv = ["setsid", "--ctty", *argv]
        process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=self.environment, cwd=self.environment["HOME"]
        )
        os.close(slave)
        keyboard = io.FileIO(os.dup(master), "wb")

        def feed_then_hang_up() -> None:
            self._feed(keyboard)
            if self.channel.closed:
                process.send_signal(signal.SIGHUP)  # its death hangs up the rest of the session

        in_background(feed_then_hang_up)
        self._pump(io.FileIO(master, "rb"), self.channel.sendall)
        return process.wait()

    def _feed(self, sink: IO[bytes]) -> None:
        """Copy from client to command; when the client ends its side or disconnects, so does the command's input."""
        with sink, contextlib.suppress(OSError):  # the command has closed its stdin: the rest is not wanted
            while chunk := self.channel.recv(CHUNK):
                rest = memoryview(chunk)
                while rest:
                    rest = rest[sink.write(rest) :]

    def _pump(self, source: IO[bytes], send: Callable[[bytes], None]) -> None:
        """Copy from command to client, until the command ends (EIO on a terminal) or the client is gone."""
        with source, contextlib.suppress(OSError, EOFError):
            while chunk := source.read(CHUNK):
                send(chunk)

    def _send_exit(self, returncode: int) -> None:
        if returncode >= 0:
            self.channel.send_exit_status(returncode)
            return
        message = paramiko.Message()  # exit-signal (RFC 4254, 6.10), for which paramiko has no call
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(self.channel.remote_chanid)
        message.add_string("exit-signal")
        message.add_boolean(b=False)  # wants no reply
        message.add_string(signal.Signals(-returncode).name.removeprefix("SIG"))
        message.add_boolean(b=False)  # no core dump
        message.add_string("")
        message.add_string("")
        self.channel.transport._send_user_message(message)


class Connection(paramiko.ServerInterface):
    """What one connected client may do: log in as `user` with `key`, then open sessions."""

    def __init__(self, user: str, key: paramiko.PKey) -> None:
        """Hold who may log in; `user` is only a name in the SSH protocol: commands run as whoever runs this server."""
        self.user = user
        self.key = key
        self.sessions: dict[int, Session] = {}

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        """Return that public keys alone are allowed."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Accept the one key for the one user."""
        accepted = username == self.user and key == self.key
        log.info("%s publickey for %s: %s", "Accepted" if accepted else "Failed", username, key.fingerprint)
        return paramiko.AUTH_SUCCESSFUL if accepted else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        """Accept sessions, no tunnels."""
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(
        self,
        channel: paramiko.Channel,
        term: bytes,
        width: int,
        height: int,
        _pixelwidth: int,
        _pixelheight: int,
        _modes: bytes,
    ) -> bool:
        """Open a terminal for the next command."""
        self._session(channel).allocate_terminal(term.decode(), width, height)
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, _pixelwidth: int, _pixelheight: int
    ) -> bool:
        """Give the terminal the new size of the client's window."""
        self._session(channel).resize(width, height)
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        """Run a command."""
        text = command.decode(errors="surrogateescape")
        log.info("exec %.300s", text)
        in_background(self._run, channel, text)
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        """Run a shell."""
        in_background(self._run, channel, None)
        return True

    def _run(self, channel: paramiko.Channel, command: str | None) -> None:
        self._session(channel).run(command)
        self.sessions.pop(channel.get_id(), None)

    def _session(self, channel: paramiko.Channel) -> Session:
        return self.sessions.setdefault(channel.get_id(), Session(channel))


def in_background(work: Callable[..., None], *args: object) -> threading.Thread:
    """Start `work(*args)` in a thread that does not keep the server alive."""
    thread = threading.Thread(target=work, args=args, daemon=True)
    thread.start()
    return thread


def converse(client: socket.socket, host_key: paramiko.PKey, user: str, key: paramiko.PKey) -> None:
    """Serve one connection until it ends; its sessions run in threads of their own."""
    client.setsockopt(
        socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
    )  # else every short answer waits 40 ms for an acknowledgement
    transport = paramiko.Transport(client)
    transport.add_server_key(host_key)
    try:
        transport.start_server(server=Connection(user, key))
        channels: list[
            paramiko.Channel
        ] = []  # paramiko closes one that nobody holds; what the client wants of it are callbacks
        while transport.is_active():
            channel = transport.accept(60)
            channels = [each for each in (*channels, channel) if each and not each.closed]
    except (paramiko.SSHException, EOFError, OSError) as error:
        log.info("connection ended: %s", error)
    finally:
        transport.close()


def serve(address: str, port: int, host_key: paramiko.PKey, user: str, key: paramiko.PKey) -> None:
    """Accept connections for ever."""
    with socket.create_server((address, port), backlog=128) as listener:
        while True:
            client, _ = listener.accept()
            in_background(converse, client, host_key, user, key)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="lab.ssh_server", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True, help="the one user who may log in")
    parser.add_argument("--host-key", type=Path, required=True, help="Ed25519 private key of the host")
    parser.add_argument("--authorized-key", type=Path, required=True, help="the one public key that may log in")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # port probes are no errors
    kind, blob, *_ = options.authorized_key.read_text().split()
    serve(
        options.address,
        options.port,
        paramiko.Ed25519Key.from_private_key_file(str(options.host_key)),
        options.user,
        paramiko.PKey.from_type_string(kind, base64.b64decode(blob)),
    )


if __name__ == "__main__":
    main()
