"""`./runbook.py schedule check|propose`: on files, as people lay them out, and as typed (R1, R3, R4)."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from rollout import ROOT
from rollout.outcomes import BadInputError, ExitCode
from rollout.plan import schedule
from rollout.schedule import calendars, check, proposal
from tests.forks.runbook import runbook

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
FILE = """\
# Our windows.
schedule:
  windows: FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0  # second Wednesday
  backup_after: 48h
  listed:
    # agreed with everybody
    - {window: 2026-12-09T08:00:00Z, backup: 2026-12-11T08:00:00Z}
    - window: 2027-04-14T08:00:00Z  # after the release

      backup: 2027-04-16T08:00:00Z  # Friday

# Other people's times.
calendars:
  - {name: teams, file: teams.ics}
people: {coordinator: Kiko, losa: Tom, dba: stub}
cover:
  - {name: Tom, roles: [losa], timezone: Etc/UTC}
  - name: stub
    roles: [dba]
    timezone: Asia/Bangkok
    absences: {dates: [{from: 2027-02-09, to: 2027-02-12}]}
"""
TEAMS = """\
BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20270113
SUMMARY:Alpha release
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def inventory(tmp_path):
    (tmp_path / "group_vars/all").mkdir(parents=True)
    shutil.copy(ROOT / "inventories/lab/group_vars/all/policy.yml", tmp_path / "group_vars/all/policy.yml")
    (tmp_path / "schedule.yml").write_text(FILE)
    (tmp_path / "teams.ics").write_text(TEAMS)
    return tmp_path


def run(*words):
    return runbook("schedule", *words)


def found(inventory, now=NOW):
    return [(one.kind, one.where.rpartition("/")[2], one.what) for one in check.check(inventory, now)[1]]


def change(inventory, before, after):
    path = inventory / "schedule.yml"
    assert path.read_text().count(before) == 1
    path.write_text(path.read_text().replace(before, after))


# -- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", [NOW + timedelta(days=37 * n, hours=n) for n in range(60)], ids=lambda day: f"{day:%F}")
def test_the_labs_schedule_is_sound_whatever_the_date(day):
    facts, found = check.check(ROOT / "inventories/lab", day)
    assert found == []
    assert len(facts.pairs) >= 12
    assert len(facts.events) > 300


def test_productions_placeholders_are_sound():
    _, seen = check.check(ROOT / "inventories/production", NOW)
    assert {one.kind for one in seen} == {"stale"}
    assert check.sound(seen)


def test_every_finding_at_once_with_file_and_line(inventory):
    change(inventory, "backup: 2027-04-16T08:00:00Z", "backup: 2027-04-15T08:00:00Z")
    (inventory / "teams.ics").write_text(TEAMS.replace("20270113", "20261209"))
    change(inventory, "from: 2027-02-09, to: 2027-02-12", "from: 2026-12-11, to: 2026-12-11")
    teams = calendars.shown(inventory / "teams.ics")
    assert found(inventory) == [
        ("gap", "schedule.yml", "January 2027 has no window"),
        ("gap", "schedule.yml", "February 2027 has no window"),
        ("gap", "schedule.yml", "March 2027 has no window"),
        (
            "distance",
            "schedule.yml:10",
            (
                "backup Thu 15 Apr 2027 08:00 UTC begins 22 h 30 min after window Wed 14 Apr 2027 08:00 UTC: "
                "it takes 24 h for the notice and 2 h to decide (R21)"
            ),
        ),
        (
            "collision",
            "schedule.yml:7",
            f"window Wed 9 Dec 2026 08:00 UTC collides with Alpha release (teams), {teams}:3: 9 Dec",
        ),
        (
            "cover",
            "schedule.yml:7",
            f"backup Fri 11 Dec 2026 08:00 UTC: no dba is there: stub is away (absent, {schedule_line(inventory, 21)})",
        ),
    ]


def schedule_line(inventory, line):
    return f"{calendars.shown(inventory / 'schedule.yml')}:{line}"


def test_whom_plans_name_without_a_role_under_cover_is_told_and_does_not_count(inventory):
    change(inventory, "losa: Tom, dba: stub}", "losa: stub, dba: Stuart}")
    notes = [one for one in check.check(inventory, NOW)[1] if one.kind == "people"]
    assert [(one.severity, one.what) for one in notes] == [
        ("note", "plans name Stuart as dba, who has no such role under `cover`"),
        ("note", "plans name stub as losa, who has no such role under `cover`"),
    ]
    assert check.sound(notes)


