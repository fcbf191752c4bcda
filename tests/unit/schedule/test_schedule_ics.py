"""`schedule ics`: what calendars are told (RFC 5545): read back with other hands, byte for byte where it matters."""

import re
import shutil
from datetime import UTC, datetime, timedelta

import pytest
import recurring_ical_events
import yaml
from icalendar import Calendar

from rollout import ROOT
from rollout.outcomes import BadInputError
from rollout.schedule import ics

NOW = datetime(2026, 11, 23, 7, 30, 12, 345, tzinfo=UTC)
LATER = NOW + timedelta(days=3)
LISTED = [("2026-12-09T08:00:00Z", "2026-12-11T08:00:00Z"), ("2027-01-13T08:00:00Z", "2027-01-15T08:00:00Z")]


@pytest.fixture
def inventory(tmp_path):
    path = tmp_path / "site"
    (path / "group_vars/all").mkdir(parents=True)
    shutil.copy(ROOT / "inventories/lab/group_vars/all/policy.yml", path / "group_vars/all/policy.yml")
    plan(path, LISTED)
    return path


def plan(inventory, listed):
    schedule = {
        "windows": "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0;UNTIL=20270331T000000Z",
        "backup_after": "48h",
        "listed": [{"window": window, "backup": backup} for window, backup in listed],
    }
    (inventory / "schedule.yml").write_text(yaml.safe_dump({"schedule": schedule, "people": {"losa": "Mia"}}))


def publish(inventory, path, now=NOW):
    ics.write(path, ics.calendar(inventory, now, path))
    return {str(event["UID"]): event for event in Calendar.from_ical(path.read_bytes()).walk("VEVENT")}


def test_it_is_read_back_as_it_was_meant(inventory):
    read = Calendar.from_ical(ics.calendar(inventory, NOW))
    assert (read["VERSION"], read["METHOD"]) == ("2.0", "PUBLISH")
    assert read["PRODID"]
    found = recurring_ical_events.of(read).between((2026, 11, 23), (2027, 12, 31))
    assert [
        (f"{one['DTSTART'].dt:%F %H:%M%z}", f"{one['DTEND'].dt:%H:%M}", str(one["SUMMARY"]), str(one["STATUS"]))
        for one in sorted(found, key=lambda one: one["DTSTART"].dt)
    ] == [
        ("2026-12-09 08:00+0000", "09:30", "Database downtime", "CONFIRMED"),
        ("2026-12-11 08:00+0000", "09:30", "Database downtime: backup window", "TENTATIVE"),
        ("2027-01-13 08:00+0000", "09:30", "Database downtime", "CONFIRMED"),
        ("2027-01-15 08:00+0000", "09:30", "Database downtime: backup window", "TENTATIVE"),
        ("2027-02-10 08:00+0000", "09:30", "Database downtime", "TENTATIVE"),
        ("2027-02-12 08:00+0000", "09:30", "Database downtime: backup window", "TENTATIVE"),
        ("2027-03-10 08:00+0000", "09:30", "Database downtime", "TENTATIVE"),
        ("2027-03-12 08:00+0000", "09:30", "Database downtime: backup window", "TENTATIVE"),
    ]
    window = next(event for event in read.walk("VEVENT") if event["STATUS"] == "CONFIRMED")
    (alarm,) = window.walk("VALARM")
    assert alarm["TRIGGER"].dt == timedelta(hours=-48)
    assert "paused from 07:30 UTC" in window["DESCRIPTION"]
    assert len({str(event["UID"]) for event in read.walk("VEVENT")}) == len(read.walk("VEVENT"))


def test_its_bytes_are_as_rfc_5545_wants_them(inventory):
    content = ics.calendar(inventory, NOW)
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert all(b"\n" not in line and b"\r" not in line and len(line) <= 75 for line in lines)
    assert any(line.startswith(b" ") for line in lines)  # something was long enough to be folded
    times = re.findall(rb"^(?:DTSTART|DTEND|DTSTAMP|LAST-MODIFIED)(.*)$", content.replace(b"\r", b""), re.MULTILINE)
    assert len(times) == 4 * content.count(b"BEGIN:VEVENT")
    assert all(re.fullmatch(rb":\d{8}T\d{6}Z", value) for value in times)


def test_the_same_schedule_is_the_same_file_whenever_it_is_written(inventory, tmp_path):
    path = tmp_path / "windows.ics"
    publish(inventory, path)
    first = path.read_bytes()
    publish(inventory, path, LATER)
    assert path.read_bytes() == first


def test_a_moved_window_is_the_same_event_and_a_window_that_is_gone_is_cancelled(inventory, tmp_path):
    path = tmp_path / "windows.ics"
    before = publish(inventory, path)
    plan(inventory, [("2026-12-16T08:00:00Z", "2026-12-18T08:00:00Z")])
    after = publish(inventory, path, LATER)
    assert set(before) == set(after)
    moved, unmoved = "2026-12-1-window@site.downtime-runbook", "2027-03-1-window@site.downtime-runbook"
    assert (after[moved]["SEQUENCE"], f"{after[moved]['DTSTART'].dt:%d}") == (1, "16")
    assert after[moved]["LAST-MODIFIED"].dt == LATER.replace(microsecond=0)
    assert after[unmoved].to_ical() == before[unmoved].to_ical()
    plan(
        inventory, [("2026-12-16T08:00:00Z", "2026-12-18T08:00:00Z"), ("2027-03-10T08:00:00Z", "2027-03-12T08:00:00Z")]
    )
    gone = publish(inventory, path, LATER)["2027-02-1-window@site.downtime-runbook"]
    assert (gone["STATUS"], gone["SEQUENCE"]) == ("CANCELLED", 1)
    third = path.read_bytes()
    publish(inventory, path, LATER + timedelta(days=1))
    assert path.read_bytes() == third


def test_what_is_past_stays_as_it_was_told(inventory, tmp_path):
    path = tmp_path / "windows.ics"
    before = publish(inventory, path)
    after = publish(inventory, path, datetime(2027, 2, 1, tzinfo=UTC))
    uid = "2026-12-1-window@site.downtime-runbook"
    assert after[uid].to_ical() == before[uid].to_ical()


def test_a_place_where_nothing_can_be_written_is_named(tmp_path):
    path = tmp_path / "none" / "windows.ics"
    with pytest.raises(BadInputError, match=rf"E-unwritable  {path}: No such file or directory"):
        ics.write(path, b"BEGIN:VCALENDAR")


@pytest.mark.parametrize("text", ["my notes\n", "BEGIN:VCALENDAR\r\nPRODID:other\r\nEND:VCALENDAR\r\n"])
def test_a_file_of_somebody_else_is_left_alone(inventory, tmp_path, text):
    path = tmp_path / "notes.ics"
    path.write_text(text)
    with pytest.raises(BadInputError, match="E-other-file"):
        publish(inventory, path)
    assert path.read_text() == text.replace("\r\n", "\n") or path.read_bytes() == text.encode()
