"""The application trees (R18): what `current` leads to, what the site serves, and the way back."""

from __future__ import annotations

import json
import re

import pytest

testinfra_hosts = ["ansible://app"]
SHORT = 7  # characters of an id that will do
ASK = """\
import json, sys, urllib.error, urllib.request
try:
    answer = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=10)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.getcode(), answer.headers["X-Revision"], answer.read(500).decode("utf-8", "replace")]))
"""


@pytest.fixture
def current(host, path) -> str:
    """Name of the tree that `current` leads to."""
    return host.check_output("basename $(readlink %s/current)", path("app_tree_root"))


@pytest.fixture
def at(host, path, variable) -> tuple[str, str]:
    """Number and id of the revision that `current` is at, as the tree itself tells."""
    tree, client = f"{path('app_tree_root')}/current", variable("app_tree_executable")
    if host.file(f"{tree}/.rollout/tree.json").exists:
        told = json.loads(host.file(f"{tree}/.rollout/tree.json").content_string)
        return str(told["revno"]), told["revid"]
    if host.file(f"{tree}/.git").exists:
        git = client if variable("app_tree_kind") == "git" and client else "git"
        ask = "%s -c 'safe.directory=*' -C %s"
        number = host.check_output(f"{ask} rev-list --first-parent --count HEAD", git, tree)
        return number, host.check_output(f"{ask} rev-parse HEAD", git, tree)
    brz = client if variable("app_tree_kind") in (None, "bzr") and client else "$(command -v brz || command -v bzr)"
    number, revid = host.check_output(f"{brz} revision-info --tree -d %s", tree).split()
    return number, revid


@pytest.fixture
def merged(variable, pinned) -> str:
    """Name of the merged tree."""
    number = pinned("merged_revno")
    return variable("app_tree_name") or f"r{number}"


def test_current_tree(current, merged, deployed):
    assert (current == merged) == deployed, f"current leads to {current}; the merge is {merged}"


def test_current_tree_is_at_the_merge(current, at, pinned, deployed):
    assert (at[1] == pinned("merged_revid")) == deployed, f"{current} is at {' '.join(at)}"


def test_a_tree_named_by_number_has_it(current, at):
    if not re.fullmatch(r"r\d+", current):
        pytest.skip(f"{current} is not named by number")
    assert current == f"r{at[0]}", f"{current} is at revision {' '.join(at)}"


def test_the_way_back_is_kept(host, path, current, deployed):
    root = path("app_tree_root")
    if not deployed:
        pytest.skip("nothing was switched, or it was switched back")
    previous = host.file(f"{root}/previous")
    assert previous.is_symlink, f"{root}/previous is not there: {current} cannot be switched back"
    assert previous.linked_to != f"{root}/{current}", "previous leads to the current tree itself"
    assert host.file(previous.linked_to).is_directory, f"previous leads to {previous.linked_to}, which is not there"


def test_the_site_serves_the_current_tree(host, variable, current, at):
    if not variable("app_tree_site_url"):
        pytest.skip("this host has no site of its own")
    argv = (variable("ansible_python_interpreter"), ASK, variable("app_tree_site_url"))
    status, revision, page = json.loads(host.check_output("%s -c %s %s", *argv))
    found = f"{argv[-1]} answers {status} with X-Revision {revision}"
    assert status == 200, f"{found}:\n{page}"
    named = revision in (at[0], current) or (len(revision or "") >= SHORT and at[1].startswith(revision))
    assert named, f"{found}, but current leads to {current}, at {' '.join(at)}"
