"""The cowboys module on a real Bazaar tree with real GNU patch (R16, R25)."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BRZ = Path(sys.executable).with_name("brz")
APP = "".join(f"line {number}\n" for number in range(1, 41))
QUEUE = "def queue():\n    return slow()\n"


def brz(*argv: str, cwd: Path) -> None:
    env = dict(os.environ, BRZ_EMAIL="jml <jml@example.com>", HOME=str(cwd.parent), BRZ_LOG="/dev/null")
    subprocess.run([BRZ, *argv], cwd=cwd, env=env, check=True, capture_output=True)


def edit(*changes: tuple[str, str], text: str = APP) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def unified(path: str, old: str, new: str, prefixes: tuple[str, str] = ("a/", "b/")) -> str:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), prefixes[0] + path, prefixes[1] + path)
    return "".join(lines)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree as the delivery leaves it: one revision, nothing changed."""
    tree = tmp_path_factory.mktemp("cowboys") / "r12735"
    (tree / "lib").mkdir(parents=True)
    brz("init", "-q", ".", cwd=tree)
    (tree / "lib" / "app.py").write_text(APP)
    (tree / "lib" / "queue.py").write_text(QUEUE)
    brz("add", "-q", cwd=tree)
    brz("commit", "-qm", "The merge", cwd=tree)
    return tree


@pytest.fixture
def tree(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "srv" / "r12735", symlinks=True))


@pytest.fixture
def cowboys(run_module, tree):
    """`cowboys(state, {id: diff text}, check=False, **options)`: the module on the tree, in the order of the dict."""

    def run(state: str, diffs: dict[str, str], check: bool = False, **options):
        listed = [{"id": name, "who": "jml", "why": f"why {name}", "diff": f"{name}.diff"} for name in diffs]
        args = {
            "tree": str(tree),
            "host": "gac",
            "cowboys": listed,
            "state": state,
            "executable": str(BRZ),
            **options,
        }
        args["diffs"] = {f"{name}.diff": text for name, text in diffs.items()}
        return run_module("cowboys", args, check, diff=True, env={"HOME": str(tree.parent)})

    return run


def states(result) -> dict[str, str]:
    assert not result["failed"], result["msg"]
    return {cowboy["id"]: cowboy["state"] for cowboy in result["cowboys"]}


def content(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and ".bzr" not in path.parts
    }


LP_15 = unified("lib/app.py", APP, edit(("line 10\n", "line ten\n")))
LP_16 = unified("lib/app.py", APP, edit(("line 12\n", "line twelve\n")))  # its context is what lp-15 changes


def test_apply_changes_the_files_once_and_keeps_their_mode(cowboys, tree):
    (tree / "lib" / "app.py").chmod(0o754)
    assert states(cowboys("reviewed", {"lp-15": LP_15})) == {"lp-15": "to_apply"}
    first = cowboys("applied", {"lp-15": LP_15})
    assert states(first) == {"lp-15": "applied"}
    assert (first["changed"], first["files"]) == (True, ["lib/app.py"])
    assert "line ten\n" in first["diff"][0]["after"]
    assert "line ten\n" not in first["diff"][0]["before"]
    after = content(tree)
    assert after["lib/app.py"].decode() == edit(("line 10\n", "line ten\n"))
    assert (tree / "lib" / "app.py").stat().st_mode & 0o777 == 0o754
    second = cowboys("applied", {"lp-15": LP_15})
    assert (states(second), second["changed"], second["files"]) == ({"lp-15": "applied"}, False, [])
    assert content(tree) == after


