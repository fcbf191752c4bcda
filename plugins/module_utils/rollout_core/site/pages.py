"""Finds the stylesheets and external links of a page of the site (R22)."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote, urldefrag, urljoin, urlsplit, urlunsplit

_KEPT = "%/:=&?~+!$,;'@()*[]|^\\"  # what a browser sends as it stands; an escape that is there stays


@dataclass(frozen=True)
class References:
    """Addresses that a page refers to: absolute, without fragments, each once, in the order of the page."""

    stylesheets: tuple[str, ...]
    external_links: tuple[str, ...]


class _Reader(HTMLParser):
    """Collects the addresses of <link rel=stylesheet> and <a>, and resolves them against <base>."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.base, self.based = address, False
        self.stylesheets: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one opening tag."""
        attributes = {name: value or "" for name, value in attrs}
        href = attributes.get("href", "").strip()
        if not href:
            return
        if tag == "base":
            if not self.based:  # the first one counts
                self.base, self.based = urljoin(self.base, href), True
        elif tag == "link" and "stylesheet" in attributes.get("rel", "").lower().split():
            self.stylesheets.append(self._absolute(href))
        elif tag in ("a", "area"):
            self.links.append(self._absolute(href))

    def parse_html_declaration(self, i: int) -> int:
        """Pass over "<![…", as browsers do up to the next ">"; Python's own parser stops there with an error."""
        return self.parse_bogus_comment(i) if self.rawdata.startswith("<![", i) else super().parse_html_declaration(i)

    def _absolute(self, href: str) -> str:
        try:
            return urldefrag(urljoin(self.base, href)).url
        except ValueError:  # such as http://[: kept as it is, for it does not answer and somebody should see it
            return href


def references(address: str, html: str) -> References:
    """Return the references of the page at ``address`` (after redirects). External: http(s) to another host or port."""
    reader = _Reader(address)
    reader.feed(html)
    reader.close()
    external = [link for link in reader.links if link.startswith(("http:", "https:")) and _host(link) != _host(address)]
    return References(tuple(dict.fromkeys(reader.stylesheets)), tuple(dict.fromkeys(external)))


def as_asked(address: str) -> str:
    """Return the address as a browser sends it: é and blanks as escapes of UTF-8, a host's é as IDNA has it.

    Raises ValueError for what is no address.
    """
    parts = urlsplit(address.strip())
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
    path, query = (quote(part, safe=_KEPT) for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def leads_elsewhere(asked: str, answered: str) -> bool:
    """Tell whether another host answered than the one that was asked; another port or scheme is the same host."""
    return urlsplit(as_asked(asked)).hostname != urlsplit(answered).hostname


def _host(address: str) -> str | None:
    """Return host and port of an address; None for a malformed one."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None
