"""What a page refers to (R22)."""

from __future__ import annotations

import pytest

from plugins.module_utils.rollout_core.site import pages

ADDRESS = "http://launchpad.test:8080/a/page"


@pytest.mark.parametrize(
    ("html", "stylesheets", "external_links"),
    [
        ("", (), ()),
        ('<link rel="stylesheet" href="/x.css">', ("http://launchpad.test:8080/x.css",), ()),
        ("<LINK HREF=x.css REL='Alternate STYLESHEET'>", ("http://launchpad.test:8080/a/x.css",), ()),
        ('<base href="/b/"><link rel="stylesheet" href="x.css">', ("http://launchpad.test:8080/b/x.css",), ()),
        ('<link rel="stylesheet"><link rel="icon" href="/i.png">', (), ()),
        ('<!-- <link rel="stylesheet" href="/x.css"> -->', (), ()),
        ('<a href="https://help.test/">?</a>', (), ("https://help.test/",)),
        ('<a href="//help.test/#a">?</a><a href=" http://help.test/#b ">?</a>', (), ("http://help.test/",)),
        ('<a href="http://launchpad.test/">another port</a>', (), ("http://launchpad.test/",)),
        ('<a href="/in"><a href="?q"><a href="#top"><a href="http://launchpad.test:8080/in">', (), ()),
        ('<a href="mailto:losas@x.test"><a href="javascript:void(0)"><a name="n"><a href>', (), ()),
        ('<a href="http://[half">broken</a>', (), ("http://[half",)),
        ('<a href="http://h.test/?a=1&amp;b=2">', (), ("http://h.test/?a=1&b=2",)),
    ],
)
def test_references(html: str, stylesheets: tuple[str, ...], external_links: tuple[str, ...]) -> None:
    assert pages.references(ADDRESS, html) == pages.References(stylesheets, external_links)
