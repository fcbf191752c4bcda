"""iCalendar files: what is read of them, and what is said of those that cannot be (R4)."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from dateutil.rrule import rrulestr

from rollout.outcomes import BadInputError
from rollout.plan import recurrence
from rollout.schedule import calendars

TABLE = yaml.safe_load((Path(__file__).parent / "calendars.yml").read_text())
SPAN = (datetime(2026, 11, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))


def text_of(row):
    if "file" in row:
        return row["file"]
    own = ["BEGIN:VEVENT", "UID:1", *row["event"], "END:VEVENT"]
    more = [line for event in row.get("more", ()) for line in ("BEGIN:VEVENT", *event, "END:VEVENT")]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *row.get("head", ()), *own, *more, "END:VCALENDAR", ""])


@pytest.fixture
def write(tmp_path):
    def put(row):
        path = tmp_path / "teams.ics"
        path.write_bytes(text_of(row).encode())
        return path

    return put


@pytest.mark.parametrize("row", [pytest.param(row, id=row["case"]) for row in TABLE if "reads" in row])
def test_what_is_read(row, write):
    found = calendars.read(write(row), "teams", SPAN, row.get("zone"))
    assert [
        f"{one.start:%F %H:%M} – {one.end:%F %H:%M} {one.title}{'' if one.busy else ', free'}" for one in found
    ] == row["reads"]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["case"]) for row in TABLE if "wrong" in row])
def test_what_is_wrong_is_said_with_its_line(row, write):
    path = write(row)
    with pytest.raises(BadInputError) as raised:
        calendars.read(path, "teams", SPAN)
    first, *found, last = str(raised.value).splitlines()
    assert first.startswith(f"E-bad-calendar  {calendars.shown(path)} cannot be read")
    assert found == [f"  {calendars.shown(path)}:{line}: {what}" for line, what in row["wrong"].items()]
    assert last == "  Export it again, or mend the line."


def test_an_occurrence_knows_its_line(write):
    row = next(row for row in TABLE if row["case"].startswith("begun years ago"))
    path = write(row)
    lines = path.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, start=1) if line == "BEGIN:VEVENT"]
    found = [int(one.where.rpartition(":")[2]) for one in calendars.read(path, "teams", SPAN)]
    assert found == [starts[0], starts[1], starts[0]]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match=r"E-unreadable  .*none\.ics: No such file"):
        calendars.read(tmp_path / "none.ics", "teams", SPAN)


def test_what_is_never_worked_out_is_not_waited_for(monkeypatch):
    """The net below the rules that are refused: this one is looked for until the year 9999, hour by hour."""
    monkeypatch.setattr(recurrence, "PATIENCE", 0.05)
    rule = rrulestr("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", dtstart=SPAN[0])
    with pytest.raises(recurrence.EndlessError, match=r"it cannot be worked out in 0 s"), recurrence.patience():
        next(iter(rule))