def test_a_broken_calendar_is_one_finding_among_others(inventory):
    (inventory / "teams.ics").write_text(TEAMS.replace(";VALUE=DATE:20270113", ";TZID=Mars/Phobos:20270113T080000"))
    change(inventory, "    absences: {dates:", "    absences: {calendar: stub.ics, dates:")
    kinds = [(kind, where) for kind, where, _ in found(inventory)]
    assert kinds[:2] == [("calendar", "schedule.yml:14"), ("calendar", "schedule.yml:21")]
    said = [what for kind, _, what in found(inventory) if kind == "calendar"]
    assert "teams.ics:5: no such time zone: Mars/Phobos" in said[0]
    assert "stub.ics: No such file or directory" in said[1]
    assert ("gap", "schedule.yml") in kinds
    with pytest.raises(BadInputError, match=r"(?s)E-no-proposal.*teams\.ics:5: no such time zone"):
        proposal.propose(inventory, NOW)


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("Asia/Bangkok", "Asia/Bankok", 20, "no such time zone; expected an IANA name such as Europe/London"),
        ("2026-12-11T08:00:00Z", "2026-12-11T08:00:30Z", 7, "expected a whole minute"),
        ("2026-12-11T08:00:00Z", "2026-12-11T08:00:00", 7, "input should have timezone info"),
        ("FREQ=MONTHLY", "FREQ=SOMETIMES", 3, "expected FREQ, one of YEARLY, MONTHLY, WEEKLY, DAILY"),
        ("FREQ=MONTHLY", "FREQ=MONTHLY;INTERVAL=0", 3, "INTERVAL must be 1 or more (found 0)"),
        ("BYDAY=+2WE", "BYDAY=+6WE", 3, "it never happens: no year has such a day"),
        ("BYDAY=+2WE", "BYMONTH=2;BYMONTHDAY=30", 3, "it never happens: no year has such a day"),
        ("to: 2027-02-12", "to: 2027-02-08", 21, "`to` is before `from`"),
        ("file: teams.ics", "file: ../teams.ics", 14, "string should match pattern"),
        ("absences: {dates", "absence: {dates", 21, "is not a field that is known here"),
    ],
)
def test_what_was_mistyped_is_named_with_its_line(inventory, before, after, line, says):
    change(inventory, before, after)
    with pytest.raises(BadInputError) as raised:
        schedule.load(inventory)
    assert f"schedule.yml:{line}:" in str(raised.value)
    assert says in str(raised.value)


def test_absences_are_days_of_the_persons_own_zone(inventory):
    (cover,) = [one for one in schedule.load(inventory).cover if one.name == "stub"]
    ((_, first, after),) = schedule.days_away(cover)
    assert (f"{first:%d %H:%M}", f"{after:%d %H:%M}") == ("08 17:00", "12 17:00")


# -- propose ----------------------------------------------------------------------------------------------------------


def test_months_without_that_day_are_named(inventory):
    change(inventory, "BYDAY=+2WE", "BYMONTHDAY=31")
    found = proposal.propose(inventory, NOW)
    named = [f"{month:%b %Y}" for month in found.without]
    assert named == ["Nov 2026", "Feb 2027", "Jun 2027", "Sep 2027"]
    assert found.leaves_out
    told = " ".join(" ".join(proposal.lines(found, written=False)).split())
    for month in ("February", "June", "September"):
        assert f"# {month} 2027 gets no window: the rule (FREQ=MONTHLY;BYMONTHDAY=31;" in told


def test_a_window_that_is_too_soon_is_named(inventory):
    change(inventory, "    - {window: 2026-12-09T08:00:00Z, backup: 2026-12-11T08:00:00Z}\n", "")
    found = proposal.propose(inventory, datetime(2026, 12, 8, 7, 30, tzinfo=UTC))
    assert "# Wed 9 Dec 2026 08:00 UTC is too soon to be proposed" in "\n".join(proposal.lines(found, written=False))
    assert not found.leaves_out


