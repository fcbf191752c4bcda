"""The journal: nothing is lost, nothing is changed unnoticed."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.rollout_core.journal import text as text_format
from rollout.journal.file import Journal
from rollout.outcomes import RunbookError
from tests.unit.journals import event, last, lines

NOON = datetime(2026, 12, 9, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl", lambda: NOON)
    for stage in ("select", "merge", "qastaging"):
        journal.write(event("stage_started", stage=stage, attempt=1))
    return tmp_path / "journal.jsonl"


def test_what_was_written_is_read_again(path):
    again = Journal(path)
    assert [(e["seq"], e["stage"]) for e in lines(again.entries)] == [(1, "select"), (2, "merge"), (3, "qastaging")]
    assert last(again, "stage_started")["stage"] == "qastaging"
    assert last(again, "stage_started", stage="select")["seq"] == 1
    assert last(again, "rollout_closed") is None


def test_a_second_run_goes_on_with_the_chain(path):
    Journal(path, lambda: NOON).write(event("stage_started", stage="deliver", attempt=1))
    reading = text_format.read(path.read_text())
    assert (len(reading.entries), reading.broken_at) == (4, None)


def test_a_line_cut_off_by_a_crash_is_dropped_and_the_chain_goes_on(path):
    whole = path.read_text()
    path.write_text(whole + '{"seq":4,"at":"2026-12-')
    journal = Journal(path, lambda: NOON)
    assert path.read_text() != whole, "somebody who only looks must not touch what is being written"
    journal.write(event("stage_started", stage="deliver", attempt=1))
    reading = text_format.read(path.read_text())
    assert (len(reading.entries), reading.broken_at, reading.torn) == (4, None, "")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_changed_line_is_noticed_and_named(path, number):
    lines = path.read_text().splitlines(keepends=True)
    lines[number - 1] = lines[number - 1].replace('"attempt":1', '"attempt":2')
    lines.append(text_format.line({"seq": 4, "event": "x"}, text_format.digest("what stood there before\n")))
    path.write_text("".join(lines))
    with pytest.raises(RunbookError, match=rf"journal\.jsonl:{number + 1} does not follow"):
        Journal(path)


def test_a_removed_line_is_noticed(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(RunbookError, match=r"journal\.jsonl:2 does not follow"):
        Journal(path)


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "message"]), st.text() | st.integers() | st.none())))
def test_whatever_stands_in_an_entry_comes_back(bodies):
    text, prev = "", text_format.FIRST_PREV
    for body in bodies:
        line = text_format.line(body, prev)
        text, prev = text + line, text_format.digest(line)
    reading = text_format.read(text)
    assert reading.broken_at is None
    assert [{k: v for k, v in e.items() if k != "prev"} for e in reading.entries] == bodies
