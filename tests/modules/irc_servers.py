"""Real IRC servers for tests, on loopback, each in a process of its own, and a person who talks to one."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import eventually

PROJECT = Path(__file__).resolve().parents[2]
CHANNEL = "#launchpad-dev"
NGIRCD = shutil.which("ngircd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def need_ngircd() -> str:
    """The path of Debian's ngircd. Without it the test is left out by name, and in CI it fails."""
    if NGIRCD is None and os.environ.get("CI") == "true":
        pytest.fail("ngircd is not installed: apt-get install ngircd (.ci/run does)")
    if NGIRCD is None:
        pytest.skip("left out: a real ngircd (apt-get install ngircd)")
    return NGIRCD


@contextmanager
def running(argv: list[str], port: int, log: Path) -> Iterator[int]:
    """A server's process, which listens; gives its port."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output, cwd=PROJECT)
    try:
        eventually(lambda: process.poll() is not None or _answers(port), f"{argv[0]} on port {port}")
        assert process.poll() is None, log.read_text()
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def lab_server(directory: Path, topic: str) -> Iterator[int]:
    """The lab's server, with a topic in its channel."""
    port = free_port()
    (directory / "topic").write_text(topic)
    argv = [sys.executable, "-m", "lab.irc", "127.0.0.1", str(port), str(directory / "topic")]
    with running(argv, port, directory / "irc.log"):
        yield port


@contextmanager
def server_with_accounts(directory: Path, topic: str, password: str) -> Iterator[int]:
    """The lab's server, with SASL PLAIN: only who logs in as `rollout` is made an operator, a moment after joining."""
    port = free_port()
    (directory / "topic").write_text(topic)
    argv = [sys.executable, "-m", "tests.modules.irc_accounts", str(port), str(directory / "topic"), password]
    with running(argv, port, directory / "irc.log"):
        yield port


@contextmanager
def ngircd(
    directory: Path, *, modes: str = "nP", topic: str = "", options: str = "", name: str = "irc.example.com"
) -> Iterator[int]:
    """Debian's ngircd, with the channel; `options` are more lines of its [Global] and sections after it."""
    program, port = need_ngircd(), free_port()
    lines = [
        *("[Global]", f"Name = {name}", "Info = test", "Listen = 127.0.0.1", f"Ports = {port}", options),
        *("[Options]", "PAM = no", "DNS = no", "Ident = no"),
        *("[Limits]", "MaxPenaltyTime = 0"),  # otherwise each command of a client costs it a second
        *("[Channel]", f"Name = {CHANNEL}", f"Modes = {modes}", *([f"Topic = {topic}"] if topic else [])),
    ]
    config = directory / "ngircd.conf"
    config.write_text("\n".join(lines) + "\n")
    with running([program, "-n", "-f", str(config)], port, directory / "ngircd.log"):
        yield port


class Person:
    """Somebody in the channel."""

    def __init__(self, port: int, nick: str = "jml", channel: str | None = CHANNEL) -> None:
        """Come in and stay until `close`."""
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.lines = self.socket.makefile("rb")
        self.send(f"NICK {nick}", f"USER {nick} 0 * :{nick}")
        self.hear(rb" (376|422) ")
        if channel:
            self.send(f"JOIN {channel}")
            self.hear(rb" 366 ")

    def send(self, *lines: str | bytes) -> None:
        """Say something to the server."""
        for line in lines:
            self.socket.sendall((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def hear(self, pattern: bytes) -> bytes:
        """The next line that matches."""
        while line := self.lines.readline():
            if line.startswith(b"PING"):
                self.send(line.replace(b"PING", b"PONG", 1).strip())
            if re.search(pattern, line):
                return line.rstrip(b"\r\n")
        raise AssertionError(f"the server hung up; {pattern!r} was expected")

    def topic(self) -> bytes:
        """The channel's topic."""
        self.send(f"TOPIC {CHANNEL}")
        return self.hear(rb" 33[12] ").partition(CHANNEL.encode() + b" :")[2]

    def set_topic(self, topic: str | bytes) -> None:
        """Change it."""
        self.send(f"TOPIC {CHANNEL} :".encode() + (topic.encode() if isinstance(topic, str) else topic))
        self.hear(b" TOPIC " + CHANNEL.encode())

    def close(self) -> None:
        """Go."""
        self.lines.close()
        self.socket.close()
