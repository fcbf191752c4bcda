"""Schema patches: names, what is pending, whether one is sound (R8)."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.schema import patches, sql
from plugins.module_utils.rollout_core.schema.patches import PatchName

HERE = Path(__file__).parent


def table(name: str) -> list[Any]:
    return [
        pytest.param(row, id=row.get("case") or row.get("file") or row["sql"])
        for row in yaml.safe_load((HERE / name).read_text())
    ]


@pytest.mark.parametrize("row", table("names.yml"))
def test_name(row: dict[str, Any]) -> None:
    if row["number"] is None:
        with pytest.raises(ValueError, match=r"expected patch-MMMM-mm-p\.sql"):
            PatchName.parse(row["file"])
        assert patches.pending([row["file"]], []) == ([], [row["file"]] if row["looks"] else [])
    else:
        name = PatchName.parse(row["file"])
        assert (name.number, str(name)) == (row["number"], row["file"])


@pytest.mark.parametrize("row", table("pending.yml"))
def test_pending(row: dict[str, Any]) -> None:
    found = patches.pending(row["files"], row["rows"])
    assert [str(name) for name in found.patches] == row["pending"]
    assert found.misnamed == row.get("misnamed", [])


@pytest.mark.parametrize("row", table("checks.yml"))
def test_check(row: dict[str, Any]) -> None:
    name = row.get("name", "patch-2208-30-0.sql")
    raw = row["bytes"].encode("latin-1") if "bytes" in row else row["sql"].encode()
    problems = patches.check(name, patches.decoded(raw))
    assert len(problems) == len(row.get("problems", [])), problems
    for problem, part in zip(problems, row.get("problems", []), strict=True):
        assert name in problem
        assert part in problem


@pytest.mark.parametrize("row", table("transaction.yml"))
def test_in_the_one_transaction(row: dict[str, Any]) -> None:
    problems = patches.check(
        "patch-2208-30-0.sql", f"{row['sql']}\n;\nINSERT INTO LaunchpadDatabaseRevision VALUES (2208, 30, 0);"
    )
    said = {
        "hot": ": make it a hot patch, applied by itself on another day, and drop it from this merge",
        "begins": "cannot run inside the one transaction of all patches: take it out",
        "ends": (
            "would end the one transaction that all patches share: take it out",
            "is about a savepoint that this patch has not set: take it out",
        ),
        "psql": ("is not what applies patches: write it as SQL", "is not what applies patches: write it as INSERT"),
        "access": "moves the limit that keeps users out in the outage: take it out, and set it on another day",
    }
    assert [says for problem in problems for says, end in said.items() if problem.endswith(end)] == (
        [row["says"]] if row["says"] else []
    )
    assert len(problems) == bool(row["says"])


def test_what_was_changed_after_its_choice() -> None:
    raw = b"\xef\xbb\xbfSELECT 1;\r\n"
    chosen = [patches.digest("a.sql", patches.decoded(raw)), patches.digest("gone.sql", "")]
    assert chosen[0] == f"a.sql={hashlib.sha256(raw[3:]).hexdigest()}"
    assert patches.changed(chosen, {"a.sql": patches.decoded(raw), "new.sql": "SELECT 2;"}) == []
    assert patches.changed(chosen, {"a.sql": "SELECT 1;\n"}) == ["a.sql"]
    assert patches.changed([], {"a.sql": "SELECT 2;"}) == []


numbers = st.builds(PatchName, st.integers(0, 9999), st.integers(0, 99), st.integers(0, 9))


@given(numbers)
def test_a_name_reads_back(name: PatchName) -> None:
    assert PatchName.parse(str(name)) == name


@given(st.sets(numbers), st.sets(numbers))
def test_pending_is_a_set_difference_in_order(files: set[PatchName], applied: set[PatchName]) -> None:
    found = patches.pending(map(str, files), [name.row for name in applied])
    assert found.patches == sorted(files - applied)
    assert [str(name) for name in found.patches] == sorted(str(name) for name in files - applied)


# Fragments whose meaning is known by how they are made: (text, what of it is code).
body = st.text("ab'\";-/*$\\ \n", max_size=12)
fragments = st.one_of(
    st.sampled_from(["SELECT 1", "; ", "(", ") ", " a - b / c * d ", "$1 "]).map(lambda text: (text, text)),
    body.map(lambda text: ("--" + text.replace("\n", "") + "\n", " \n")),
    body.map(lambda text: (" /*" + text.replace("*", "").replace("/", "") + "*/ ", "   ")),
    body.map(lambda text: (" '" + text.replace("'", "''") + "' ", " '' ")),
    body.map(
        lambda text: (" E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "', ", " '', ")
    ),  # else it may go on
    body.map(lambda text: (" $tag$" + text + "$tag$ ", " $$ ")),
    body.map(lambda text: (' "B' + text.replace('"', '""') + '" ', ' "" ')),
)


@given(st.lists(fragments))
def test_without_literals_the_code_is_left(parts: list[tuple[str, str]]) -> None:
    assert sql.without_literals("".join(text for text, _ in parts)) == "".join(code for _, code in parts)


BLOCKS = r"""do $$ $x$ ' '' " execute format ( ) || begin then else loop ; commit savepoint a release rollback to copy
    from stdin \. \ call create procedure as language plpgsql exception when end
    insert into launchpaddatabaserevision values , 1"""
parts_of_blocks = st.sampled_from([*BLOCKS.split(), "\n", "\0"])


@given(st.text() | st.lists(parts_of_blocks, max_size=40).map(" ".join))
def test_check_never_raises(text: str) -> None:
    assert patches.check("patch-2208-30-0.sql", text)
