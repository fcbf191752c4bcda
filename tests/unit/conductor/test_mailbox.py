"""What lies in the mailbox and is no message of ours: named, left alone, and nothing of it is waited for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rollout.gates import mailbox
from rollout.gates.mailbox import MailboxMessage
from rollout.outcomes import ExitCode
from tests.unit.conductor.people import Person

ABORT = MailboxMessage(kind="abort", by="Ann", text="no")
STRANGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "directory": (Path.mkdir, "no regular file"),
    "pipe": (os.mkfifo, "no regular file"),
    "link": (lambda path: path.symlink_to("/etc/passwd"), "Too many levels of symbolic links"),
    "link to nothing": (lambda path: path.symlink_to("nowhere"), "Too many levels of symbolic links"),
    "not UTF-8": (lambda path: path.write_bytes(b'{"kind": "abort", "by": "\xff\xfe", "text": "x"}'), "no message"),
    "deep": (lambda path: path.write_text("[" * 100_000), "no message"),
    "large": (lambda path: path.write_text(" " * (mailbox.LONGEST + 1)), "more than "),
    "empty": (Path.touch, "no message"),
    "another kind": (lambda path: path.write_text('{"kind": "hello", "by": "Ann", "text": "x"}'), "no message"),
    "not allowed": (lambda path: path.write_text("x"), "another user's file"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_it_is_passed_over_and_what_comes_after_it_is_taken(tmp_path, kind):
    make, why = STRANGE[kind]
    (tmp_path / "messages").mkdir()
    path = tmp_path / "messages" / "1.json"
    make(path)
    if kind == "not allowed":
        if os.getuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(path, 65534, 65534)
    mailbox.send(tmp_path, ABORT)
    received = mailbox.look(tmp_path)
    assert received.messages == [ABORT]
    assert list(received.passed_over) == ["1.json"]
    assert received.passed_over["1.json"].startswith(why)
    assert mailbox.look(tmp_path) == mailbox.Received([], received.passed_over), "it lies there as before"
    assert [each.name for each in (tmp_path / "messages").iterdir()] == ["1.json"]


def test_a_mailbox_that_is_none_is_told_of(tmp_path):
    (tmp_path / "messages").write_text("x")
    assert mailbox.look(tmp_path) == mailbox.Received([], {"": "Not a directory"})
    assert mailbox.receive(tmp_path) == []


def test_the_rollout_goes_on_and_names_each_once(quick):
    for number, name in enumerate(("directory", "pipe", "not UTF-8", "deep")):
        (quick.directory / "messages").mkdir(exist_ok=True)
        STRANGE[name][0](quick.directory / "messages" / f"{number}.json")
    try:
        assert quick.run(asker=Person(go="yes")) == ExitCode.DONE
    finally:
        shutil.rmtree(quick.directory / "messages")
    said = quick.screen.getvalue().replace("\n", "")
    for number in range(4):
        assert said.count(f"messages/{number}.json is passed over: ") == 1, said
