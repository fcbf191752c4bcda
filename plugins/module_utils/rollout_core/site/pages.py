"""Finds the stylesheets and external links of a page of the site (R22)."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit


@dataclass(frozen=True)
class References:
    """Addresses that a page refers to: absolute, without fragments, each once, in the order of the page."""

    stylesheets: tuple[str, ...]
    external_links: tuple[str, ...]


class _Reader(HTMLParser):
    """Collects the addresses of <link rel=stylesheet> and <a>, and resolves them against <base>."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.base = address
        self.stylesheets: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one opening tag."""
        attributes = {name: value or "" for name, value in attrs}
        href = attributes.get("href", "").strip()
        if not href:
            return
        if tag == "base":
            self.base = urljoin(self.base, href)
        elif tag == "link" and "stylesheet" in attributes.get("rel", "").lower().split():
            self.stylesheets.append(self._absolute(href))
        elif tag == "a":
            self.links.append(self._absolute(href))

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


def _host(address: str) -> str | None:
    """Return host and port of an address; None for a malformed one."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None