def test_what_the_revision_contains_has_landed_and_what_a_hand_did_has_not(cowboys, tree):
    (tree / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n")))
    assert states(cowboys("reviewed", {"lp-15": LP_15})) == {"lp-15": "applied"}
    brz("commit", "-qm", "A permanent fix", cwd=tree)
    review = cowboys("reviewed", {"lp-15": LP_15})
    assert states(review) == {"lp-15": "landed"}
    assert review["cowboys"][0]["sentence"] == "lp-15 landed in the merge, skipped (jml)"
    before = content(tree)
    for state in ("applied", "removed"):
        result = cowboys(state, {"lp-15": LP_15})
        assert (states(result), result["changed"]) == ({"lp-15": "landed"}, False)
    assert content(tree) == before


def test_landed_is_seen_below_a_cowboy_on_the_same_file(cowboys, tree):
    (tree / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n")))
    brz("commit", "-qm", "A permanent fix", cwd=tree)
    on_top = unified("lib/app.py", edit(("line 10\n", "line ten\n")), edit(("line 10\n", "line ten!\n")))
    both = {"lp-15": LP_15, "lp-20": on_top}
    assert states(cowboys("applied", both)) == {"lp-15": "landed", "lp-20": "applied"}
    again = cowboys("applied", both)
    assert (states(again), again["changed"]) == ({"lp-15": "landed", "lp-20": "applied"}, False)
    assert states(cowboys("removed", both)) == {"lp-15": "landed", "lp-20": "to_apply"}
    assert (tree / "lib" / "app.py").read_text() == edit(("line 10\n", "line ten\n"))


def test_landed_is_seen_although_the_code_around_it_has_changed_since(cowboys, tree):
    (tree / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n"), ("line 8\n", "line eight\n")))
    assert states(cowboys("reviewed", {"lp-15": LP_15})) == {"lp-15": "conflict"}  # by hand, so it has not landed
    brz("commit", "-qm", "A permanent fix, and the next one", cwd=tree)
    two = {"lp-15": LP_15, "lp-30": unified("lib/app.py", APP, edit(("line 30\n", "line thirty\n")))}
    before = content(tree)
    review = cowboys("reviewed", two)
    assert states(review) == {"lp-15": "landed", "lp-30": "to_apply"}
    assert review["cowboys"][0]["sentence"] == (
        "lp-15 landed in the merge (the code around it has changed since), skipped (jml)"
    )
    for changed in (True, False):
        result = cowboys("applied", two)
        assert (states(result), result["changed"]) == ({"lp-15": "landed", "lp-30": "applied"}, changed)
    assert (tree / "lib" / "app.py").read_text() == edit(
        ("line 30\n", "line thirty\n"), text=before["lib/app.py"].decode()
    )
    assert states(cowboys("removed", two)) == {"lp-15": "landed", "lp-30": "to_apply"}
    assert content(tree) == before


def test_two_cowboys_on_one_file(cowboys, tree):
    other = unified("lib/app.py", APP, edit(("line 30\n", "line thirty\n")))
    stacked = unified(
        "lib/app.py", edit(("line 10\n", "line ten\n")), edit(("line 10\n", "TEN\n"), ("line 9\n", "9\n"))
    )
    three = {"lp-15": LP_15, "lp-30": other, "lp-31": stacked}
    before = content(tree)
    assert states(cowboys("applied", three)) == dict.fromkeys(three, "applied")
    assert (tree / "lib" / "app.py").read_text() == edit(
        ("line 30\n", "line thirty\n"), ("line 10\n", "TEN\n"), ("line 9\n", "9\n")
    )
    again = cowboys("applied", three)
    assert (states(again), again["changed"]) == (dict.fromkeys(three, "applied"), False)
    # the one in the middle goes, those around it stay
    gone = cowboys("removed", {"lp-30": other})
    assert (states(gone), gone["changed"]) == ({"lp-30": "to_apply"}, True)
    assert "line 30\n" in (tree / "lib" / "app.py").read_text()
    assert states(cowboys("removed", three)) == dict.fromkeys(three, "to_apply")
    assert content(tree) == before


def test_a_conflict_changes_nothing_and_shows_who_where_and_the_hunk(cowboys, tree):
    before = content(tree)
    two = {"lp-30": unified("lib/queue.py", QUEUE, edit(("slow", "fast"), text=QUEUE)), "lp-15": LP_15, "lp-16": LP_16}
    result = cowboys("applied", two)
    assert result["failed"]
    assert result["msg"].startswith(
        f"E-cowboy-conflict  lp-16 cannot be applied in {tree}. Nothing was changed there.\n"
    )
    assert "lp-16 (jml, lp-16.diff) on lib/app.py:" in result["msg"]
    assert "      -line 12\n      +line twelve\n" in result["msg"]
    assert "lp-15 (jml" not in result["msg"]
    assert content(tree) == before
    review = cowboys("reviewed", two)
    assert states(review) == {"lp-30": "to_apply", "lp-15": "to_apply", "lp-16": "conflict"}
    assert "+line twelve" in review["conflicts"]


def test_moved_context_applies_but_changed_context_conflicts(cowboys, tree):
    moved = "first\nsecond\n" + APP
    (tree / "lib" / "app.py").write_text(moved)
    brz("commit", "-qm", "Two lines more", cwd=tree)
    assert states(cowboys("applied", {"lp-15": LP_15})) == {"lp-15": "applied"}
    assert (tree / "lib" / "app.py").read_text() == edit(("line 10\n", "line ten\n"), text=moved)
    (tree / "lib" / "app.py").write_text(edit(("line 7\n", "line seven\n")))
    assert states(cowboys("reviewed", {"lp-15": LP_15})) == {"lp-15": "conflict"}


def test_the_right_one_of_two_equal_places_decides_whether_it_is_in(cowboys, tree):
    block = "begin\nname\nuser\nread\nwrite\nend\n"
    filler = "".join(f"filler {number}\n" for number in range(20))
    old = block + filler + block
    new = edit(("user\n", "user\ngroup\n"), text=block) + filler + block
    (tree / "lib" / "app.py").write_text(old)
    brz("commit", "-qm", "A file that repeats itself", cwd=tree)
    near_the_top = unified("lib/app.py", old, new)  # its context is in both blocks
    assert states(cowboys("applied", {"lp-40": near_the_top})) == {"lp-40": "applied"}
    assert (tree / "lib" / "app.py").read_text() == new
    again = cowboys("applied", {"lp-40": near_the_top})
    assert (states(again), again["changed"]) == ({"lp-40": "applied"}, False)


def test_files_are_created_and_deleted_and_come_back(cowboys, tree):
    diff = (
        "=== added file 'lib/new.py'\n--- old/lib/new.py\t1970-01-01 00:00:00 +0000\n"
        "+++ new/lib/new.py\t2026-11-22 18:11:41 +0000\n@@ -0,0 +1,2 @@\n+one\n+two\n\n"
        "=== removed file 'lib/queue.py'\n--- old/lib/queue.py\t2026-11-22 18:11:40 +0000\n"
        "+++ new/lib/queue.py\t1970-01-01 00:00:00 +0000\n@@ -1,2 +0,0 @@\n-def queue():\n-    return slow()\n"
    )
    before = content(tree)
    assert states(cowboys("applied", {"lp-50": diff})) == {"lp-50": "applied"}
    assert content(tree) == {"lib/app.py": APP.encode(), "lib/new.py": b"one\ntwo\n"}
    again = cowboys("applied", {"lp-50": diff})
    assert (states(again), again["changed"]) == ({"lp-50": "applied"}, False)
    assert states(cowboys("removed", {"lp-50": diff})) == {"lp-50": "to_apply"}
    assert content(tree) == before


def test_what_an_interruption_left_half_applied_is_completed_or_removed(cowboys, tree):
    fast = edit(("slow", "fast"), text=QUEUE)
    diff = LP_15 + unified("lib/queue.py", QUEUE, fast)
    for state, app, queue in (("applied", edit(("line 10\n", "line ten\n")), fast), ("removed", APP, QUEUE)):
        (tree / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n")))
        (tree / "lib" / "queue.py").write_text(QUEUE)
        assert states(cowboys("reviewed", {"lp-15": diff})) == {"lp-15": "to_apply"}
        assert cowboys(state, {"lp-15": diff})["changed"]
        assert content(tree) == {"lib/app.py": app.encode(), "lib/queue.py": queue.encode()}


def test_check_mode_says_what_would_change_and_changes_nothing(cowboys, tree, tmp_path):
    before = content(tree)
    result = cowboys("applied", {"lp-15": LP_15}, check=True, restart=["touch", str(tmp_path / "restarted")])
    assert (states(result), result["changed"], result["files"]) == ({"lp-15": "to_apply"}, True, ["lib/app.py"])
    assert content(tree) == before
    assert not (tmp_path / "restarted").exists()


def test_restart_follows_a_change_and_is_owed_until_it_worked(cowboys, tree, tmp_path):
    log, broken = tmp_path / "restarts", tmp_path / "broken"
    script = tmp_path / "restart-site"
    script.write_text(f"#!/bin/sh\n[ -e {broken} ] && {{ echo port is taken >&2; exit 7; }}\necho restarted >> {log}\n")
    script.chmod(0o755)
    broken.touch()
    failed = cowboys("applied", {"lp-15": LP_15}, restart=[str(script)])
    assert failed["failed"]
    assert failed["msg"].startswith(
        f"E-cowboy-restart  {script} was not restarted after the cowboys were changed.\n"
        f"  E-service-command  {script} exited 7: port is taken\n"
    )
    assert "line ten\n" in (tree / "lib" / "app.py").read_text()
    broken.unlink()
    for changed in (True, False):  # nothing to apply any more, but the restart is still owed, once
        result = cowboys("applied", {"lp-15": LP_15}, restart=[str(script)])
        assert (result["changed"], result["restarted"], result["files"]) == (changed, changed, [])
        assert log.read_text() == "restarted\n"
    assert cowboys("removed", {"lp-15": LP_15}, restart=[str(script)])["restarted"]
    assert log.read_text() == "restarted\n" * 2
    assert not cowboys("reviewed", {"lp-15": LP_15}, restart=[str(script)])["restarted"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("../outside.py", "'../outside.py' leaves the tree"),
        ("lib/../../outside.py", "'lib/../../outside.py' leaves the tree"),
        ("/etc/passwd", "'/etc/passwd' is not a plain relative path"),
        (".bzr/branch/last-revision", "'.bzr/branch/last-revision' belongs to the version control"),
        ("./.bzr/README", "'.bzr/README' belongs to the version control"),
    ],
)
def test_a_diff_never_reaches_out_of_the_tree(cowboys, tree, path, sentence):
    result = cowboys("applied", {"lp-66": f"--- /dev/null\n+++ {path}\n@@ -0,0 +1 @@\n+mine\n"})
    assert result["failed"]
    assert result["msg"].startswith(f"E-cowboy-diff  lp-66.diff (lp-66, jml) cannot be used: line 1: {sentence}.")
    assert not (tree.parent / "outside.py").exists()


def test_a_symbolic_link_does_not_lead_out_of_the_tree(cowboys, tree, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.py").write_text(APP)
    (tree / "link").symlink_to(outside)
    (tree / "alias.py").symlink_to(tree / "lib" / "app.py")
    for path in ("link/app.py", "link/new.py", "alias.py"):
        result = cowboys("applied", {"lp-66": LP_15.replace("lib/app.py", path)})
        assert result["failed"]
        assert result["msg"].startswith("E-cowboy-diff  " + path)
    assert (outside / "app.py").read_text() == APP


def test_a_cowboy_of_a_nested_directory(cowboys, tree, run_module):
    listed = [{"id": "lp-15", "who": "jml", "why": "why", "diff": "d", "tree": "lib"}]
    args = {"tree": str(tree), "host": "gac", "cowboys": listed, "diffs": {"d": LP_15.replace("lib/app.py", "app.py")}}
    result = run_module("cowboys", {**args, "state": "applied", "executable": str(BRZ)})
    assert (states(result), result["files"]) == ({"lp-15": "applied"}, ["lib/app.py"])


def test_cowboys_of_other_hosts_are_left_out(run_module, tree):
    listed = [
        {"id": "lp-15", "who": "jml", "why": "why", "diff": "d", "hosts": ["gac", "soybean"]},
        {"id": "lp-17", "who": "jml", "why": "why", "diff": "not given", "hosts": ["soybean"]},
    ]
    args = {"tree": str(tree), "host": "gac", "cowboys": listed, "diffs": {"d": LP_15}, "state": "reviewed"}
    result = run_module("cowboys", args)
    assert states(result) == {"lp-15": "to_apply"}
    assert result["cowboys"][0]["host"] == "gac"
    assert run_module("cowboys", {**args, "host": "soybean"})["msg"] == (
        "E-cowboy-diff  The text of not given (lp-17, jml) was not given."
    )


def test_what_was_changed_by_hand_and_is_on_no_list_is_reported(cowboys, tree, pristine, tmp_path):
    serving = Path(shutil.copytree(pristine, tmp_path / "srv" / "r9", symlinks=True))
    (serving / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n")))
    (serving / "lib" / "app.pyc").write_text("not under version control")
    review = cowboys("reviewed", {"lp-15": LP_15}, serving_tree=str(serving))
    assert (states(review), review["unlisted"]) == ({"lp-15": "to_apply"}, [])
    (serving / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n"), ("line 30\n", "")))
    (serving / "lib" / "queue.py").unlink()
    review = cowboys("reviewed", {"lp-15": LP_15}, serving_tree=str(serving))
    assert review["unlisted"] == ["lib/app.py", "lib/queue.py"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": "LP 15"}, "id 'LP 15' is outside the pattern (expected [a-z0-9-]+)"),
        ({"tree": "../other"}, "tree '../other' is not a directory inside the deployed tree"),
        ({"why": " "}, "why is missing (expected text)"),
    ],
)
def test_an_unsound_list_is_refused(run_module, tree, change, sentence):
    cowboy = {"id": "lp-15", "who": "jml", "why": "why", "diff": "d", **change}
    args = {"tree": str(tree), "host": "gac", "cowboys": [cowboy], "diffs": {"d": LP_15}, "state": "applied"}
    result = run_module("cowboys", args)
    assert result["failed"]
    assert sentence in result["msg"]


def test_what_cannot_be_tried_is_said(cowboys, tree, run_module, tmp_path):
    garbled = LP_15.replace("-line 10\n", "")
    assert "the hunk ends early, at line" in cowboys("reviewed", {"lp-15": garbled})["msg"]
    assert "it changes no file" in cowboys("reviewed", {"lp-15": ""})["msg"]
    (tree / "lib" / "app.py").write_text(edit(("line 10\n", "line ten\n")))
    result = cowboys("reviewed", {"lp-15": LP_15}, executable=str(tmp_path / "no-brz"))
    assert result["msg"].startswith(f"E-cowboy-tree  {tree} cannot say what has landed in it: ")
    listed = [{"id": "lp-15", "who": "jml", "why": "why", "diff": "d"}]
    (tree / ".bzr").rename(tree / ".nothing")
    assert "no tree of Bazaar, git or an archive" in cowboys("reviewed", {"lp-15": LP_15})["msg"]
    args = {"tree": str(tmp_path / "r9"), "host": "gac", "cowboys": listed, "diffs": {"d": LP_15}, "state": "applied"}
    assert run_module("cowboys", args)["msg"].startswith(f"E-cowboy-tree  There is no tree {tmp_path / 'r9'}.")
    for nowhere in (run_module("cowboys", args, True), run_module("cowboys", {**args, "state": "removed"})):
        assert (nowhere["failed"], nowhere["changed"]) == (False, False)
        assert nowhere["cowboys"][0]["sentence"] == "lp-15 is nowhere, there is no r9 (jml)"
