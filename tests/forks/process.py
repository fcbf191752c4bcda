"""A process that is started through a warm parent (parent.py), with what tests need of subprocess.Popen."""

from __future__ import annotations

import atexit
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from tests.forks.parent import ROOM, ROOM_BYTES

PROJECT = Path(__file__).resolve().parents[2]
PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by every Python, and not by what it starts


class Parent:
    """The one parent of a kind in this process. It ends when the socket is closed, as by the end of this process."""

    def __init__(self, kind: str) -> None:
        """Start it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forks.parent", str(theirs.fileno()), kind],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=PROJECT,
                env={**os.environ, ROOM: "." * ROOM_BYTES},
                pass_fds=[theirs.fileno()],
            )
        self._connection = ours
        self._turn = threading.Lock()

    @classmethod
    @functools.cache
    def of(cls, kind: str) -> Parent:
        """Return it, started if need be."""
        parent = cls(kind)
        atexit.register(parent.end)
        return parent

    def end(self) -> None:
        """End it; what it has started and still runs goes on."""
        self._connection.close()
        self._process.wait()

    def fork(self, request: Mapping[str, object], descriptors: list[int]) -> int:
        """Return the number of a new process."""
        with self._turn:
            socket.send_fds(self._connection, [json.dumps(request).encode()], descriptors)
            answer = self._connection.recv(64)
        assert answer, "the parent has ended: see its stderr"
        return int(answer)


class ForkedProcess:
    """A program, running. `returncode` is negative for a signal, None until the end has been asked for."""

    def __init__(
        self, kind: str, argv: Sequence[str | Path], stdin: bytes, environment: Mapping[str, str], cwd: Path | None
    ) -> None:
        """Start it, a program of a kind that a parent knows (`modules`, `runbook`), with these bytes on its stdin."""
        given = os.memfd_create("stdin")
        os.write(given, stdin)
        os.lseek(given, 0, os.SEEK_SET)
        (stdout, child_stdout), (stderr, child_stderr), (self._end, told) = os.pipe(), os.pipe(), os.pipe()
        ignored = [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
        request = {
            "argv": [str(word) for word in argv],
            "environment": dict(environment),
            "cwd": str(cwd or Path.cwd()),
            "ignored": [number for number in ignored if number not in PYTHONS_OWN],
            "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, [])],
        }
        passed = [given, child_stdout, child_stderr, told]
        try:
            self.pid = Parent.of(kind).fork(request, passed)
        finally:
            for descriptor in passed:
                os.close(descriptor)
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(stdout)
        self.stderr: IO[str] = os.fdopen(stderr)
        self._said: dict[IO[str], list[bytes]] = {self.stdout: [], self.stderr: []}

    def __del__(self) -> None:
        """Close what nobody has closed."""
        os.close(self._end)

    def poll(self) -> int | None:
        """Return how it has ended, None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return how it has ended, once it has. Raises subprocess.TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return all it has written, and whoever it left its stdout and stderr to. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for stream in self._said:
                if not stream.closed:
                    selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                left = None if until is None else max(0.0, until - time.monotonic())
                ready = selector.select(left)
                if not ready and left == 0:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
                for key, _ in ready:
                    data = os.read(key.fd, 65536)
                    self._said[key.fileobj].append(data)  # type: ignore[index]
                    if not data:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        stdout, stderr = (b"".join(said).decode() for said in self._said.values())
        return stdout, stderr

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._end, selectors.EVENT_READ)
                if selector.select(timeout):
                    said = os.read(self._end, 64)
                    assert said, "the parent has ended: see its stderr"
                    self.returncode = int(said)
        return self.returncode
