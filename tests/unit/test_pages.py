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
        ('<![if x]><a href="http://help.test/"><![endif]><![x', (), ("http://help.test/",)),
        ('<a href="http://[half">broken</a>', (), ("http://[half",)),
        ('<a href="http://h.test/?a=1&amp;b=2">', (), ("http://h.test/?a=1&b=2",)),
        (
            '<base href="/b/"><base href="/c/"><link rel="stylesheet" href="x.css">',
            ("http://launchpad.test:8080/b/x.css",),
            (),
        ),
        ('<area href="http://h.test/map">', (), ("http://h.test/map",)),
    ],
)
def test_references(html: str, stylesheets: tuple[str, ...], external_links: tuple[str, ...]) -> None:
    assert pages.references(ADDRESS, html) == pages.References(stylesheets, external_links)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://h.test/é", "http://h.test/%C3%A9"),
        ("http://h.test/a b?q=x y", "http://h.test/a%20b?q=x%20y"),
        ("http://h.test/%C3%A9?a=%20b", "http://h.test/%C3%A9?a=%20b"),
        (" http://h.test/a\n", "http://h.test/a"),
        ("http://bücher.test:81/", "http://xn--bcher-kva.test:81/"),
        ("http://h.test/~jml/+bug;1/(a),b'c!@x:y=1&z", "http://h.test/~jml/+bug;1/(a),b'c!@x:y=1&z"),
        ('http://h.test/"<x>`{}', "http://h.test/%22%3Cx%3E%60%7B%7D"),
        ("http://[::1]:8080/é", "http://[::1]:8080/%C3%A9"),
    ],
)
def test_an_address_is_asked_as_browsers_ask_it(address: str, asked: str) -> None:
    assert pages.as_asked(address) == asked
    assert pages.as_asked(asked) == asked


@pytest.mark.parametrize(
    ("asked", "answered", "elsewhere"),
    [
        ("http://launchpad.test/", "https://Launchpad.test:443/home", False),
        ("http://gac:8080/", "http://gac:8085/", False),
        ("http://bücher.test/", "http://xn--bcher-kva.test/", False),
        ("http://gac:8080/", "http://maintenance.test/", True),
    ],
)
def test_who_answers(asked: str, answered: str, elsewhere: bool) -> None:
    assert pages.leads_elsewhere(asked, answered) is elsewhere
