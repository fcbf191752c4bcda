"""Module launchpad_bug_tags: launchpadlib's real client against a real HTTP server on loopback (R8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import launchpadlib
import pytest

from plugins.module_utils.rollout_host.ci import launchpad as client
from tests.launchpad import service
from tests.launchpad.service import Service

# Launchpad's own description of its web service (of version 1.0), as launchpadlib ships it for its tests.
REAL_WADL = Path(launchpadlib.__file__).parent / "testing" / "launchpad-wadl.xml"


@pytest.fixture
def launchpad() -> Iterator[Service]:
    with service.running() as running:
        yield running


@pytest.fixture
def ask(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`ask(root, bugs, check=False, **arguments)` calls the module."""

    def call(root: str, bugs: list[int], check: bool = False, **different: Any) -> dict[str, Any]:
        arguments = {"root": root, "bugs": bugs, "cache": str(tmp_path / "cache"), **different}
        return run_module("launchpad_bug_tags", arguments, check, env={"HOME": str(tmp_path / "home")})

    return call


@pytest.mark.parametrize("check", [False, True])
def test_tags_of_the_bugs_named_and_of_no_others(
    ask: Callable[..., dict[str, Any]], launchpad: Service, check: bool
) -> None:
    answer = ask(launchpad.root, [3, 1, 2, 1], check)
    assert not answer["changed"]
    assert answer["tags"] == {
        "1": ["qa-ok", "lp-registry"],
        "2": ["lp-code", "qa-needstesting"],
        "3": ["bad-commit-10381", "qa-bad"],
    }
    assert (answer["hidden"], answer["evidence"]) == ([], [])
    assert [path for path in launchpad.paths if path != service.VERSION] == [f"/devel/bugs/{bug}" for bug in (1, 2, 3)]


def test_its_own_description_of_the_web_service_says_the_same(ask: Callable[..., dict[str, Any]]) -> None:
    described = REAL_WADL.read_text(encoding="utf-8").replace("https://api.launchpad.test/1.0/", "{root}")
    with service.running(described) as launchpad:
        assert ask(launchpad.root, [1, 4, 6])["tags"] == {"1": ["qa-ok", "lp-registry"], "4": []}


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_bug_that_nobody_is_shown_is_told(
    ask: Callable[..., dict[str, Any]], launchpad: Service, status: int
) -> None:
    launchpad.faults["/devel/bugs/2"] = status
    answer = ask(launchpad.root, [1, 2, 5])
    assert (answer["tags"], answer["hidden"]) == ({"1": ["qa-ok", "lp-registry"]}, [2, 5])
    assert answer["evidence"] == [
        "Launchpad shows nobody bugs 2, 5 (private, or no such bug): not QA'd as far as anyone can tell"
    ]


def test_tags_are_as_they_are_now_and_the_cache_is_where_it_was_told(
    ask: Callable[..., dict[str, Any]], launchpad: Service, tmp_path: Path
) -> None:
    assert ask(launchpad.root, [2])["tags"]["2"] == ["lp-code", "qa-needstesting"]
    launchpad.tag(2, "qa-ok")
    assert ask(launchpad.root, [2])["tags"]["2"] == ["qa-ok"]
    assert list((tmp_path / "cache").rglob("*bugs*"))
    assert not (tmp_path / "home").exists()


def test_nothing_is_asked_when_there_is_nothing_to_ask(ask: Callable[..., dict[str, Any]], launchpad: Service) -> None:
    assert ask(launchpad.root, [])["tags"] == {}
    assert launchpad.paths == []


def garbage(handler: BaseHTTPRequestHandler) -> None:
    """A log-in page, with 200, as some proxies have it."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.end_headers()
    handler.wfile.write(b"<html>Log in, please</html>")


def silence(handler: BaseHTTPRequestHandler) -> None:
    """No answer for as long as the server lives."""
    handler.server.stopping.wait(60)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "fault", "said"),
    [
        ("/devel/bugs/2", 500, "asked for bug 2 it answered 500"),
        ("/devel/bugs/2", 503, "no whole answer after 2 s: 1 of 2 bugs"),  # the client would try for half a minute
        ("/devel/bugs/2", silence, "2 s"),
        ("/devel/bugs/2", garbage, "asked for bug 2: JSONDecodeError"),
        ("/devel/", 500, "asked for the description of its web service it answered 500"),
        ("/devel/", 404, "asked for the description of its web service it answered 404"),
        ("/devel/", garbage, "asked for the description of its web service: "),
    ],
)
def test_what_launchpad_can_do_wrong(
    ask: Callable[..., dict[str, Any]], launchpad: Service, path: str, fault: Any, said: str
) -> None:
    launchpad.faults[path] = fault
    answer = ask(launchpad.root, [1, 2], seconds=2)
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-launchpad  {launchpad.root} could not be asked for the tags of bugs: ")
    assert said in answer["msg"] or ("timed out" in answer["msg"] and fault is silence)
    assert "  Then:     once it answers, the same command again" in answer["msg"]


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("prodution", "prodution is not a valid URL or an alias for any Launchpad"),
        ("file:///etc/", "not a valid URL"),
    ],
)
def test_a_root_that_is_none(ask: Callable[..., dict[str, Any]], root: str, said: str) -> None:
    answer = ask(root, [1])
    assert answer["failed"]
    assert answer["msg"].startswith(f"E-launchpad  {root} ")
    assert said in answer["msg"]


def test_without_launchpadlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "launchpadlib.launchpad", None)
    with pytest.raises(client.LaunchpadError, match="launchpadlib cannot be imported"):
        client.bug_tags("production", [1], tmp_path / "cache")
