"""The smoke_check module against real HTTP servers (R22)."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

HTML = "text/html; charset=utf-8"
CSS = "text/css"
PAGE = """<!DOCTYPE html><html><head><title>Launchpad</title>
<link rel="stylesheet" href="/base.css?v=2"><link REL="alternate Stylesheet" href="sub/extra.css">
<link rel="icon" href="/i.png">
</head><body><a href="{links}/wiki/#top">wiki</a> <a href="{links}/wiki/#end">again</a> <a href="/bugs">inside</a>
<a href="mailto:losas@example.com">mail</a> <a name="x">nothing</a>
<a href="{links}/moved?a=1&amp;b=2">moved</a></body></html>"""


class Server:
    """A web server on loopback: `pages` maps a path to (status, content type, content) or to a function."""

    def __init__(self) -> None:
        self.pages: dict[str, object] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(f"{self.command} {self.path}")
                page = server.pages.get(self.path, (404, HTML, "no such page"))
                if callable(page):
                    page(self)
                    return
                status, kind, content = page
                self.send_response(status)
                self.send_header("Location" if 300 <= status < 400 else "Content-Type", kind)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content.encode())

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def servers():
    """The site and the place its links lead to, both well."""
    site, links = Server(), Server()
    site.pages.update(
        {
            "/": (200, HTML, PAGE.format(links=links.url)),
            "/base.css?v=2": (200, CSS, "body { color: black }"),
            "/sub/extra.css": (200, "text/css; charset=utf-8", "p { margin: 0 }"),
        }
    )
    links.pages.update({"/wiki/": (200, HTML, "wiki"), "/moved?a=1&b=2": (302, "/wiki/", "")})
    yield site, links
    site.stop()
    links.stop()


@pytest.fixture
def smoke(run_module, servers):
    def run(*paths: str, **options):
        urls = [servers[0].url + path for path in paths or ("/",)]
        return run_module("smoke_check", {"urls": urls, "timeout_seconds": 5, **options}, env={"no_proxy": "127.0.0.1"})

    return run


def only_problem(result) -> tuple[str, str]:
    assert result["failed"]
    (problem,) = result["problems"]
    assert f"  {problem['what']} {problem['url']} {problem['found']}" in result["msg"]
    assert result["msg"].startswith(f"E-smoke  1 of {len(result['checks'])} checks found a problem on the site.\n")
    assert f"  Look at ({problem['what']}): " in result["msg"]
    return problem["what"], problem["found"]


def test_a_healthy_site(smoke, servers):
    site, links = servers
    result = smoke()
    assert not result["failed"], result["msg"]
    assert not result["changed"]
    assert result["counts"] == {"page": 1, "stylesheet": 2, "external link": 2}
    found = {one["url"]: (one["what"], one["found"]) for one in result["checks"]}
    assert found == {
        site.url + "/": ("page", f"200 text/html, {len(PAGE.format(links=links.url))} bytes"),
        site.url + "/base.css?v=2": ("stylesheet", "200 text/css, 21 bytes"),
        site.url + "/sub/extra.css": ("stylesheet", "200 text/css, 15 bytes"),
        links.url + "/wiki/": ("external link", "200 text/html"),
        links.url + "/moved?a=1&b=2": ("external link", "200 text/html"),
    }
    assert "GET /bugs" not in site.asked


def test_each_address_is_asked_once_for_several_pages(smoke, servers):
    site, links = servers
    site.pages["/again"] = site.pages["/"]
    result = smoke("/", "/again", "/")
    assert not result["failed"], result["msg"]
    assert result["counts"] == {"page": 2, "stylesheet": 2, "external link": 2}
    assert site.asked.count("GET /base.css?v=2") == 1
    assert sorted(links.asked)[:2] == ["GET /wiki/", "HEAD /moved?a=1&b=2"]  # a redirected HEAD goes on as GET


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ((503, HTML, "offline"), "answers 503"),
        ((200, "text/plain", PAGE), "is text/plain, not HTML"),
        ((200, HTML, " \n"), "is empty"),
        ((200, HTML, "<p>no stylesheet</p>"), "links no stylesheet"),
    ],
)
def test_a_page_that_is_not_well(smoke, servers, page, found):
    servers[0].pages["/"] = page
    assert only_problem(smoke()) == ("page", found)


@pytest.mark.parametrize(
    ("stylesheet", "found"),
    [
        ((404, HTML, "no such file"), "answers 404"),
        ((200, "text/html", "<p>Sorry!</p>"), "is text/html, not text/css"),
        ((200, CSS, "\n"), "is empty"),
    ],
)
def test_css_that_does_not_load(smoke, servers, stylesheet, found):
    servers[0].pages["/base.css?v=2"] = stylesheet
    assert only_problem(smoke()) == ("stylesheet", found)


def test_a_link_that_is_gone_is_named_with_its_page(smoke, servers):
    site, links = servers
    del links.pages["/wiki/"]
    result = smoke()
    assert result["failed"]
    assert [(one["url"], one["found"]) for one in result["problems"]] == [
        (links.url + "/wiki/", "answers 404"),
        (links.url + "/moved?a=1&b=2", "answers 404"),
    ]
    assert f"external link {links.url}/wiki/ answers 404 (on {site.url}/)" in result["msg"]


def test_a_server_that_knows_no_head_is_asked_with_get(smoke, servers):
    links = servers[1]
    links.pages["/wiki/"] = lambda handler: (
        handler.send_error(501) if handler.command == "HEAD" else handler.send_error(200)
    )
    assert not smoke()["failed"]
    assert "GET /wiki/" in links.asked


def test_links_that_cannot_be_asked(smoke, servers):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        site = servers[0]
        links = [nobody, "http://[half", "https:///nowhere"]
        anchors = "".join(f'<a href="{link}">x</a>' for link in links)
        site.pages["/"] = (200, HTML, f'<link rel=stylesheet href="base.css?v=2">{anchors}')
        result = smoke()
    assert result["failed"]
    assert [one["url"] for one in result["problems"]] == links
    assert "Connection refused" in result["problems"][0]["found"]
    assert all(one["found"].startswith("does not answer: ") for one in result["problems"])


def test_a_server_that_is_silent_or_never_ends_times_out(smoke, servers):
    site, links = servers
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", CSS)
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b"/* */")

    site.pages["/base.css?v=2"] = drip
    links.pages["/wiki/"] = lambda _: over.wait()
    try:
        result = smoke(timeout_seconds=0.5)
    finally:
        over.set()
    found = {one["url"]: one["found"] for one in result["problems"]}
    assert found == {
        site.url + "/base.css?v=2": "does not answer: its content takes too long",
        links.url + "/wiki/": "does not answer: timed out",
        links.url + "/moved?a=1&b=2": "does not answer: timed out",
    }


def test_links_as_browsers_take_them(smoke, servers):
    site, links = servers
    links.pages.update({"/%C3%A9": (200, HTML, "e"), "/a%20b?q=x%20y": (200, HTML, "blank")})
    anchors = f'<a href="{links.url}/é">e</a><a href="{links.url}/a b?q=x y">b</a>'
    site.pages["/"] = (200, HTML, f'<link rel=stylesheet href="base.css?v=2">{anchors}')
    result = smoke()
    assert not result["failed"], result["msg"]
    assert result["counts"]["external link"] == 2
    site.pages["/"] = (200, "text/html; charset=iso-8859-1", site.pages["/"][2])  # what comes is UTF-8: the header wins
    assert "/%C3%83%C2%A9" in str([smoke()["failed"], links.asked])


@pytest.mark.parametrize("path", ["/", "/base.css?v=2"])
@pytest.mark.parametrize(
    ("head", "body", "found"),
    [
        ({"Content-Length": "300"}, b"<p>half", "is cut off: 7 of 300 bytes"),
        ({"Content-Length": "300"}, b"", "is cut off: 0 of 300 bytes"),
        ({"Transfer-Encoding": "chunked"}, b"4\r\nhalf\r\n", "is cut off: it ends after 4 bytes, in a chunk"),
        ({"Transfer-Encoding": "chunked"}, b"ff\r\nhalf", "is cut off: it ends after 4 bytes, in a chunk"),
    ],
)
def test_what_is_cut_off(smoke, servers, path, head, body, found):
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        for name, value in {"Content-Type": HTML if path == "/" else CSS, **head}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    servers[0].pages[path] = cut
    assert only_problem(smoke()) == ("page" if path == "/" else "stylesheet", found)


def test_a_page_that_leads_to_another_host(smoke, servers):
    site, links = servers
    elsewhere = links.url.replace("127.0.0.1", "localhost")
    links.pages["/sorry"] = (200, HTML, f'<link rel="stylesheet" href="{site.url}/base.css?v=2">')
    site.pages["/"] = (302, f"{elsewhere}/sorry", "")
    assert only_problem(smoke()) == ("page", f"leads to another host: {elsewhere}/sorry")
    site.pages["/"] = (302, f"{links.url}/sorry", "")  # another port of the host
    assert not smoke()["failed"]


def test_a_page_cannot_make_us_read_files(smoke, servers):
    servers[0].pages["/"] = (302, "file:///etc/passwd", "")
    assert only_problem(smoke())[0] == "page"
    servers[0].pages["/"] = (200, HTML, '<link rel=stylesheet href="file:///etc/passwd">')
    assert only_problem(smoke()) == ("stylesheet", "does not answer: unknown url type: file")


def test_nothing_to_look_at_is_not_well(run_module):
    result = run_module("smoke_check", {"urls": []})
    assert result["failed"]
    assert result["msg"].startswith("E-smoke  There is no page to look at")
