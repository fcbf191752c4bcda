"""GitHub's, GitLab's and Forgejo's APIs of checks, as far as they are documented, on a real HTTP server of its own."""

from __future__ import annotations

import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY, TOKEN = "example/service", "secret-token-of-the-forge"
PAGE = 2  # so many objects an answer, whatever is asked for
PATHS = {"github": "/api/v3/", "gitlab": "/api/v4/", "forgejo": "/api/v1/"}
# A check that …, in the words of each.
WORDS = {
    "github": {
        "passes": "success",
        "fails": "failure",
        "runs": "in_progress",
        "waits": "queued",
        "is cut": "cancelled",
    },
    "gitlab": {"passes": "success", "fails": "failed", "runs": "running", "waits": "created", "is cut": "canceled"},
    "forgejo": {"passes": "success", "fails": "failure", "runs": "pending"},
}
Answer = Callable[[BaseHTTPRequestHandler], None]


class Forge:
    """One forge of a kind, with a repository. `report` is what its CI says; `answers` come before its own answers."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.checks: list[dict[str, Any]] = []
        self.logs: dict[int, str] = {}
        self.rerun: list[int] = []
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str | None]] = []  # path, and the token that came with it
        self.said_to_others: list[tuple[str, str | None]] = []  # the same, at the host that keeps the logs
        self.elsewhere = ""  # that host
        self.url = ""
        self._numbers = itertools.count(101)

    @property
    def api(self) -> str:
        return self.url + PATHS[self.kind]

    def report(self, name: str, does: str, sha: str, **more: Any) -> int:
        """The CI reports a check of a commit, `does` one of WORDS or the API's own word; gives its number."""
        number = next(self._numbers)
        word = WORDS[self.kind].get(does, does)
        self.checks.append({"id": number, "name": name, "word": word, "sha": sha, "job": True, "run": False, **more})
        return number

    def page(self, found: list[dict[str, Any]], query: dict[str, list[str]]) -> tuple[list[dict[str, Any]], int | None]:
        number = int(query.get("page", ["1"])[0])
        part = found[(number - 1) * PAGE : number * PAGE]
        return part, number + 1 if number * PAGE < len(found) else None

    def of(self, sha: str, *, runs: bool) -> list[dict[str, Any]]:
        """What was reported of a commit; for GitHub check runs, or statuses."""
        return [each for each in self.checks if each["sha"] == sha and each["run"] == runs]


