"""The web server of one application host: `docroot/` and the front page of its current tree.

That is the tree to which ~/srv/launchpad/current led when the server started or got its last SIGHUP. Like a real
application server it keeps a few connections to the database open and makes new ones when they are ended. While the
database refuses it, the front page is an honest 503. Every answer has the header X-Revision. After each load it writes
~/run/site.json, which `restart-site` waits for.
"""

import argparse
import contextlib
import importlib
import io
import itertools
import json
import logging
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg

from lab.external import LoopbackServer

log = logging.getLogger("lab.site")
IDLE_CONNECTIONS = 3
KEEP_INTERVAL = 1.0  # seconds between two looks at the idle connections
ERROR_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="/base.css"></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""


class Pool:
    """Idle database connections, filled up by `keep`; one that the server has ended is thrown away."""

    def __init__(self, dsn: str) -> None:
        """Begin without a connection; `dsn` is a libpq conninfo."""
        self.dsn = dsn
        self.idle: queue.LifoQueue[psycopg.Connection[Any]] = queue.LifoQueue()

    @contextlib.contextmanager
    def connection(self) -> Iterator["psycopg.Connection[Any]"]:
        """Yield a working connection, idle or new. Raises psycopg.OperationalError while the database refuses."""
        connection = self._take() or psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)
        try:
            yield connection
        finally:
            if connection.closed or self.idle.qsize() >= IDLE_CONNECTIONS:
                connection.close()
            else:
                self.idle.put(connection)

    def _take(self) -> "psycopg.Connection[Any] | None":
        while True:
            try:
                connection = self.idle.get_nowait()
            except queue.Empty:
                return None
            ended, _, _ = select.select([connection.fileno()], [], [], 0)  # an idle server only speaks to say goodbye
            if not ended:
                return connection
            connection.close()

    def keep(self) -> None:
        """Keep IDLE_CONNECTIONS open, for ever."""
        while True:
            with contextlib.suppress(psycopg.OperationalError), contextlib.ExitStack() as taken:
                for _ in range(IDLE_CONNECTIONS):
                    taken.enter_context(self.connection())
            time.sleep(KEEP_INTERVAL)


@dataclass(frozen=True)
class Tree:
    """An application tree as it was when it was loaded."""

    directory: Path
    revision: str
    app: ModuleType

    @classmethod
    def load(cls, current: Path) -> "Tree":
        """Return the tree that `current` leads to, with its application imported. Raises whatever is wrong with it."""
        directory = current.resolve(strict=True)
        argv = ["brz", "revno", "--tree", str(directory)]
        revision = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
        for name in [name for name in sys.modules if name.partition(".")[0] == "lp"]:
            del sys.modules[name]
        sys.path[0] = str(directory / "lib")
        importlib.invalidate_caches()
        return cls(directory, revision, importlib.import_module("lp.app"))


class Site(LoopbackServer):
    """The web server, its database connections and the tree it serves."""

    def __init__(self, address: tuple[str, int], home: Path, dsn: str, links: str) -> None:
        """Prepare to serve what is below `home` on `address`; `load`, `server_bind` and `server_activate` come next."""
        super().__init__(address, Handler, bind_and_activate=False)
        self.home = home
        self.links = links
        self.pool = Pool(dsn)
        self.tree: Tree | None = None
        self.loads = itertools.count(1)

    def load(self) -> None:
        """Load the current tree and say so in ~/run/site.json; if it cannot be loaded, every page is a 500."""
        problem = None
        try:
            self.tree = Tree.load(self.home / "srv" / "launchpad" / "current")
        except Exception as error:  # whatever the tree's code does when it is imported
            log.exception("cannot load the tree")
            self.tree, problem = None, f"{type(error).__name__}: {error}"
        state = {
            "pid": os.getpid(),
            "load": next(self.loads),
            "tree": str(self.tree.directory) if self.tree else None,
            "revision": self.tree.revision if self.tree else None,
            "problem": problem,
        }
        file = self.home / "run" / "site.json"
        file.with_suffix(".part").write_text(json.dumps(state), encoding="utf-8")
        file.with_suffix(".part").replace(file)
        log.info("loaded %s", state)

    def notice(self) -> str | None:
        """Return the text of +maintenancetime.txt; None without that file."""
        try:
            return (self.home / "srv" / "launchpad" / "+maintenancetime.txt").read_text(
                encoding="utf-8", errors="replace"
            )
        except FileNotFoundError:
            return None

    def front_page(self, tree: Tree | None) -> tuple[HTTPStatus, str]:
        """Return status and front page, or an honest error page in its place."""
        status, title, text = (
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "Something went wrong",
            "This page failed; its error is in the server's log.",
        )
        try:
            if tree is None:
                raise RuntimeError("no tree is loaded")
            with self.pool.connection() as connection, connection.cursor() as cursor:
                return HTTPStatus.OK, tree.app.front_page(cursor, self.links, tree.revision, self.notice())
        except psycopg.OperationalError as error:
            log.warning("no database: %s", error)
            status, title = HTTPStatus.SERVICE_UNAVAILABLE, "Launchpad is offline"
            text = "The database takes no connections at the moment. Please come back in a few minutes."
        except Exception:  # a bug in the tree, or a tree whose schema is not there (yet)
            log.exception("front page")
        return status, ERROR_PAGE.format(title=title, text=text)


class Handler(SimpleHTTPRequestHandler):
    """Answers GET and HEAD of the front page and of the files in docroot/."""

    server: Site

    def __init__(self, request: Any, client_address: Any, server: Site) -> None:
        """Answer one request from the tree that is loaded now."""
        self.tree = server.tree
        directory = self.tree.directory / "docroot" if self.tree else server.home / "nothing"
        super().__init__(request, client_address, server, directory=str(directory))

    def end_headers(self) -> None:
        """Add X-Revision to every answer."""
        self.send_header("X-Revision", self.tree.revision if self.tree else "none")
        super().end_headers()

    def send_head(self) -> Any:
        """Answer `/` with the front page, everything else with a file."""
        if self.path.partition("?")[0] not in ("/", "/index.html"):
            return super().send_head()
        status, page = self.server.front_page(self.tree)
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)


def main() -> None:
    """Read the command line, load the tree and serve."""
    parser = argparse.ArgumentParser(prog="lab.site", description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dsn", required=True, help="libpq conninfo without a password, which stands in ~/.pgpass")
    parser.add_argument("--links", required=True, help="where the external links of the front page point to")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    sys.dont_write_bytecode = True  # the tree is under version control
    sys.path.insert(0, "")  # the place of the tree's lib/
    site = Site((options.address, options.port), Path.home(), options.dsn, options.links)
    signal.signal(signal.SIGHUP, lambda *_: site.load())
    site.load()
    site.server_bind()  # not before: who can connect gets pages
    site.server_activate()
    threading.Thread(target=site.pool.keep, daemon=True).start()
    threading.Thread(target=site.serve_forever, daemon=True).start()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
