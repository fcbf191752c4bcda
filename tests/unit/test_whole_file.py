"""A file is replaced whole, with the mode it had, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.module_utils.rollout_host import whole_file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_file_is_nobody_elses_unless_said(tmp_path: Path) -> None:
    whole_file.replace(tmp_path / "secret", b"x")
    whole_file.replace(tmp_path / "banner", b"x", mode=0o644)
    assert (mode(tmp_path / "secret"), mode(tmp_path / "banner")) == (0o600, 0o644)


@pytest.mark.parametrize("durable", [True, False])
def test_an_old_one_keeps_its_mode_and_is_another_file(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "cron.ini"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with path.open("rb") as reader:
        whole_file.replace(path, b"new", durable=durable)
        assert reader.read() == b"old"
    assert (path.read_bytes(), mode(path), list(tmp_path.iterdir())) == (b"new", 0o640, [path])


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / ".record.new").write_bytes(b"a longer one, of which half was written")
    whole_file.replace(tmp_path / "record", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("record", b"new")]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record"
    path.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        whole_file.replace(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("record", b"old")]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"theirs")
    (tmp_path / ".record.new").symlink_to("theirs")
    with pytest.raises(OSError, match="symbolic links"):
        whole_file.replace(tmp_path / "record", b"ours")
    assert (tmp_path / "theirs").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting"),
        (b"[1]", "no JSON object"),
        (b'{"a": ', "Expecting"),
        (b"[" * 100_000, "nested too deep"),
        (b"\xff", ""),
    ],
)
def test_what_is_no_object_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "record").write_bytes(content)
    with pytest.raises(ValueError, match=why):
        whole_file.read_object(tmp_path / "record")


def test_an_object_is_read_without_the_space_that_was_reserved(tmp_path: Path) -> None:
    (tmp_path / "record").write_bytes(b'{"a": 1}   \0\0')
    assert whole_file.read_object(tmp_path / "record") == {"a": 1}