def test_what_is_proposed_is_yaml_that_says_why(inventory):
    lines = proposal.lines(proposal.propose(inventory, NOW, months=5), written=False)
    assert lines[:8] == [
        "schedule:",
        "  listed:",
        "    # window moved from Wed 13 Jan 2027 08:00 UTC: window: Alpha release (teams), 13 Jan",
        "    - {window: 2027-01-20T08:00:00Z, backup: 2027-01-22T08:00:00Z}",
        *lines[4:6],
        "    - {window: 2027-02-17T08:00:00Z, backup: 2027-02-19T08:00:00Z}",
        "    - {window: 2027-03-10T08:00:00Z, backup: 2027-03-12T08:00:00Z}",
    ]
    assert "no dba is there: stub is away" in lines[4]
    assert "--write" in lines[-1]
    assert len(yaml.safe_load("\n".join(lines))["schedule"]["listed"]) == 3
    assert (inventory / "schedule.yml").read_text() == FILE


def test_written_each_in_its_place_comments_and_layout_stay_and_it_is_sound_then(inventory):
    proposal.write(proposal.propose(inventory, NOW))
    text = (inventory / "schedule.yml").read_text()
    assert [line for line in text.splitlines() if line in FILE.splitlines()] == FILE.splitlines()
    windows = [one.window for one in schedule.load(inventory).schedule.listed]
    assert windows == sorted(windows)
    assert len(windows) == 12
    assert found(inventory) == []
    assert proposal.propose(inventory, NOW).new == []


def test_a_comment_stays_with_the_window_below_it(inventory):
    change(inventory, "    - window: 2027-04-14", "    # Ubuntu is released a week later\n    - window: 2027-04-14")
    proposal.write(proposal.propose(inventory, NOW))
    text = (inventory / "schedule.yml").read_text()
    assert "    # Ubuntu is released a week later\n    - window: 2027-04-14T08:00:00Z  # after the release\n" in text
    assert "backup: 2027-03-12T08:00:00Z}\n    # Ubuntu" in text


@pytest.mark.parametrize("listed", ["", "  listed: []\n", "  listed: []  # none yet\n", "  listed:\n"])
def test_written_where_nothing_was_listed(inventory, listed):
    head, _, rest = FILE.partition("  listed:\n")
    (inventory / "schedule.yml").write_text(head + listed + "\n" + rest[rest.index("# Other") :])
    proposal.write(proposal.propose(inventory, NOW))
    text = (inventory / "schedule.yml").read_text()
    assert text.startswith(head)
    assert "# Other people's times.\ncalendars:" in text
    assert ("# none yet" in text) == ("# none yet" in listed)
    assert found(inventory) == []


def test_a_layout_that_cannot_be_edited_is_left_alone(inventory):
    listed = "[{window: 2026-12-09T08:00:00Z, backup: 2026-12-11T08:00:00Z}]"
    start, end = FILE.index("\n    # agreed"), FILE.index("\n# Other")
    text = f"{FILE[:start]} {listed}\n{FILE[end:]}"
    (inventory / "schedule.yml").write_text(text)
    with pytest.raises(BadInputError, match="E-unusual-layout"):
        proposal.write(proposal.propose(inventory, NOW))
    assert (inventory / "schedule.yml").read_text() == text


# -- as typed ---------------------------------------------------------------------------------------------------------


def test_as_typed(inventory, tmp_path):
    bad = run("check", "-i", str(inventory), "--json")
    assert bad.returncode == ExitCode.BAD_INPUT
    answer = json.loads(bad.stdout)
    assert answer["sound"] is False
    assert set(answer["findings"][0]) == {"kind", "severity", "where", "what", "remedy", "window"}
    assert set(answer["windows"][0]) == {"window", "backup", "listed"}
    said = run("check")
    assert (said.returncode, said.stdout.splitlines()[-1]) == (ExitCode.DONE, "Nothing stands against it.")
    written = run("propose", "-i", str(inventory), "--write")
    assert (written.returncode, "# Written to" in written.stdout) == (ExitCode.DONE, True), written.stderr
    file = tmp_path / "windows.ics"
    for _ in range(2):
        assert run("ics", "-i", str(inventory), "-o", str(file)).returncode == ExitCode.DONE
    assert file.read_bytes().startswith(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert Path(file).stat().st_mode & 0o777 == 0o644
    (inventory / "schedule.yml").write_text("schedule: {}\n")
    broken = run("check", "-i", str(inventory))
    assert (broken.returncode, "schedule.windows: is missing" in broken.stderr) == (ExitCode.BAD_INPUT, True)
