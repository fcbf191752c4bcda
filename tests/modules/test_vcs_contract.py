"""What every adapter of a version control promises: questions to real branches, deeds in real trees (R8, R10, R17)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from plugins.module_utils.rollout_host.vcs import kinds
from plugins.module_utils.rollout_host.vcs.base import TIP, MissingRevisionError, NotABranchError, Vcs, VcsError
from plugins.module_utils.rollout_host.vcs.base import WorkingTree as Tree
from tests.modules import bzr_branches, git_branches
from tests.modules.both_branches import APP, BOTH, Site, adapter, patch, site
from tests.modules.warm_bazaar import COLD_BRZ

MESSAGE = """\
[r=stub][bug=772609,
	792591] Folded, as mail does.

------------------------------------------------------------
revno: 99
revision-id: in-the-message
commit 0000
added:
  not/a/file"""
PATCHES = [f"database/schema/patch-2208-{number}-0.sql" for number in (30, 31)]
SCHEMA = "database/schema"


class Sample(NamedTuple):
    """A version control: what makes its branches, the adapter under test, and branches to ask."""

    system: ModuleType
    vcs: Vcs
    site: Site

    @property
    def devel(self) -> str:
        """devel, as it is called."""
        return str(self.system.at(self.site.devel))


@pytest.fixture(scope="module", params=BOTH, ids=lambda system: system.kind)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Branches that are only asked: db-stable is merged as devel's revision 3, and 4 changes a bit of everything."""
    system = request.param
    found = site(system, tmp_path_factory.mktemp("told") / "site")
    system.merge(found.devel, found.db_stable, "Merge db-stable 4.")
    (found.devel / "README").rename(found.devel / "README.txt")
    (found.devel / "run").write_text("#!/bin/sh\n")
    (found.devel / "run").chmod(0o755)
    (found.devel / "link").symlink_to("run")
    attributes = {".gitattributes": "*.sql export-ignore eol=crlf\n"}
    system.commit(found.devel, {"docroot/style.css": None, "a dir/é b.txt": "ü\n", **attributes}, MESSAGE)
    return Sample(system, adapter(system), found)


@pytest.fixture(params=BOTH, ids=lambda system: system.kind)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    """Branches of one's own."""
    return Sample(request.param, adapter(request.param), site(request.param, tmp_path / "site"))


def working_tree(sample: Sample, **different: str) -> Tree:
    branches = {"push_to": sample.site.devel, "source": sample.site.db_stable}
    named = {name: sample.system.at(path) for name, path in branches.items()}
    params = {"tree": str(sample.site.pqm), "committer": "PQM <pqm@lab.example>", **named, **different}
    return sample.vcs.working_tree(params)


def looked_at(working: Tree, scratch: Path | None = None) -> Tree:
    for name in working.branches:
        working.look_at(name, scratch)
    return working


def state(sample: Sample) -> tuple[object, ...]:
    tree = sample.site.pqm
    return sample.system.tip(tree), sample.system.contents(tree), sample.system.status(tree)


# -- questions


def test_log(told: Sample) -> None:
    system, devel = told.system, told.site.devel
    entries = told.vcs.log(told.devel)
    assert [entry["revno"] for entry in entries] == [1, 2, 3, 4]
    merge, last = entries[2:]
    assert (last["revno"], last["revid"]) == system.tip(devel)
    assert last["message"] == MESSAGE
    assert last["parents"] == [merge["revid"]]
    assert merge["parents"] == system.parents(devel, merge["revid"])
    assert merge["parents"][1] == system.tip(told.site.db_stable)[1]
    assert last["committer"] == system.DEVELOPER
    assert last["date"].endswith("+00:00")


@pytest.mark.parametrize(
    ("first", "last", "revnos"),
    [(3, None, [3, 4]), (None, 2, [1, 2]), (2, 3, [2, 3]), (2, 2, [2]), (TIP, TIP, [4]), ("2", TIP, [2, 3, 4])],
)
def test_a_part_of_the_log(told: Sample, first: object, last: int | None, revnos: list[int]) -> None:
    start = told.system.revision(told.site.devel, int(first)) if isinstance(first, str) else first
    assert [entry["revno"] for entry in told.vcs.log(told.devel, start, last)] == revnos  # type: ignore[arg-type]


def test_what_a_revision_changed(told: Sample) -> None:
    merged = told.vcs.changes(told.devel, 3)
    assert [entry["path"] for entry in merged if entry["change"] == "added"] == PATCHES
    assert {"change": "modified", "path": "lib/lp/app.py"} in merged
    changed = told.vcs.changes(told.devel, 4)
    assert [entry["path"] for entry in changed] == sorted(entry["path"] for entry in changed)
    words = {(entry["change"], entry["path"]) for entry in changed}
    assert words >= {("removed", "docroot/style.css"), ("added", "a dir/é b.txt")}
    assert not any("not/a/file" in path for _change, path in words)


