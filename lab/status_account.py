"""The lab's status account: the part of Mastodon's API for posting and reading, and a page that people can look at.

Run as `python -m lab.status_account ADDRESS PORT DIRECTORY`; DIRECTORY holds `token` and `statuses.json`, the posts.
As in Mastodon: who posts again with the same Idempotency-Key within an hour gets the earlier post; a post has 500
characters at most, in which a link counts as 23; answers are JSON, errors `{"error": …}`.
"""

import html
import json
import re
import secrets
import sys
import threading
import time
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from lab.external import LoopbackServer
from lab.layout import Lab

NAME = "launchpadstatus"
LONGEST, LINK = 500, "x" * 23
REMEMBERED_SECONDS = 3600  # an Idempotency-Key
STATUSES = "/api/v1/accounts/1/statuses"
VISIBILITIES = ("public", "unlisted", "private", "direct")
Status = dict[str, Any]


class ApiError(Exception):
    """An error that the API answers."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        """Hold the HTTP status and the reason."""
        super().__init__(text)
        self.status = status


def make(lab: Lab) -> None:
    """Give a new lab an account with a token and no posts."""
    lab.status_account.mkdir()
    token = lab.status_account / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_urlsafe(32) + "\n")
    (lab.status_account / "statuses.json").write_text("[]\n")


class Account:
    """The account's posts; each is on disk before it is answered."""

    def __init__(self, directory: Path, url: str) -> None:
        """Read token and posts from the files."""
        self.file, self.url = directory / "statuses.json", url
        self.token = (directory / "token").read_text().strip()
        self.posts: list[Status] = json.loads(self.file.read_text())
        self._alone = threading.Lock()

    def post(self, text: str, visibility: str, key: str) -> Status:
        """Add a post and return it, or the earlier one with that key. Raises ApiError."""
        counted = len(re.sub(r"https?://\S+", LINK, text))
        if not text.strip():
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation failed: Text can't be blank")
        if counted > LONGEST:
            raise ApiError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"Validation failed: Text character limit of {LONGEST} exceeded"
            )
        with self._alone:
            now = time.time()
            for post in reversed(self.posts):
                if key and post["key"] == key and now - post["at"] < REMEMBERED_SECONDS:
                    return post
            number = max(int(now * 1000) << 16, self.posts[-1]["id"] + 1 if self.posts else 0)
            post = {"id": number, "at": now, "text": text, "visibility": visibility, "key": key}
            self.posts.append(post)
            part = self.file.with_suffix(".part")
            part.write_text(json.dumps(self.posts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            part.replace(self.file)
            return post

    def shown(self, post: Status) -> Status:
        """Return a post as the API shows it; `content` is HTML."""
        paragraphs = html.escape(post["text"], quote=False).split("\n\n")
        return {
            "id": str(post["id"]),
            "created_at": datetime.fromtimestamp(post["at"], UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "visibility": post["visibility"],
            "sensitive": False,
            "spoiler_text": "",
            "uri": f"{self.url}/users/{NAME}/statuses/{post['id']}",
            "url": f"{self.url}/@{NAME}/{post['id']}",
            "content": "".join(f"<p>{text.replace(chr(10), '<br />')}</p>" for text in paragraphs),
            "account": self.owner(),
            "media_attachments": [],
            "mentions": [],
            "tags": [],
        }

    def owner(self) -> Status:
        """Return the account as the API shows it."""
        return {
            "id": "1",
            "username": NAME,
            "acct": NAME,
            "display_name": "Launchpad status",
            "url": f"{self.url}/@{NAME}",
        }

    def page(self) -> str:
        """Return the page that a visitor sees: the latest post first."""
        posts = "".join(
            f'<article><a href="{post["url"]}"><time>{post["created_at"]}</time></a>{post["content"]}</article>\n'
            for post in map(self.shown, reversed(self.posts))
        )
        head = '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Launchpad status</title>'
        return f"{head}\n<h1>@{NAME}</h1>\n{posts}</html>\n"


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    account: Account

    def do_GET(self) -> None:
        """Answer with the page, the posts, or the account."""
        path = self.path.partition("?")[0]
        source = re.fullmatch(r"/api/v1/statuses/(\d+)(/source)?", path)
        if path in ("/", f"/@{NAME}"):
            self._answer(HTTPStatus.OK, self.account.page().encode(), "text/html; charset=utf-8")
        elif path == STATUSES:
            self._api(lambda: [self.account.shown(post) for post in reversed(self.account.posts)])
        elif path == "/api/v1/accounts/verify_credentials":
            self._api(self._who)
        elif source:
            self._api(lambda: self._status(int(source[1]), as_written=bool(source[2])))
        else:
            self._error(ApiError(HTTPStatus.NOT_FOUND, "Record not found"))

    def do_POST(self) -> None:
        """Take a new post."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/v1/statuses":
            self._api(lambda: self._post(body))
        else:
            self._error(ApiError(HTTPStatus.NOT_FOUND, "Record not found"))

    def _post(self, body: bytes) -> Status:
        self._who()
        if self.headers.get_content_type() == "application/json":
            asked = json.loads(body)
        else:
            asked = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        visibility = asked.get("visibility") or "public"
        if visibility not in VISIBILITIES:
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "Validation failed: Visibility is not included in the list")
        key = self.headers.get("Idempotency-Key") or ""
        return self.account.shown(self.account.post(str(asked.get("status") or ""), visibility, key))

    def _status(self, number: int, *, as_written: bool) -> Status:
        post = next((post for post in self.account.posts if post["id"] == number), None)
        if post is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "Record not found")
        if as_written:
            self._who()
            return {"id": str(number), "text": post["text"], "spoiler_text": ""}
        return self.account.shown(post)

    def _who(self) -> Status:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self.account.token.encode()):
            raise ApiError(HTTPStatus.UNAUTHORIZED, "The access token is invalid")
        return self.account.owner()

    def _api(self, what: Any) -> None:
        try:
            self._answer(HTTPStatus.OK, json.dumps(what()).encode(), "application/json; charset=utf-8")
        except ApiError as error:
            self._error(error)
        except ValueError:
            self._error(ApiError(HTTPStatus.BAD_REQUEST, "Error occurred while parsing request parameters"))

    def _error(self, error: ApiError) -> None:
        self._answer(error.status, json.dumps({"error": str(error)}).encode(), "application/json; charset=utf-8")

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve for ever."""
    address, port, directory = sys.argv[1:]
    Handler.account = Account(Path(directory), f"http://{address}:{port}")
    LoopbackServer((address, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
