"""Cowboys: recognition, states, lists and diffs, each as a table in cowboys/ (R16, R25)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.site import cowboys


def table(name: str) -> list[Any]:
    rows = yaml.safe_load((Path(__file__).parent / "cowboys" / name).read_text())
    return [pytest.param(row, id=row["case"]) for row in rows]


@pytest.mark.parametrize("row", table("recognition.yml"))
def test_recognition(row: dict[str, Any]) -> None:
    assert cowboys.is_in(row["taken_out"], row["put_in"]) is row["is_in"]


@pytest.mark.parametrize("row", table("states.yml"))
def test_state(row: dict[str, Any]) -> None:
    parts = [("R" in flags, "F" in flags, "A" in flags) for flags in row["files"]]
    assert cowboys.state(parts).value == row["state"]


@pytest.mark.parametrize("row", table("lists.yml"))
def test_list(row: dict[str, Any]) -> None:
    assert cowboys.problems(row["cowboys"]) == row.get("problems", [])


@pytest.mark.parametrize("row", table("diffs.yml"))
def test_diff(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(cowboys.DiffError) as failure:
            cowboys.parse_diff(row["diff"])
        assert str(failure.value) == row["error"]
        return
    files = cowboys.parse_diff(row["diff"])
    assert [one.path for one in files] == row["files"]
    assert [one.path for one in files if one.creates] == row.get("creates", [])
    assert [one.path for one in files if one.deletes] == row.get("deletes", [])
    assert all(one.text in row["diff"] and one.text.startswith("--- ") for one in files)


@pytest.mark.parametrize("row", table("contained.yml"))
def test_contained_in_the_merge(row: dict[str, Any]) -> None:
    parts = [("C" in flags, "L" in flags, "A" in flags) for flags in row["files"]]
    assert cowboys.contained(parts).value == row["state"]


@pytest.mark.parametrize("row", table("another_form.yml"))
def test_landed_in_another_form(row: dict[str, Any]) -> None:
    removed = [f"-{line}" for line in row.get("removed", [])]
    added = [f"+{line}" for line in row.get("added", [])]
    lines = [" context", *removed, *added, " more context"]
    counts = f"@@ -1,{len(removed) + 2} +1,{len(added) + 2} @@"
    (patch,) = cowboys.parse_diff("\n".join(["--- lib/app.py", "+++ lib/app.py", counts, *lines, ""]))
    content = None if row["file"] is None else "\n".join(row["file"])
    assert cowboys.looks_landed(patch, content) is row["looks_landed"]


def test_a_removed_file_looks_landed_when_it_is_gone() -> None:
    (gone,) = cowboys.parse_diff("--- lib/app.py\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-def slow():\n-    return 1\n")
    assert cowboys.looks_landed(gone, None)
    assert not cowboys.looks_landed(gone, "def slow():\n    return 1\n")


@given(st.lists(st.text(alphabet="ab {}\t", max_size=5)), st.lists(st.text(alphabet="ab {}\t", max_size=5), min_size=1))
def test_a_diff_looks_landed_in_what_it_makes_if_it_says_anything(old: list[str], new: list[str]) -> None:
    body = "".join([*(f"-{line}\n" for line in old), *(f"+{line}\n" for line in new)])
    (patch,) = cowboys.parse_diff(f"--- f\n+++ f\n@@ -1,{len(old)} +1,{len(new)} @@\n{body}")
    words = [{" ".join(line.split()) for line in lines if line.strip(" {}\t")} for lines in (old, new)]
    assert cowboys.looks_landed(patch, "\n".join(new)) is (words[0] != words[1])


@given(st.text(alphabet="./ab\\\0\"'- ~", max_size=12))
def test_a_path_that_passes_stays_in_the_tree(path: str) -> None:
    try:
        (part,) = cowboys.parse_diff(f"--- {path}\n+++ {path}\n@@ -1 +1 @@\n-a\n+b\n")
    except cowboys.DiffError:
        return
    tree = Path("/srv/launchpad/r1")
    joined = tree / part.path
    assert ".." not in joined.parts
    assert joined.is_relative_to(tree)
    assert joined.relative_to(tree).parts[:1] not in ((".bzr",), (".git",))


def test_a_cowboy_belongs_on_its_hosts_or_on_all() -> None:
    listed: list[dict[str, Any]] = [{"id": "a"}, {"id": "b", "hosts": ["gac"]}, {"id": "c", "hosts": ["soybean"]}]
    assert [one["id"] for one in cowboys.on_host(listed, "gac")] == ["a", "b"]
    assert [one["id"] for one in cowboys.on_host(listed, "wildcherry")] == ["a"]


def test_sentences_say_what_will_happen_and_who_to_ask() -> None:
    cowboy = {"id": "lp-15", "who": "jml", "why": "queue times out"}
    in_a_tree = [state for state in cowboys.CowboyState if state is not cowboys.CowboyState.ANOTHER_FORM]
    assert {state.value: cowboys.sentence(cowboy, state) for state in in_a_tree} == {
        "landed": "lp-15 landed in the merge, skipped (jml)",
        "applied": "lp-15 is in place: queue times out (jml)",
        "to_apply": "lp-15 will be re-applied: queue times out (jml)",
        "conflict": "lp-15 cannot be applied: queue times out (jml)",
    }


def test_the_review_says_for_each_what_comes_of_it_and_who_to_ask() -> None:
    cowboy = {"id": "lp-15", "who": "jml", "why": "queue times out"}
    assert {
        state.value: cowboys.review_sentence(cowboy, state) for state in cowboys.CowboyState if state != "applied"
    } == {
        "landed": "lp-15 landed in the merge, off the list (jml)",
        "another_form": "lp-15 looks landed, in another form: ask jml (until then it is re-applied)",
        "to_apply": "lp-15 is not in the merge, re-applied by hand: queue times out (jml)",
        "conflict": "lp-15 is not in the merge and CANNOT BE APPLIED to it: jml makes its diff again (queue times out)",
    }