def test_which_revisions_changed_a_directory(told: Sample) -> None:
    assert told.vcs.changed_in(told.devel, 1, 4, SCHEMA) == [1, 3]
    assert told.vcs.changed_in(told.devel, 2, 2, SCHEMA) == []
    assert told.vcs.changed_in(told.devel, 2, 4, "docroot") == [2, 4]


def test_ancestry(told: Sample) -> None:
    """R10: which revision brought another is asked of the branch."""
    pinned = told.system.tip(told.site.db_stable)[1]
    second, third = (told.system.revision(told.site.devel, number) for number in (2, 3))
    brought = told.vcs.bringing(told.devel, pinned)
    assert brought == told.vcs.log(told.devel, 3, 3)[0]
    assert brought["revid"] == third
    itself = told.vcs.bringing(told.devel, second)
    assert itself is not None
    assert (itself["revno"], itself["revid"]) == (2, second)
    assert told.vcs.bringing(told.system.at(told.site.db_stable), third) is None
    assert told.vcs.revision_info(told.devel) == told.system.tip(told.site.devel)
    assert told.vcs.revision_info(told.devel, 2) == told.vcs.revision_info(told.devel, second) == (2, second)
    assert told.vcs.revision_info(told.devel, pinned) == (None, pinned)


def test_export(told: Sample, tmp_path: Path) -> None:
    def export(directory: str, revision: int) -> dict[str, str]:
        target = tmp_path / f"{directory.replace('/', '-')}-{revision}"
        told.vcs.export(told.devel, directory, revision, target)
        return dict(told.system.contents(target)) if target.is_dir() else {}

    assert export(SCHEMA, 3)["patch-2208-30-0.sql"] == patch("2208-30-0")[PATCHES[0]]
    assert set(export("a dir", TIP)) == {"é b.txt"}
    assert export("a dir", 3) == {}
    whole = export("", TIP)
    assert {"README.txt", "a dir/é b.txt", *PATCHES} <= set(whole)
    assert "README" not in whole
    assert (tmp_path / "--1/link").is_symlink()
    assert (tmp_path / "--1/run").stat().st_mode & 0o111


def test_a_manifest_tells_contents_apart(sample: Sample) -> None:
    devel, branch = sample.site.devel, sample.system.at(sample.site.devel)
    first = sample.system.commit(devel, {"a b/é c": "1\n", "mode": "1\n"}, "One.")
    (devel / "mode").chmod(0o755)
    second = sample.system.commit(devel, {"a b/é c": "2\n"}, "More.")
    (devel / "mode").chmod(0o644)
    third = sample.system.commit(devel, {"a b/é c": "1\n"}, "As before.")
    one, two = (sample.vcs.manifest(branch, revid) for revid in (first, second))
    assert set(one) == set(two) == set(sample.system.contents(devel))
    assert {path for path in one if one[path] != two[path]} == {"a b/é c", "mode"}
    assert sample.vcs.cat(branch, first, "a b/é c") == b"1\n"
    assert sample.vcs.cat(branch, second, "a b/é c") == b"2\n"
    assert sample.vcs.same_content(branch, first, third)
    assert not sample.vcs.same_content(branch, first, second)


def test_what_went_wrong_is_told_apart(told: Sample) -> None:
    strange = told.system.tip(told.site.devel)[1]
    for revision in (5, "0" * 40, told.system.DEVELOPER):
        with pytest.raises(MissingRevisionError):
            told.vcs.revision_info(told.devel, revision)
    with pytest.raises(MissingRevisionError):
        told.vcs.log(told.devel, 99)
    with pytest.raises(MissingRevisionError):
        told.vcs.log(told.system.at(told.site.db_stable), strange)
    with pytest.raises(NotABranchError):  # there is one further up
        told.vcs.revision_info(str(told.site.devel / "docroot"))
    with pytest.raises(VcsError, match="exited 127: no-such-client cannot be run") as caught:
        type(told.vcs)("no-such-client").revision_info(told.devel)
    assert caught.value.exit_code == 127


def test_it_is_recognized_and_is_the_one_of_that_name(told: Sample) -> None:
    assert kinds.recognized(told.devel) is kinds.recognized(str(told.site.devel)) is type(told.vcs)
    assert kinds.recognized(str(told.site.devel / "lib")) is None
    assert type(kinds.named({"vcs": told.system.kind, "executable": None})) is type(told.vcs)


# -- deeds


