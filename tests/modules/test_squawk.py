"""Module squawk with the real linter: evidence, whatever becomes of it (R8, R17)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.conftest import PROJECT

ROW = "INSERT INTO LaunchpadDatabaseRevision VALUES (2208, 57, 0);\n"
INDEX = f"-- About it.\nSET client_min_messages=ERROR;\n\nCREATE INDEX bug__owner__idx ON Bug (owner);\n{ROW}"
NEW_TABLE = f"CREATE TABLE Answer (id bigint PRIMARY KEY);\nCREATE INDEX answer__id__idx ON Answer (id);\n{ROW}"
DEFAULT = f"ALTER TABLE Bug ADD COLUMN heat integer DEFAULT 0;\n{ROW}"
NAME = "patch-2208-57-0.sql"


@pytest.fixture
def squawk(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """`squawk(patches, check=False, **arguments)` calls the module; it never fails and leaves nothing."""
    left = PROJECT / "var" / "cache" / "modules"

    def call(patches: dict[str, str], check: bool = False, **different: Any) -> dict[str, Any]:
        before = sorted(left.rglob("squawk-*"))
        answer = run_module("squawk", {"patches": patches, **different}, check, env={"TMPDIR": str(tmp_path)})
        assert not answer["failed"]
        assert not answer["changed"]
        assert sorted(left.rglob("squawk-*")) == before
        assert not list(tmp_path.glob("squawk-*"))
        return answer

    return call


@pytest.mark.parametrize("check", [False, True])
def test_an_index_that_blocks_writes(squawk: Callable[..., dict[str, Any]], check: bool) -> None:
    answer = squawk({NAME: INDEX}, check)
    assert answer["evidence"] == [f"squawk: 1 remark ({NAME}:4: index without CONCURRENTLY)"]
    rule = "require-concurrent-index-creation"
    assert answer["remarks"] == [{"patch": NAME, "line": 4, "rule": rule, "words": "index without CONCURRENTLY"}]
    assert answer["looked"]
    assert answer["others"]


def test_a_table_that_the_patch_itself_makes_blocks_nobody(squawk: Callable[..., dict[str, Any]]) -> None:
    assert squawk({NAME: NEW_TABLE})["evidence"] == ["squawk: no remark on the locks of 1 patch"]


@pytest.mark.parametrize(("version", "remarks"), [("10", 1), ("16", 0)])
def test_the_version_of_production_counts(squawk: Callable[..., dict[str, Any]], version: str, remarks: int) -> None:
    assert len(squawk({NAME: DEFAULT}, pg_version=version)["remarks"]) == remarks


def test_several_patches_and_one_that_it_cannot_read(squawk: Callable[..., dict[str, Any]]) -> None:
    patches = {NAME: INDEX, "patch-2208-58-0.sql": "CREATE TABLE ((;\n", "patch-2208-59-0.sql": "SELECT 'é';\n"}
    answer = squawk(patches)
    assert {remark["patch"] for remark in answer["remarks"]} == {NAME, "patch-2208-58-0.sql"}
    assert "patch-2208-58-0.sql:1: squawk cannot read it" in answer["evidence"][0]


def test_a_configuration_that_lies_about_is_not_read(squawk: Callable[..., dict[str, Any]]) -> None:
    above = PROJECT / "var" / "cache" / "modules" / ".squawk.toml"
    above.parent.mkdir(parents=True, exist_ok=True)
    above.write_text('excluded_rules = ["require-concurrent-index-creation"]\n')
    try:
        assert len(squawk({NAME: INDEX})["remarks"]) == 1
    finally:
        above.unlink()


def test_no_patches_no_evidence(squawk: Callable[..., dict[str, Any]]) -> None:
    assert squawk({})["evidence"] == []


def test_what_was_too_large_is_named(squawk: Callable[..., dict[str, Any]]) -> None:
    answer = squawk({NAME: NEW_TABLE}, left_out=["patch-2208-60-0.sql"])
    assert answer["evidence"][1] == "squawk has not looked at patch-2208-60-0.sql: too large to be brought here"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'thread panicked at 4711' >&2; exit 101", "exited 101: thread panicked at 4711"),
        ("kill -SEGV $$", "exited -11"),
        ("echo '[{\"file\": 1}]'", "has no file, line and rule_name"),
        ("echo not json", "its report cannot be read"),
        ("exec sleep 600", "no answer after 1 s"),
    ],
)
def test_a_crash_is_evidence_too(squawk: Callable[..., dict[str, Any]], tmp_path: Path, script: str, said: str) -> None:
    program = tmp_path / "crashes"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    answer = squawk({NAME: INDEX}, executable=str(program), seconds=1 if "sleep" in script else 60)
    assert len(answer["evidence"]) == 1
    assert answer["evidence"][0].startswith("squawk has not looked at the patches: ")
    assert said in answer["evidence"][0]
    assert not answer["looked"]


@pytest.mark.parametrize(
    ("different", "said"),
    [
        ({"executable": "/nowhere/squawk"}, "/nowhere/squawk cannot be run: No such file or directory"),
        ({"executable": "no-such-squawk"}, "no-such-squawk cannot be run: No such file or directory"),
        ({"pg_version": "fifteen"}, "exited 2: error: invalid value 'fifteen'"),
    ],
)
def test_what_cannot_be_run(squawk: Callable[..., dict[str, Any]], different: dict[str, Any], said: str) -> None:
    answer = squawk({NAME: INDEX}, **different)
    assert [said in line for line in answer["evidence"]] == [True]
    assert not answer["looked"]


def test_a_name_that_is_no_patchs_goes_nowhere(run_module: Callable[..., dict[str, Any]]) -> None:
    answer = run_module("squawk", {"patches": {"../../etc/passwd": "x"}})
    assert answer["failed"]
    assert answer["msg"].startswith("E-bad-argument  patches: '../../etc/passwd' is not the name of a schema patch")
    assert not os.access(PROJECT / "var" / "etc", os.F_OK)
