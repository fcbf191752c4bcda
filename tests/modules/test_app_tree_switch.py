"""Module app_tree_switch on real trees: one rename forth, one rename back (R18)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules import app_trees
from tests.modules.app_trees import KINDS, Sample


@pytest.fixture(params=KINDS)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    return app_trees.sample(request.param, tmp_path)


@pytest.fixture
def root(tmp_path: Path, sample: Sample) -> Path:
    """The trees r1 (which serves), r2 and r3."""
    root = tmp_path / "launchpad"
    for number in (1, 2, 3):
        sample.deliver(root / f"r{number}", number)
    (root / "current").symlink_to("r1")
    return root


@pytest.fixture
def switch(run_module: Callable[..., dict[str, Any]], root: Path, sample: Sample) -> Callable[..., dict[str, Any]]:
    """`switch(to, check=False, **other arguments)` calls the module."""

    def call(to: str, check: bool = False, **other: Any) -> dict[str, Any]:
        return run_module(
            "app_tree_switch", {"root": str(root), "to": to, **sample.client(), **other}, check, diff=True
        )

    return call


def links(root: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in root.iterdir() if path.is_symlink()}


def test_forth_twice_back_twice(switch: Callable[..., dict[str, Any]], root: Path, sample: Sample) -> None:
    revno, revid = 2, sample.revision(2)
    forth = switch("r2", revid=revid)
    assert forth["changed"]
    assert forth["diff"]["after"] == "current -> r2\nprevious -> r1\n"
    assert links(root) == {"current": "r2", "previous": "r1"}
    again = switch("r2", revid=revid)
    assert not again["changed"]
    for answer in (forth, again):
        assert (answer["current"], answer["previous"], answer["revno"], answer["revid"]) == ("r2", "r1", revno, revid)
    assert links(root) == {"current": "r2", "previous": "r1"}

    back = switch("r2", back=True)
    assert back["changed"]
    assert (back["current"], back["revno"]) == ("r1", 1)
    assert links(root)["current"] == "r1"
    assert not switch("r2", back=True)["changed"]
    assert links(root)["current"] == "r1"

    assert switch("r2")["changed"]  # the next attempt
    assert links(root) == {"current": "r2", "previous": "r1"}


def test_back_where_the_switch_never_came_keeps_the_tree(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    switch("r2")  # last month
    assert not switch("r3", back=True)["changed"]  # this month's switch failed before it reached this host
    assert links(root) == {"current": "r2", "previous": "r1"}


def test_check_mode_switches_nothing(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    foretold = switch("r2", check=True)
    assert foretold["changed"]
    assert (foretold["current"], foretold["previous"]) == ("r2", "r1")
    assert links(root) == {"current": "r1"}


def test_an_interrupted_switch_is_repeated(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    (root / "previous").symlink_to("r1")  # the first rename was made, the second was being prepared
    (root / ".current.new").symlink_to("r2")
    assert not switch("r2", back=True)["changed"]
    assert switch("r2")["changed"]
    assert links(root) == {"current": "r2", "previous": "r1"}


def test_the_first_tree_of_a_host(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    (root / "current").unlink()
    assert switch("r2")["previous"] is None
    assert links(root) == {"current": "r2"}
    assert switch("r2", back=True)["msg"].startswith("E-nothing-before ")
    assert links(root) == {"current": "r2"}


def test_links_may_be_absolute(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    (root / "current").unlink()
    (root / "current").symlink_to(root / "r1")
    switch("r2")
    assert links(root) == {"current": "r2", "previous": "r1"}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"to": "r4"}, "E-tree-missing "),
        ({"to": "r2", "revid": "somebody@else-1"}, "E-tree-wrong-revision "),
        ({"to": "../r2"}, "E-bad-tree "),
        ({"to": "previous"}, "E-bad-tree "),
    ],
)
def test_refused_and_nothing_changed(
    switch: Callable[..., dict[str, Any]], root: Path, arguments: dict[str, Any], name: str
) -> None:
    refused = switch(**arguments)
    assert refused["msg"].startswith(name)
    assert links(root) == {"current": "r1"}


def test_a_directory_in_the_place_of_the_link_is_left_alone(switch: Callable[..., dict[str, Any]], root: Path) -> None:
    (root / "current").unlink()
    (root / "r1").rename(root / "current")
    assert switch("r2")["msg"].startswith("E-not-a-link ")
    assert (root / "current" / "lib").exists()


def test_what_served_before_may_be_of_another_kind_or_of_others(
    switch: Callable[..., dict[str, Any]], root: Path, tmp_path: Path
) -> None:
    other = app_trees.sample("git", tmp_path / "other")
    other.deliver(root / "c0ffee", 4)
    assert switch("c0ffee", revid=other.revision(4))["revno"] == 4
    assert switch("c0ffee", back=True)["revno"] == 1
    (root / "by-hand").mkdir()
    (root / "current").unlink()
    (root / "current").symlink_to("by-hand")
    switch("r2")
    back = switch("r2", back=True)
    assert (back["current"], back["revno"], back["revid"]) == ("by-hand", None, None)
    assert switch("by-hand")["msg"].startswith("E-tree-missing ")