def test_merged_committed_pushed_undone(sample: Sample) -> None:
    before = sample.system.contents(sample.site.pqm)
    working, pinned = looked_at(working_tree(sample)), sample.system.revision(sample.site.db_stable, 3)
    assert sample.vcs.revision_info(working.where("source"), 3)[1] == pinned
    assert working.is_there()
    (sample.site.pqm / "README").write_text("a change that somebody left\n")
    working.clear()
    working.merge("source", pinned, "merge it")
    working.commit("Merge db-stable 3.")
    working.push()
    assert working.steps[-3:] == ["merge it", "commit", "push"]
    assert sample.system.tip(sample.site.devel) == sample.system.tip(sample.site.pqm)
    (sample.site.pqm / "README.~1~").unlink(missing_ok=True)  # Bazaar keeps what it reverts
    assert sample.system.contents(sample.site.pqm) == {**before, **patch("2208-30-0"), **patch("2208-31-0")}
    merge = sample.vcs.log(working.where("here"), TIP, TIP)[0]
    assert (merge["revno"], merge["message"]) == (3, "Merge db-stable 3.")
    assert merge["parents"] == [sample.system.revision(sample.site.pqm, 2), pinned]
    assert merge["committer"] == "PQM <pqm@lab.example>"
    working.undo(merge, "undo it")
    working.commit("Back it out.")
    assert sample.system.contents(sample.site.pqm) == before
    assert sample.system.status(sample.site.pqm) == ""


def test_brought_to_the_tip_and_taken_back(sample: Sample) -> None:
    before = state(sample)
    first = sample.system.commit(sample.site.devel, {"lib/lp/new.py": "x = 1\n"}, "[r=jml] Ahead.")
    working = looked_at(working_tree(sample))
    listing = working.listing()
    assert working.advance() == []
    assert sample.system.tip(sample.site.pqm)[1] == first
    working.drop(before[0][1])
    working.put_back(listing)
    assert state(sample) == before


def test_a_conflict_is_named_and_put_back(sample: Sample) -> None:
    conflicting = {"lib/lp/app.py": APP.replace("two", "two of devel")}
    sample.system.commit(sample.site.devel, conflicting, "[r=jml][bug=5] The same line.")
    sample.system.pull(sample.site.pqm, sample.site.devel)
    (sample.site.pqm / "note").write_text("nobody versioned this\n")
    (sample.site.pqm / "empty").mkdir()
    before, working = state(sample), looked_at(working_tree(sample))
    listing = working.listing()
    assert {"note", "empty/", "lib/", "lib/lp/app.py"} < listing
    assert not any(path.startswith(f".{sample.system.kind}") for path in listing)
    with pytest.raises(VcsError):
        working.merge("source", sample.system.tip(sample.site.db_stable)[1], "merge it")
    assert [conflict["path"] for conflict in working.conflicts()] == ["lib/lp/app.py"]
    assert working.steps.count("merge it") == 0
    working.put_back(listing)
    assert working.conflicts() == []
    assert state(sample) == before
    assert (sample.site.pqm / "empty").is_dir()


def test_in_a_copy_nothing_of_the_tree_is_touched(sample: Sample, tmp_path: Path) -> None:
    before, pinned = state(sample), sample.system.tip(sample.site.db_stable)[1]
    working = looked_at(working_tree(sample), tmp_path)
    working.copy(tmp_path)
    working.clear()
    working.merge("source", pinned, "merge it")
    working.commit("Merge it.")
    assert sample.vcs.log(working.where("here"), TIP, TIP)[0]["parents"][1] == pinned
    assert state(sample) == before


def test_what_has_more_is_not_pushed_over(sample: Sample) -> None:
    working = looked_at(working_tree(sample))
    theirs = sample.system.commit(sample.site.devel, {"README": "News.\n"}, "[r=jml] Meanwhile.")
    working.merge("source", sample.system.tip(sample.site.db_stable)[1], "merge it")
    working.commit("Merge it.")
    with pytest.raises(VcsError):
        working.push()
    assert sample.system.tip(sample.site.devel)[1] == theirs


def test_a_resolution_is_merged_at_its_tip(sample: Sample, tmp_path: Path) -> None:
    fix = sample.system.branch(sample.site.devel, tmp_path / "fix")
    tip = sample.system.merge(fix, sample.site.db_stable, "Resolve it.")
    working = looked_at(working_tree(sample, resolution=sample.system.at(fix)))
    assert sample.vcs.revision_info(working.where("resolution"))[1] == tip
    working.merge("resolution", tip, "merge it")
    working.commit("Merge it.")
    assert sample.system.parents(sample.site.pqm, sample.system.tip(sample.site.pqm)[1])[1] == tip