class Handler(BaseHTTPRequestHandler):
    """Speaks the API of the server's `forge`."""

    protocol_version = "HTTP/1.1"

    @property
    def forge(self) -> Forge:
        return self.server.forge

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def token(self) -> str | None:
        authorization = (self.headers.get("Authorization") or "").partition(" ")[2]
        return self.headers.get("PRIVATE-TOKEN") or authorization or None

    def do_POST(self) -> None:
        self.handle_one()

    def do_GET(self) -> None:
        self.handle_one()

    def handle_one(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.forge.asked.append((self.path, self.token))
        if self.forge.answers:
            return self.forge.answers.pop(0)(self)
        if self.token != TOKEN:
            return self.say(401, {"message": "Bad credentials"})
        url = urlsplit(self.path)
        parts = url.path.removeprefix(PATHS[self.forge.kind]).split("/")
        return getattr(self, self.forge.kind)([unquote(part) for part in parts], parse_qs(url.query))

    def say(self, code: int, document: Any, **headers: str) -> None:
        content = json.dumps(document).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def listed(
        self, found: list[dict[str, Any]], query: dict[str, list[str]], whole: Callable[[list[Any]], Any]
    ) -> None:
        part, following = self.forge.page(found, query)
        path = urlsplit(self.path).path
        link = f'<{self.forge.url}{path}?page={following}>; rel="next", <{self.forge.url}{path}?page=9>; rel="last"'
        self.say(200, whole(part), **({"Link": link} if following else {}))

    def github(self, parts: list[str], query: dict[str, list[str]]) -> None:
        match parts:
            case ["repos", "example", "service", "commits", sha, "check-runs"]:
                found = self.forge.of(sha, runs=True)
                self.listed(found, query, lambda part: {"total_count": len(found), "check_runs": [*map(run, part)]})
            case ["repos", "example", "service", "commits", sha, "status"]:
                latest = {each["name"]: each for each in self.forge.of(sha, runs=False)}
                whole = {"state": "pending", "sha": sha, "total_count": len(latest)}
                self.listed([*latest.values()], query, lambda part: {**whole, "statuses": [*map(status, part)]})
            case ["repos", "example", "service", "actions", "jobs", number, "logs"]:
                there = int(number) in self.forge.logs
                self.say(
                    302 if there else 404,
                    {"message": "Not Found"},
                    Location=f"{self.forge.elsewhere}/{number}?signature=x",
                )
            case ["repos", "example", "service", "actions", "jobs", number, "rerun"]:
                self.forge.rerun.append(int(number))
                self.say(201, {})
            case _:
                self.say(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"})

    def gitlab(self, parts: list[str], query: dict[str, list[str]]) -> None:
        match parts:
            case ["projects", "example/service", "repository", "commits", sha, "statuses"]:
                self.listed(
                    self.forge.of(sha, runs=False), query, lambda part: [job(self.forge, each) for each in part]
                )
            case ["projects", "example/service", "jobs", number, "trace"]:
                content = self.forge.logs[int(number)].encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            case ["projects", "example/service", "jobs", number, "retry"]:
                self.forge.rerun.append(int(number))
                self.say(201, {"id": int(number) + 1, "status": "pending"})
            case _:
                self.say(404, {"message": "404 Project Not Found"})

    def forgejo(self, parts: list[str], query: dict[str, list[str]]) -> None:
        match parts:
            case ["repos", "example", "service", "commits", sha, "statuses"]:
                found = [{**status(each), "status": each["word"]} for each in self.forge.of(sha, runs=False)]
                for each in found:
                    del each["state"]
                    each["url"] = f"{self.forge.url}/api/v1/repos/example/service/statuses/{sha}"
                self.listed(found, query, list)
            case _:
                self.say(404, {"message": "The target couldn't be found.", "url": f"{self.forge.url}/api/swagger"})


class LogHandler(Handler):
    """The other host, on which GitHub keeps logs."""

    def handle_one(self) -> None:
        self.forge.said_to_others.append((self.path, self.token))
        content = self.forge.logs[int(urlsplit(self.path).path.strip("/"))].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def run(each: dict[str, Any]) -> dict[str, Any]:
    """A check run of GitHub."""
    done = each["word"] not in ("queued", "in_progress", "waiting", "requested", "pending")
    return {
        "id": each["id"],
        "name": each["name"],
        "head_sha": each.get("head_sha", each["sha"]),
        "status": "completed" if done else each["word"],
        "conclusion": each["word"] if done else None,
        "started_at": "2026-12-07T08:00:00Z",
        "completed_at": "2026-12-07T08:02:05Z" if done else None,
        "html_url": each.get("url", f"https://github.example/{REPOSITORY}/actions/runs/1/job/{each['id']}"),
        "details_url": "https://ci.example/",
        "output": {"title": each.get("said"), "summary": None, "text": None},
        "app": {"slug": "github-actions" if each["job"] else "another-app"},
    }


def status(each: dict[str, Any]) -> dict[str, Any]:
    """A commit status of GitHub."""
    return {
        "id": each["id"],
        "context": each["name"],
        "state": each["word"],
        "description": each.get("said"),
        "target_url": each.get("url", f"https://ci.example/{each['id']}"),
        "created_at": "2026-12-07T08:00:00Z",
        "updated_at": "2026-12-07T08:00:00Z",
    }


def job(forge: Forge, each: dict[str, Any]) -> dict[str, Any]:
    """A commit status of GitLab: a job, or what another CI reports."""
    done = each["word"] in ("success", "failed", "canceled", "skipped")
    path = f"/{REPOSITORY}/-/jobs/{each['id']}" if each["job"] else "/elsewhere"
    return {
        "id": each["id"],
        "sha": each["sha"],
        "ref": "main",
        "name": each["name"],
        "status": each["word"],
        "description": each.get("said"),
        "target_url": each.get("url", forge.url + path),
        "allow_failure": False,
        "created_at": "2026-12-07T08:00:00.000Z",
        "started_at": None if each["word"] == "created" else "2026-12-07T08:00:00.000Z",
        "finished_at": "2026-12-07T08:02:05.000Z" if done else None,
    }


@contextmanager
def serving(kind: str) -> Iterator[Forge]:
    """A forge of that kind, on loopback."""
    forge = Forge(kind)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), each) for each in (Handler, LogHandler)]
    for server in servers:
        server.forge = forge
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    forge.url, forge.elsewhere = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield forge
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@contextmanager
def serving_tls(forge: Forge, certificate: Path) -> Iterator[str]:
    """The same forge once more, with that certificate for localhost; gives the address of its API."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.forge = forge
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"https://localhost:{server.server_port}{PATHS[forge.kind].rstrip('/')}"
    finally:
        server.shutdown()
        server.server_close()
