"""A real service of each kind, for the contract that all kinds keep: how it is made, switched by hand and looked at."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from plugins.module_utils.rollout_core.site import cron_switch
from tests.modules.systemd_user import Systemd

TOKEN = "t0ken-of-the-vault"  # noqa: S105
CRON = "; by hand\r\n[DEFAULT]\nenabled = True\n[expire]\n[publish]\nEnabled: yes\n"
# What stops and starts a daemon, as a service manager does: it is nobody's child.
CONTROL = """
import os, signal, subprocess, sys
pid = sys.argv[2]
def alive():
    try:
        os.kill(int(open(pid).read()), 0)
        return True
    except (OSError, ValueError):
        return False
if sys.argv[1] == "start" and not alive():
    subprocess.Popen(["setsid", "-f", "sh", "-c", 'echo $$ > "$0"; exec sleep 1000', pid])
    while not alive():
        pass
elif sys.argv[1] == "stop" and alive():
    os.kill(int(open(pid).read()), signal.SIGKILL)
    while alive():
        pass
elif sys.argv[1] == "check":
    print("up" if alive() else "down")
    sys.exit(0 if alive() else 3)
"""


class Sample:
    """One service: `entry` as the inventory has it; `state()` is everything of it that has to come back."""

    entry: dict[str, Any]

    def by_hand(self, *, paused: bool) -> None:
        """Switch it as a person does."""
        raise NotImplementedError

    def state(self) -> Any:
        raise NotImplementedError

    def at_work(self) -> bool:
        """Return True while it works, in a way that the adapter has no part in."""
        raise NotImplementedError

    def close(self) -> None:
        """End what it needed."""


class UnitSample(Sample):
    def __init__(self, systemd: Systemd) -> None:
        self.systemd = systemd
        systemd.unit("sample.service", "[Service]\nExecStart=/bin/sleep 1000\n")
        self.by_hand(paused=False)
        self.entry = {"kind": "systemd", "unit": "sample.service", "systemctl": systemd.systemctl}

    def by_hand(self, *, paused: bool) -> None:
        self.systemd.ask("stop" if paused else "start", "sample.service")

    def state(self) -> Any:
        return self.systemd.ask("show", "--property", "ActiveState,SubState,UnitFileState", "sample.service")

    def at_work(self) -> bool:
        pid = self.systemd.ask("show", "--property", "MainPID", "--value", "sample.service")
        return pid != "0" and Path(f"/proc/{pid}").exists()

    def close(self) -> None:
        self.by_hand(paused=True)


class CommandSample(Sample):
    def __init__(self, directory: Path) -> None:
        self.pid = directory / "pid"
        control = directory / "control.py"
        control.write_text(CONTROL)
        argv = {name: [sys.executable, str(control), name, str(self.pid)] for name in ("start", "stop", "check")}
        self.entry = {"kind": "command", **argv}
        self.by_hand(paused=False)

    def by_hand(self, *, paused: bool) -> None:
        subprocess.run(self.entry["stop" if paused else "start"], check=True, timeout=60)

    def state(self) -> Any:
        return self.at_work()

    def at_work(self) -> bool:
        return self.pid.exists() and Path(f"/proc/{self.pid.read_text().strip()}/exe").exists()

    def close(self) -> None:
        self.by_hand(paused=True)


class CronSample(Sample):
    def __init__(self, directory: Path) -> None:
        self.path = directory / "cron.ini"
        self.path.write_bytes(CRON.encode())
        self.entry = {"kind": "cron", "path": str(self.path)}

    def by_hand(self, *, paused: bool) -> None:
        self.path.write_text("[DEFAULT]\nenabled = False\n" if paused else CRON)

    def state(self) -> Any:
        return (sorted(each.name for each in self.path.parent.iterdir()), self.path.read_bytes())

    def at_work(self) -> bool:
        return cron_switch.enabled(self.path.read_text(), "expire")


class FileSample(Sample):
    """A flag or a banner; a banner has said something else before."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.path = directory / kind
        self.entry = {"kind": kind, "path": str(self.path), "text": "Back at 09:30" if kind == "banner" else None}
        if kind == "banner":
            self.by_hand(paused=False)

    def by_hand(self, *, paused: bool) -> None:
        self.path.unlink(missing_ok=True)
        if paused:
            self.path.write_text("Back at 09:30\n")
        elif self.entry["kind"] == "banner":
            self.path.write_bytes(b"We move \xff in May")
            self.path.chmod(0o640)

    def state(self) -> Any:
        return (
            self.path.exists() and (self.path.read_bytes(), self.path.stat().st_mode),
            [*self.path.parent.iterdir()],
        )

    def at_work(self) -> bool:
        there = self.path.exists()
        return not there or (self.entry["kind"] == "banner" and b"Back" not in self.path.read_bytes())


class HttpSample(Sample):
    """A server of feature flags on loopback, which wants the token."""

    def __init__(self, _: Path) -> None:
        self.flag: dict[str, Any] = {"name": "sign-ups", "enabled": True, "percent": 35}
        self.seen: list[tuple[str, str]] = []
        sample = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                sample.seen.append((self.command, self.path))
                allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
                if allowed and self.command == "PUT":
                    sample.flag.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                content = json.dumps(sample.flag if allowed else {}).encode()
                self.send_response(200 if allowed else 403)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.server.server_port}/api/flags/sign-ups"
        self.entry = {"kind": "http", "url": url, "token": TOKEN, "paused": {"enabled": False, "percent": 0}}

    def by_hand(self, *, paused: bool) -> None:
        self.flag.update({"enabled": not paused, "percent": 0 if paused else 35})

    def state(self) -> Any:
        return dict(self.flag)

    def at_work(self) -> bool:
        return bool(self.flag["enabled"])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def sample(kind: str, directory: Path, systemd: Systemd | None = None) -> Iterator[Sample]:
    """Make the sample of that kind, which is at work."""
    directory.mkdir(exist_ok=True)
    if kind == "systemd":
        assert systemd
        made: Sample = UnitSample(systemd)
    elif kind in ("flag", "banner"):
        made = FileSample(directory, kind)
    else:
        made = {"command": CommandSample, "cron": CronSample, "http": HttpSample}[kind](directory)
    made.entry["name"] = f"the {kind}"
    try:
        yield made
    finally:
        made.close()
