"""The blessing module with a command of the site's own (R11)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modules.playing import play

SHA = "0d4c4f1ad6a0b7a2a9f31a2b7c6a2d2f4d3e5c61"
Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(run_module: Callable[..., dict[str, Any]], tmp_path: Path) -> Look:
    """`look(script, **options)`: one look, with a script that gets check and revision as words."""
    common = {
        "kind": "command",
        "checks": ["test"],
        "branch": "main",
        "revno": 12,
        "revid": SHA,
        "spurious": [{"pattern": "stale process", "bug": 7, "checks": ["test"]}],
        "waits_hours": 1,
        "start_minutes": 10,
        "down_minutes": 10,
        "begun": time.time(),
        "record": str(tmp_path / "blessing.json"),
    }

    def run(script: str, **options: Any) -> dict[str, Any]:
        command = ["/bin/sh", "-c", script, "ci", "{check}", "{revid}", "{revno}", "{branch}"]
        return run_module("blessing", {**common, "command": command, **options})

    return run


def failed(result: dict[str, Any], name: str) -> str:
    assert result["failed"], result
    assert result["msg"].startswith(f"{name}  "), result["msg"]
    return result["msg"]


def test_green(look: Look) -> None:
    assert "needs blessing_command" in failed(look("", command=[]), "E-ci-refused")
    result = look(f'test "$1 $2 $3 $4" = "test {SHA} 12 main" && echo see https://ci.example/7 there')
    assert (result["state"], result["finished"]) == ("blessed", True)
    assert (result["blessed"][0]["check"], result["blessed"][0]["url"]) == ("test", "https://ci.example/7")


def test_a_name_is_a_word_and_no_program(look: Look, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    result = look(f'test "$1" = "x; touch {touched}"', checks=[f"x; touch {touched}"])
    assert (result["state"], touched.exists()) == ("blessed", False)


def test_red_says_where_and_shows_the_last_lines(look: Look) -> None:
    message = failed(
        look("echo 'FAIL: test_a'; printf '\\033[31mno\\033[0m\\n'; echo https://ci.example/7; exit 1"),
        "E-check-failed",
    )
    assert "  test ✗ failure   https://ci.example/7" in message
    assert "    FAIL: test_a\n    no\n" in message


def test_it_still_runs(look: Look) -> None:
    result = look("echo 3 of 5 steps; exit 2")
    assert (result["state"], result["finished"], result["line"]) == ("wait", False, "test 3 of 5 steps")
    assert result["progress"]["step"] == "test running"


def test_the_token_is_in_the_environment_and_in_no_word(look: Look, tmp_path: Path) -> None:
    words = tmp_path / "words"
    script = f'test "$BLESSING_TOKEN" = "$(printf se; printf cret)" && cp /proc/$$/cmdline {words}'
    assert look(script, token="secret")["state"] == "blessed"  # noqa: S106
    assert "secret" not in words.read_text()


def test_spurious_is_run_again_by_the_sites_other_command(look: Look, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    again = {"again_command": ["/bin/sh", "-c", f'echo "$1" >> {asked}', "again", "{check}"]}
    red = "echo stale process; echo https://ci.example/{}; exit 1"
    assert "cannot be run again from here" in failed(look(red.format(1)), "E-check-failed")
    result = look(red.format(1), **again)
    assert (result["state"], result["changed"], asked.read_text()) == ("rerun", True, "test\n")
    assert look(red.format(1), **again)["state"] == "wait"
    assert look("echo https://ci.example/2; exit 0", **again)["state"] == "blessed"
    assert asked.read_text() == "test\n"
    no = look(red.format(3), again_command=["/bin/sh", "-c", "echo not now; exit 5"])
    assert "could not run test again: it ended with 5 (not now)" in failed(no, "E-ci-refused")


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo what; exit 3", "ended with 3 for test; 0, 1 or 2 was expected (what)"), ("kill -9 $$", "ended with -9")],
)
def test_another_exit_code_is_no_answer(look: Look, script: str, says: str) -> None:
    assert says in failed(look(script), "E-ci-refused")


def test_a_command_that_is_not_there(look: Look) -> None:
    assert "/nonexistent cannot be run: No such file" in failed(look("", command=["/nonexistent"]), "E-ci-refused")


def test_one_that_does_not_end_is_ended_with_what_it_started(look: Look, tmp_path: Path) -> None:
    result = look(f"sleep 600 & echo $! > {tmp_path}/pid; wait", timeout_seconds=1)
    assert result["state"] == "down"
    assert "has not ended within 1 s, for test" in result["line"]
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def test_the_stage_waits_until_every_check_is_green(tmp_path: Path) -> None:
    """The real playbook; its command runs once, and is green when it is asked again."""
    (tmp_path / "spurious_failures.yml").write_text("[]\n")
    script = f"test -e {tmp_path}/asked && exit 0; touch {tmp_path}/asked; exit 2"
    variables = {
        "rollout": {"id": "2026-12", "pinned": {"merged_revno": 12, "merged_revid": SHA}},
        "claim_host": "",
        "blessing_kind": "command",
        "blessing_command": ["/bin/sh", "-c", script],
        "blessing_checks": ["test"],
        "blessing_branch": "main",
        "blessing_poll_seconds": 0.1,
        "blessing_record": str(tmp_path / "blessing.json"),
    }
    played = play("blessing", tmp_path, ["merge"], variables)
    assert played.code == 0, played.output
    assert played.told["evidence"] == ["test ✓"]
    assert played.told["blessed"] == [{"check": "test", "reruns": 0, "run": "", "seconds": 0.0, "url": ""}]
