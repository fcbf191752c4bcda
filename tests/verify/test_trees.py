"""The application trees (R18): what `current` leads to, what the site serves, and the way back."""

from __future__ import annotations

import json

import pytest

testinfra_hosts = ["ansible://app"]
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


def test_current_tree(current, pinned, deployed):
    merged = f"r{pinned('merged_revno')}"
    assert (current == merged) == deployed, f"current leads to {current}; the merge is {merged}"


def test_current_tree_has_the_revision_it_is_named_after(host, path, current, pinned, deployed, variable):
    brz = variable("app_tree_brz_executable") or "brz"
    found = host.check_output("%s revision-info --tree -d %s/current", brz, path("app_tree_root")).split()
    assert f"r{found[0]}" == current, f"{current} is at revision {found[0]} ({found[1]})"
    assert (found[1] == pinned("merged_revid")) == deployed, f"{current} is at {' '.join(found)}"


def test_the_way_back_is_kept(host, path, current, deployed):
    root = path("app_tree_root")
    if not deployed:
        pytest.skip("nothing was switched, or it was switched back")
    previous = host.file(f"{root}/previous")
    assert previous.is_symlink, f"{root}/previous is not there: {current} cannot be switched back"
    assert previous.linked_to != f"{root}/{current}", "previous leads to the current tree itself"
    assert host.file(previous.linked_to).is_directory, f"previous leads to {previous.linked_to}, which is not there"


def test_the_site_serves_the_current_tree(host, variable, current):
    if not variable("app_tree_site_url"):
        pytest.skip("this host has no site of its own")
    argv = (variable("ansible_python_interpreter"), ASK, variable("app_tree_site_url"))
    status, revision, page = json.loads(host.check_output("%s -c %s %s", *argv))
    found = f"{argv[-1]} answers {status} with X-Revision {revision}"
    assert status == 200, f"{found}:\n{page}"
    assert f"r{revision}" == current, f"{found}, but current leads to {current}"