def test_what_messages_tell_people_to_type_can_be_typed(sample: Sample, tmp_path: Path) -> None:
    system = sample.system
    merge = system.merge(sample.site.devel, sample.site.db_stable, "Merge db-stable 4.")
    later = system.commit(sample.site.devel, {"README": "News.\n"}, "[r=jml] Later.")
    working = looked_at(working_tree(sample))
    commands, pinned = working.commands(), system.tip(sample.site.db_stable)[1]
    entry = sample.vcs.log(sample.system.at(sample.site.devel), 3, 3)[0]
    assert entry["revid"] == merge

    def typed(line: str, where: str) -> str:
        (tmp_path / where).mkdir(exist_ok=True)
        argv = ["/bin/sh", "-e", "-c", line.partition("   (")[0]]
        done = subprocess.run(argv, cwd=tmp_path / where, env=system.ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "[bug=3] Use them." in typed(working.see("target", entry), ".")
    assert later in typed(commands["see_tip"], ".")
    assert "[r=jml] Later." in typed(working.see_later(entry), ".")
    typed(working.try_it("target"), ".")
    typed(commands["look_there"], ".")
    typed(working.recipe("db-stable 4", 4, pinned)["reproduce"], "merges")
    typed(commands["start_fix"], "fixes")
    typed(working.undo_recipe(entry)["reproduce"], "undoes")
    assert not (tmp_path / "undoes/fix" / PATCHES[0]).exists()
    typed(commands["drop_own"], ".")
    assert system.tip(sample.site.pqm)[1] == later
    sample.site.pqm.rename(tmp_path / "gone")
    assert not working.is_there()
    typed(commands["make_tree"], ".")
    assert system.tip(sample.site.pqm)[1] == later


# -- Bazaar


def test_a_revision_of_the_repository_is_not_yet_one_of_the_branch(tmp_path: Path) -> None:
    found, bazaar = site(bzr_branches, tmp_path / "site"), adapter(bzr_branches)
    bazaar.run("init-shared-repository", "-q", tmp_path / "shared")
    for branch in (found.devel, found.db_stable):
        bazaar.run("branch", "-q", branch, tmp_path / "shared" / branch.name)
    with pytest.raises(MissingRevisionError):
        bazaar.revision_info(str(tmp_path / "shared/db-stable"), bzr_branches.tip(found.devel)[1])


def test_nothing_of_the_user_gets_in_bazaars_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = site(bzr_branches, tmp_path / "site")
    config = tmp_path / ".config" / "breezy"
    config.mkdir(parents=True)
    (config / "breezy.conf").write_text("[DEFAULT]\nlog_format = line\n[ALIASES]\nlog = log --line -r 1\n")
    for name, value in {"HOME": str(tmp_path), "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for client in (COLD_BRZ, bzr_branches.BRZ):  # the tests' client is the real one without its start
        assert kinds.ADAPTERS["bzr"](client).log(str(found.devel), TIP, TIP)[0]["revno"] == 2
        with pytest.raises(MissingRevisionError) as caught:
            kinds.ADAPTERS["bzr"](client).revision_info(str(found.devel), 99)
        assert caught.value.exit_code == 3
    assert not list(tmp_path.rglob("*brz.log"))


# -- git


@pytest.mark.parametrize("form", ["{devel}", "{devel}#devel", "{devel}#refs/heads/devel", "file://{devel}#devel"])
def test_forms_of_a_git_branch(tmp_path: Path, form: str) -> None:
    found, git = site(git_branches, tmp_path / "site"), adapter(git_branches)
    branch = form.format(devel=found.devel)
    assert git.revision_info(branch) == git_branches.tip(found.devel)
    git_branches.commit(found.devel, {"README": "More.\n"}, "More.")
    assert git.log(branch, TIP, TIP)[0]["revid"] == git_branches.tip(found.devel)[1], "a URL is read anew"
    assert [entry["revno"] for entry in git.log(branch)] == [1, 2, 3]


def test_what_is_no_git_branch(tmp_path: Path) -> None:
    devel = site(git_branches, tmp_path / "site").devel
    for nowhere in (f"{devel}#nope", f"file://{devel}#nope", "file:///nowhere"):
        with pytest.raises(NotABranchError):
            adapter(git_branches).revision_info(nowhere)


def test_git_tells_a_renamed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is configured on the machine."""
    devel = site(git_branches, tmp_path / "site").devel
    (devel / "README").rename(devel / "README.txt")
    git_branches.commit(devel, {}, "Rename.")
    unfriendly = "[log]\n\tshowSignature = true\n[diff]\n\trenames = false\n[core]\n\tpager = x\n"
    (tmp_path / ".gitconfig").write_text(unfriendly)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert adapter(git_branches).changes(str(devel), 3) == [{"change": "renamed", "path": "README => README.txt"}]
