"""A journal that was edited or damaged is said to be so, with its line, by whatever reads it: never "nothing"."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout.engine import earlier_brackets
from rollout.incidents import open_incidents
from rollout.journal import store
from rollout.journal.file import NAME, Journal
from rollout.outcomes import BrokenJournalError, ExitCode
from tests.unit.journals import event

EVENTS = [event("step_started", stage="outage", step=f"patch {number} – ü", since=None) for number in range(5)]


@pytest.fixture
def rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROLLOUT_RECORDS", str(tmp_path))
    directory = tmp_path / "2026-12"
    directory.mkdir()
    journal = Journal(directory / NAME)
    for each in EVENTS:
        journal.write(each)
    return directory


def appended(path: Path, fields: dict[str, object]) -> None:
    prev = text_format.digest(path.read_text().splitlines(keepends=True)[-1])
    with path.open("a") as file:
        file.write(text_format.line(fields, prev))


def edited(path: Path) -> None:
    path.write_text(path.read_text().replace('"step":"patch 1 ', '"step":"patch 9 '))


def cut(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))


def glued(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:3], lines[3][:40], *lines[4:]]))


def not_utf8(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\xff\xfe" + lines[2], *lines[3:]]))


AT = {"seq": 6, "at": "2026-12-09T08:10:00+00:00"}
BROKEN: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "edited": (edited, 3, "does not follow"),
    "a line less": (cut, 3, "does not follow"),
    "glued": (glued, 4, "does not follow"),
    "not UTF-8": (not_utf8, 3, "is not UTF-8"),
    "not UTF-8 at the end": (lambda path: path.write_bytes(path.read_bytes() + b"\xff\xfe\n"), 6, "is not UTF-8"),
    "nothing": (lambda path: path.write_bytes(path.read_bytes() + b"\0\0\n"), 6, "does not follow"),
    "no event": (lambda path: appended(path, AT), 6, "is no entry"),
    "an event of no kind": (lambda path: appended(path, {**AT, "event": ["x"]}), 6, "is no entry"),
    "no time": (lambda path: appended(path, {**AT, "event": "step_started", "at": 7}), 6, "is no entry"),
    "deep": (lambda path: path.write_text(path.read_text() + "[" * 100_000 + "\n"), 6, "does not follow"),
    "a list": (lambda path: path.write_text(path.read_text() + "[]\n"), 6, "does not follow"),
}
READERS: dict[str, Callable[[Path], object]] = {
    "Journal": lambda rollout: Journal(rollout / NAME),
    "entries": store.entries,
    "is_closed": store.is_closed,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", BROKEN)
def test_every_reader_says_so_with_its_line(rollout, kind, reader):
    break_it, line, what = BROKEN[kind]
    break_it(rollout / NAME)
    with pytest.raises(BrokenJournalError) as raised:
        READERS[reader](rollout)
    first, state, *_ = str(raised.value).splitlines()
    assert first.startswith(f"E-journal-broken  {rollout / NAME}:{line} {what}")
    assert "the last is step_started, " in state
    assert "backup" in str(raised.value)
    assert raised.value.exit_code == ExitCode.BAD_INPUT


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("break_it", [directory, pipe])
@pytest.mark.parametrize("reader", [*READERS.values(), lambda rollout: store.mentions(rollout, (b"x",))])
def test_what_is_no_file_is_named_and_not_waited_for(rollout, break_it, reader):
    break_it(rollout / NAME)
    with pytest.raises(BrokenJournalError, match=f"^E-journal-broken  {rollout / NAME} cannot be read: "):
        reader(rollout)


def test_who_looks_at_every_rollout_says_which_one_it_is(rollout, tmp_path):
    """What a rollout that cannot be read has left on, or which incident is open there, is not nothing."""
    directory(rollout / NAME)
    for look in (lambda: earlier_brackets.left_on(None), lambda: open_incidents.standing_in(tmp_path)):
        with pytest.raises(BrokenJournalError, match="2026-12"):
            look()


@pytest.mark.parametrize("left", [b'{"seq":6,"at', "…ü".encode()[:-1], b"\0" * 8, b'{"a": "\xc3'])
def test_a_line_that_was_cut_off_is_no_entry_and_goes_with_the_next(rollout, left):
    """Also in the middle of a letter: a crash, or a full disk, cuts off bytes."""
    path = rollout / NAME
    whole = path.read_bytes()
    path.write_bytes(whole + left)
    assert len(store.entries(rollout)) == 5
    journal = Journal(path)
    journal.write(EVENTS[0])
    assert path.read_bytes().startswith(whole)
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [1, 2, 3, 4, 5, 6]
    assert len(Journal(path).entries) == 6


def test_what_somebody_else_has_written_meanwhile_is_not_taken_away(rollout):
    journal = Journal(rollout / NAME)
    Journal(rollout / NAME).write(EVENTS[0])
    before = (rollout / NAME).read_bytes()
    with pytest.raises(BrokenJournalError, match=":6 was written by somebody else meanwhile"):
        journal.write(EVENTS[1])
    assert (rollout / NAME).read_bytes() == before
