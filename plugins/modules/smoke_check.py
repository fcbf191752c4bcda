#!/usr/bin/python
"""Look at the site as a visitor's browser does: pages, their stylesheets, their external links (R22)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: smoke_check
short_description: Check pages, the stylesheets they need and the external links they offer
description:
  - Each page must answer 200 with HTML and link stylesheets, whole, and from the host that was asked. Each stylesheet
    must answer 200 as C(text/css), whole, and not be empty. Each external link must answer below 400, to HEAD or else
    to GET.
  - Looks at everything, side by side, before it reports anything. Asks each address once.
  - Uses the environment's proxies, as any client does.
options:
  urls:
    description: The pages, such as the front page of the site and the same page of every application server.
    type: list
    elements: str
    required: true
  timeout_seconds:
    description: How long one address may take to answer, its content included.
    type: float
    default: 10
  workers:
    description: How many addresses are asked at the same time.
    type: int
    default: 16
extends_documentation_fragment: downtime.runbook.attributes.changes_nothing
author: The downtime runbook (@downtime-runbook)
"""

EXAMPLES = r"""
- name: Look at the site
  downtime.runbook.smoke_check:
    urls: ["https://launchpad.net/", "http://gac:8080/", "http://soybean:8080/"]
"""

RETURN = r"""
checks:
  description: Everything that was looked at. C(what) is C(page), C(stylesheet) or C(external link).
  returned: always
  type: list
  elements: dict
  sample: [{what: stylesheet, url: "http://gac:8080/base.css", ok: true, found: "200 text/css, 812 bytes", pages: ["http://gac:8080/"]}]
problems:
  description: The checks that are not ok.
  returned: always
  type: list
  elements: dict
counts:
  description: How many of each kind were looked at.
  returned: always
  type: dict
  sample: {page: 3, stylesheet: 6, external link: 41}
"""

import http.client
import re
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Mapping, NamedTuple, Sequence

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.rollout_core.site import pages

LARGEST = 10 * 1024 * 1024  # bytes of one page or stylesheet; nothing on a front page is larger
WHATS = ("page", "stylesheet", "external link")
LOOK = {
    "page": "the site's log on that host; what is served:  restart it, or undo the switch of the tree",
    "stylesheet": "whether docroot/ of the served tree has it, and the web server's types",
    "external link": "the link in a browser: is it the other site that is down, or did we change the link?",
}


class Response(NamedTuple):
    """The response to one request. `kind` is the content's type; `error` is None if the server answered well."""

    status: int | None
    kind: str | None
    content: bytes
    url: str
    error: str | None
    charset: str | None = None


class CutOffError(Exception):
    """The content ended before its end; the text says how much of it came."""


def opener() -> urllib.request.OpenerDirector:
    """Return a client for http and https only: a page must not make us read file: or ftp: addresses."""
    client = urllib.request.OpenerDirector()
    handlers = (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    )
    for handler in handlers:
        client.add_handler(handler())
    return client


def ask(
    client: urllib.request.OpenerDirector, url: str, timeout: float, method: str = "GET", *, whole: bool = True
) -> Response:
    """Return the response to one request, after redirects, with its `whole` content or none; errors are in `error`."""
    deadline = time.monotonic() + timeout
    try:
        headers = {"User-Agent": "downtime-runbook smoke check"}
        request = urllib.request.Request(pages.as_asked(url), method=method, headers=headers)  # noqa: S310
        with client.open(request, timeout=timeout) as response:
            content = read(response, deadline) if whole else b""
            kind, charset = response.headers.get_content_type(), response.headers.get_content_charset()
            return Response(response.status, kind, content, response.url, None, charset)
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, error.headers.get_content_type(), b"", url, f"answers {error.code}")
    except CutOffError as error:
        return Response(None, None, b"", url, f"is cut off: {error}")
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError and timeouts are OSErrors
        reason = getattr(error, "reason", None) or error
        return Response(None, None, b"", url, f"does not answer: {str(reason) or type(reason).__name__}")


def read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """Return the content, unless it takes too long or grows too large: a server may go on for ever, bit by bit."""
    content = b""
    told = response.headers.get("Content-Length", "")
    size = int(told) if told.isascii() and told.isdigit() and "Transfer-Encoding" not in response.headers else None
    while len(content) < LARGEST:
        try:
            piece = response.read1(65536)
        except http.client.IncompleteRead as error:  # in a chunk, or before the last one
            raise CutOffError(f"it ends after {len(content) + len(error.partial)} bytes, in a chunk") from error
        if not piece:
            if size is not None and len(content) < size:
                raise CutOffError(f"{len(content)} of {size} bytes")
            return content
        content += piece
        if time.monotonic() > deadline:
            raise TimeoutError("its content takes too long")
    raise ValueError(f"its content has more than {LARGEST} bytes")


