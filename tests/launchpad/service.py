"""Enough of Launchpad's web service for launchpadlib's real client: a real HTTP server on loopback (R8).

What it describes and answers is in files beside this one; `Service.bugs` may be changed while it runs. Faults are told
by path: `Service.faults["/devel/bugs/2"] = 503`, or a callable that is given the handler.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
VERSION = "/devel/"
WADL = "application/vnd.sun.wadl+xml"


class Service(ThreadingHTTPServer):
    """The server: its `root` for launchpadlib, its `bugs`, its `faults`, and the `paths` that were asked for."""

    daemon_threads = True

    def __init__(self, wadl: str | None = None) -> None:
        """Listen on a free port. `wadl` describes the service instead of the file; `{root}` in it is the root."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = f"http://127.0.0.1:{self.server_port}/"
        self.bugs: dict[str, dict[str, Any]] = json.loads((HERE / "bugs.json").read_text())
        self.faults: dict[str, int | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.paths: list[str] = []
        self.wadl = (wadl or (HERE / "service.wadl").read_text()).replace("{root}", self.root + VERSION[1:])
        self.stopping = threading.Event()

    def tag(self, bug: int, *tags: str) -> None:
        """Give a bug other tags, as somebody does in a browser."""
        self.bugs.setdefault(str(bug), {"title": "Another"})["tags"] = list(tags)


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        fault = self.server.faults.get(self.path)
        if callable(fault):
            fault(self)
        elif fault is not None:
            self._answer(fault, "text/plain", "Out of order")
        elif self.path == VERSION and WADL in self.headers.get("Accept", ""):
            self._answer(200, WADL, self.server.wadl)
        elif self.path == VERSION:
            self._json({"resource_type_link": self._link("#service-root"), "bugs_collection_link": self._link("bugs")})
        elif self.path.startswith(VERSION + "bugs/"):
            self._bug(self.path.rpartition("/")[2])
        else:
            self._answer(404, "text/plain", "Not found")

    def _bug(self, number: str) -> None:
        bug = self.server.bugs.get(number)
        if bug is None or bug.get("private"):
            self._answer(404, "text/plain", f"Object: <BugSet>, name: '{number}'")
            return
        known = {"resource_type_link": self._link("#bug"), "self_link": self._link(f"bugs/{number}"), "id": int(number)}
        self._json({**known, "http_etag": '"1"', "private": False, **bug})

    def _link(self, path: str) -> str:
        return self.server.root + VERSION[1:] + path

    def _json(self, value: dict[str, Any]) -> None:
        self._answer(200, "application/json", json.dumps(value))

    def _answer(self, status: int, media_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the base class names it
        """Say nothing: a test that fails shows `paths`."""


@contextmanager
def running(wadl: str | None = None) -> Iterator[Service]:
    """A service that answers until the block is left."""
    service = Service(wadl)
    thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.stopping.set()
        service.shutdown()
        service.server_close()
        thread.join(10)
