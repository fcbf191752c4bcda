"""git reads real repositories through the real client and answers as bzr does."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.rollout_host.vcs import bzr, git
from tests.modules import bzr_branches, git_branches
from tests.modules.bzr_branches import BRZ, Site

MESSAGE = "[r=stub][bug=772609,\n\t792591] Folded, as mail does.\n\ncommit 0000\n\x01"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The site, with a merge of db-stable and then a revision with everything in devel."""
    site = git_branches.site(tmp_path / "site")
    git_branches.merge(site.devel, site.db_stable, "Merge db-stable 4.")
    (site.devel / "README").rename(site.devel / "README.txt")
    git_branches.commit(site.devel, {"docroot/style.css": None, "a dir/é b.txt": "ü\n"}, MESSAGE)
    return site


@pytest.mark.parametrize("form", ["{devel}", "{devel}#devel", "file://{devel}", "file://{devel}#devel"])
def test_log(site: Site, form: str) -> None:
    location = form.format(devel=site.devel)
    merge, last = git.log(location, "3..")
    assert [record["revno"] for record in git.log(location)] == [1, 2, 3, 4]
    assert (last["revno"], last["revid"]) == git_branches.tip(site.devel) == git.revision_info(location)
    assert last["message"] == MESSAGE
    assert last["parents"] == [merge["revid"]]
    assert merge["parents"] == git_branches.parents(site.devel, merge["revid"])
    assert last["committer"] == git_branches.DEVELOPER
    assert last["date"].endswith("+00:00")


def test_a_url_is_read_anew_at_each_question(site: Site) -> None:
    url = f"file://{site.devel}"
    assert git.revision_info(url)[0] == 4
    git_branches.commit(site.devel, {"README.txt": "More.\n"}, "More.")
    assert git.revision_info(url) == git_branches.tip(site.devel)


def test_spans_and_directories(site: Site) -> None:
    devel, pinned = str(site.devel), git_branches.tip(site.db_stable)[1]

    def revnos(*arguments: str, **more: str) -> list[int]:
        return [record["revno"] for record in git.log(devel, *arguments, **more)]

    assert revnos("2..3") == [2, 3]
    assert revnos("..2") == [1, 2]
    assert revnos("-1") == [4]
    assert revnos("mainline:revid:" + pinned) == [3]
    assert revnos(directory="database/schema") == [1, 3]
    assert revnos("2..", directory="docroot") == [2, 4]


def test_changes(site: Site) -> None:
    patches = [f"database/schema/patch-2208-{number}-0.sql" for number in (30, 31)]
    merged = git.changes(str(site.devel), "3")
    assert [entry["path"] for entry in merged if entry["change"] == "added"] == patches
    assert git.changes(str(site.devel), 4) == [
        {"change": "renamed", "path": "README => README.txt"},
        {"change": "added", "path": "a dir/é b.txt"},
        {"change": "removed", "path": "docroot/style.css"},
    ]


def test_ancestry(site: Site) -> None:
    devel, pinned = str(site.devel), git_branches.tip(site.db_stable)[1]
    assert git.first_containing(devel, pinned) == git.revision_info(devel, 3)
    assert git.first_containing(devel, git.revision_info(devel, 2)[1])[0] == 2
    assert git.first_containing(str(site.db_stable), git_branches.tip(site.devel)[1]) is None
    assert git.revision_info(devel, "revid:" + pinned) == (None, pinned)


def test_what_went_wrong_is_told_apart(site: Site) -> None:
    for revision in ("99", "0", "0" * 40, git_branches.DEVELOPER):
        with pytest.raises(git.GitError) as caught:
            git.revision_info(str(site.devel), revision)
        assert caught.value.missing_revision
    for nowhere in (f"{site.devel}#nope", f"{site.devel}/docroot", f"file://{site.devel}#nope", "file:///nowhere"):
        with pytest.raises(git.GitError) as caught:
            git.revision_info(nowhere)
        assert caught.value.not_a_branch
        assert not caught.value.missing_revision
    with pytest.raises(git.GitError, match="exited 127: no-such-git cannot be run"):
        git.revision_info(str(site.devel), executable="no-such-git")


def test_nothing_of_the_user_gets_in_the_way(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text(
        "[log]\n\tshowSignature = true\n[diff]\n\trenames = false\n[core]\n\tpager = x\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert [record["revno"] for record in git.log(str(site.devel))] == [1, 2, 3, 4]
    assert git.changes(str(site.devel), 4)[0]["change"] == "renamed"


@pytest.mark.parametrize("system", ["bzr", "git"])
def test_export_is_the_same_in_both(tmp_path: Path, system: str) -> None:
    branches, asked, client = {
        "bzr": (bzr_branches, bzr, BRZ),
        "git": (git_branches, git, "git"),
    }[system]
    devel = tmp_path / "devel"
    branches.create(devel, {".gitattributes": "*.sql export-ignore eol=crlf\n", **bzr_branches.patch("2208-30-0")})
    (devel / "run").write_text("#!/bin/sh\n")
    (devel / "run").chmod(0o755)
    (devel / "link").symlink_to("run")
    branches.commit(devel, {"database/schema/patch-2208-30-0.sql": None, "database/b c": "é\n"}, "More.")

    def export(directory: str, revision: int | str | None) -> dict[str, str]:
        target = tmp_path / f"target-{len(list(tmp_path.iterdir()))}"
        asked.export(str(devel), directory, revision, target, executable=client)
        return branches.contents(target) if target.is_dir() else {}

    assert export("database/schema", 1) == {"patch-2208-30-0.sql": "CREATE TABLE t2208_30_0 (id serial);\n"}
    assert export("database/schema", 2) == {}
    assert export("database", None) == {"b c": "é\n"}
    whole = export("", "-1")
    assert set(whole) == {".gitattributes", "run", "link", "database/b c"}
    newest = max(tmp_path.glob("target-*"), key=lambda path: path.stat().st_mtime_ns)
    assert (newest / "link").is_symlink()
    assert (newest / "run").stat().st_mode & 0o111


@pytest.mark.parametrize("system", ["bzr", "git"])
def test_a_manifest_tells_contents_apart(tmp_path: Path, system: str) -> None:
    branches, asked, client = {
        "bzr": (bzr_branches, bzr, BRZ),
        "git": (git_branches, git, "git"),
    }[system]
    devel = tmp_path / "devel"
    first = branches.create(devel, {"a b/é c": "1\n", "same": "1\n", "mode": "1\n"})
    (devel / "mode").chmod(0o755)
    second = branches.commit(devel, {"a b/é c": "2\n"}, "More.")
    one, two = (asked.manifest(str(devel), revid, executable=client) for revid in (first, second))
    assert set(one) == set(two) == {"a b/é c", "same", "mode"}
    assert {path for path in one if one[path] != two[path]} == {"a b/é c", "mode"}
    assert asked.cat(str(devel), first, "a b/é c", executable=client) == b"1\n"
    assert asked.cat(str(devel), second, "a b/é c", executable=client) == b"2\n"