def check(
    what: str, url: str, answer: Response, problem: str | None, pages_with_it: Sequence[str] = ()
) -> dict[str, Any]:
    """Return one entry of the result; `pages_with_it` refer to the address."""
    size = f", {len(answer.content)} bytes" if answer.content else ""
    found = problem or answer.error or f"{answer.status} {answer.kind}{size}"
    return {"what": what, "url": url, "ok": not (problem or answer.error), "found": found, "pages": list(pages_with_it)}


def text_of(answer: Response) -> str:
    """The page as text: its charset is told by the answer's header, else by the page, else it is UTF-8."""
    told = re.search(rb"charset=[\"']?([\w-]+)", answer.content[:1024])
    charset = answer.charset or (told.group(1).decode("ascii", "replace") if told else "utf-8")
    try:
        return answer.content.decode(charset, "replace")
    except (LookupError, ValueError, OverflowError):  # no charset, or a codec that is none
        return answer.content.decode("utf-8", "replace")


def check_page(url: str, answer: Response) -> tuple[dict[str, Any], pages.References | None]:
    """Check that a page is HTML with content and at least one stylesheet (R22); return its references too."""
    problem = references = None
    if answer.error is None:
        references = pages.references(answer.url, text_of(answer))
        if pages.leads_elsewhere(url, answer.url):
            problem = f"leads to another host: {answer.url}"
        elif answer.status != 200:
            problem = f"answers {answer.status}"
        elif answer.kind not in ("text/html", "application/xhtml+xml"):
            problem = f"is {answer.kind}, not HTML"
        elif not answer.content.strip():
            problem = "is empty"
        elif not references.stylesheets:
            problem = "links no stylesheet"
    return check("page", url, answer, problem), references


def check_stylesheet(
    client: urllib.request.OpenerDirector, timeout: float, url: str, on: Sequence[str]
) -> dict[str, Any]:
    """Check that a stylesheet exists, is served as CSS, and is not empty."""
    answer = ask(client, url, timeout)
    problem = None
    if answer.error is None:
        if answer.status != 200:
            problem = f"answers {answer.status}"
        elif answer.kind != "text/css":
            problem = f"is {answer.kind}, not text/css"
        elif not answer.content.strip():
            problem = "is empty"
    return check("stylesheet", url, answer, problem, on)


def check_link(client: urllib.request.OpenerDirector, timeout: float, url: str, on: Sequence[str]) -> dict[str, Any]:
    """Check that an external link answers below 400; it is asked again with GET, which some servers need."""
    answer = ask(client, url, timeout, "HEAD", whole=False)
    if answer.error is not None:
        answer = ask(client, url, timeout, whole=False)
    return check("external link", url, answer, None, on)


def look(urls: Sequence[str], timeout: float, workers: int) -> list[dict[str, Any]]:
    """Make all checks: pages first, then what they refer to, each address once."""
    client = opener()
    with ThreadPoolExecutor(workers) as pool:
        read_pages = list(map(check_page, urls, pool.map(partial(ask, client, timeout=timeout), urls)))
        stylesheets: dict[str, list[str]] = {}
        links: dict[str, list[str]] = {}
        for page, references in read_pages:
            for found, of_page in ((stylesheets, "stylesheets"), (links, "external_links")):
                for url in getattr(references, of_page, ()):
                    found.setdefault(url, []).append(page["url"])
        more = list(pool.map(partial(check_stylesheet, client, timeout), stylesheets, stylesheets.values()))
        more += pool.map(partial(check_link, client, timeout), links, links.values())
    return [page for page, _ in read_pages] + more


def describe(problems: Sequence[Mapping[str, Any]], total: int) -> str:
    """Return the message: every problem, then where to look for each kind."""
    lines = [f"E-smoke  {len(problems)} of {total} checks found a problem on the site."]
    lines += ["  {what} {url} {found}".format(**one) + on_pages(one) for one in problems]
    kinds = [what for what in WHATS if any(one["what"] == what for one in problems)]
    lines += [f"  Look at ({what}): {LOOK[what]}" for what in kinds]
    return "\n".join([*lines, "  Then again:  ./runbook.py run"])


def on_pages(one: Mapping[str, Any]) -> str:
    """Return the pages that have a broken reference, in words."""
    return f" (on {', '.join(one['pages'])})" if one["pages"] else ""


def main() -> None:
    """Check everything, then fail if anything is wrong."""
    spec = {
        "urls": {"type": "list", "elements": "str", "required": True},
        "timeout_seconds": {"type": "float", "default": 10},
        "workers": {"type": "int", "default": 16},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    urls = list(dict.fromkeys(module.params["urls"]))
    if not urls:
        module.fail_json(msg="E-smoke  There is no page to look at: the list of urls is empty.")
    checks = look(urls, module.params["timeout_seconds"], module.params["workers"])
    problems = [one for one in checks if not one["ok"]]
    counts = {what: sum(one["what"] == what for one in checks) for what in WHATS}
    if problems:
        module.fail_json(msg=describe(problems, len(checks)), checks=checks, problems=problems, counts=counts)
    module.exit_json(changed=False, checks=checks, problems=[], counts=counts)


if __name__ == "__main__":
    main()
