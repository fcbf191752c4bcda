"""bzr reads real branches through the real client; what it reads is compared with what breezy itself says."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from plugins.module_utils.rollout_host.vcs import bzr
from tests.modules import bzr_branches
from tests.modules.bzr_branches import BRZ, Site

MESSAGE = """\
[r=stub][bug=772609,
	792591] Folded, as mail does.

------------------------------------------------------------
revno: 99
revision-id: in-the-message
added:
  not/a/file"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The site, with a merge of db-stable and then a revision with everything in devel."""
    site = bzr_branches.site(tmp_path / "site")
    bzr_branches.merge(site.devel, site.db_stable, "Merge db-stable 4.")
    (site.devel / "README").rename(site.devel / "README.txt")
    bzr_branches.commit(site.devel, {"docroot/style.css": None, "a dir/é b.txt": "ü\n"}, MESSAGE)
    return site


log = partial(bzr.log, executable=BRZ)
revision_info = partial(bzr.revision_info, executable=BRZ)


def test_log(site: Site) -> None:
    devel = str(site.devel)
    merge, last = log(devel, "3..")
    assert [record["revno"] for record in log(devel, "..")] == [1, 2, 3, 4]
    assert (last["revno"], last["revid"]) == bzr_branches.tip(site.devel)
    assert last["message"] == MESSAGE
    assert last["parents"] == [merge["revid"]] == bzr_branches.parents(site.devel, last["revid"])
    assert merge["parents"] == bzr_branches.parents(site.devel, merge["revid"])
    assert merge["parents"][1] == bzr_branches.tip(site.db_stable)[1]
    assert last["committer"] == bzr_branches.DEVELOPER
    assert last["date"].endswith("+00:00")


def test_changes(site: Site) -> None:
    devel = str(site.devel)
    patches = [f"database/schema/patch-2208-{number}-0.sql" for number in (30, 31)]
    merged = bzr.changes(devel, "3", executable=BRZ)
    assert [entry["path"] for entry in merged if entry["change"] == "added"] == patches
    changed = {(entry["change"], entry["path"]) for entry in bzr.changes(devel, "4", executable=BRZ)}
    assert changed >= {("removed", "docroot/style.css"), ("added", "a dir/"), ("added", "a dir/é b.txt")}
    assert not any("not/a/file" in path for _change, path in changed)


def test_ancestry(site: Site) -> None:
    devel, pinned = str(site.devel), bzr_branches.tip(site.db_stable)[1]
    first_containing = partial(bzr.first_containing, executable=BRZ)
    assert first_containing(devel, pinned) == revision_info(devel, "3")
    assert first_containing(devel, revision_info(devel, "2")[1]) == revision_info(devel, "2")
    assert first_containing(str(site.db_stable), bzr_branches.tip(site.devel)[1]) is None
    assert revision_info(devel, "revid:" + pinned) == (None, pinned)


def test_a_revision_of_the_repository_is_not_yet_one_of_the_branch(site: Site, tmp_path: Path) -> None:
    bzr.run(["init-shared-repository", "-q", str(tmp_path / "shared")], executable=BRZ)
    for branch in (site.devel, site.db_stable):
        bzr.run(["branch", "-q", str(branch), str(tmp_path / "shared" / branch.name)], executable=BRZ)
    with pytest.raises(bzr.BzrError) as caught:
        revision_info(str(tmp_path / "shared/db-stable"), "revid:" + bzr_branches.tip(site.devel)[1])
    assert caught.value.missing_revision


def test_a_branch_further_up_is_not_taken_for_the_one_that_is_missing(site: Site) -> None:
    with pytest.raises(bzr.BzrError) as caught:
        revision_info(str(site.devel / "docroot"))
    assert caught.value.not_a_branch
    assert not caught.value.missing_revision


def test_what_went_wrong_is_told_apart(site: Site) -> None:
    with pytest.raises(bzr.BzrError) as caught:
        log(str(site.devel), "99")
    assert caught.value.missing_revision
    assert caught.value.exit_code == 3
    with pytest.raises(bzr.BzrError, match="exited 127: no-such-brz cannot be run") as caught:
        revision_info(str(site.devel), executable="no-such-brz")
    assert caught.value.exit_code == 127


def test_nothing_of_the_user_gets_in_the_way(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / ".config" / "breezy"
    config.mkdir(parents=True)
    (config / "breezy.conf").write_text("[DEFAULT]\nlog_format = line\n[ALIASES]\nlog = log --line -r 1\n")
    for name, value in {"HOME": str(tmp_path), "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}.items():
        monkeypatch.setitem(os.environ, name, value)
    assert log(str(site.devel), "-1")[0]["revno"] == 4
    assert not list(tmp_path.rglob("*brz.log"))
