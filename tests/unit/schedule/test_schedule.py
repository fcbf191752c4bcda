"""What stands against a schedule (R1, R3, R4): tables that a coordinator could check."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from plugins.module_utils.rollout_core.time import cover, schedule
from plugins.module_utils.rollout_core.time.schedule import CalendarEvent, Pair, ScheduleRules
from rollout.plan.schedule import Schedule

HERE = Path(__file__).parent
HOUR = timedelta(hours=1)
RULES = ScheduleRules(1.5 * HOUR, 0.5 * HOUR, 24 * HOUR, 24 * HOUR, 2 * HOUR, timedelta(days=7))
RULE = "FREQ=MONTHLY;BYDAY=+2WE;BYHOUR=8;BYMINUTE=0;BYSECOND=0"


def table(name):
    return [pytest.param(row, id=row["case"]) for row in yaml.safe_load((HERE / name).read_text())]


def at(text):
    return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)


def event(calendar, begin, end, title, free=None):
    return CalendarEvent(calendar, title, at(begin), at(end), f"{calendar}.ics:1", busy=free != "free")


def person(name, row):
    away = [
        CalendarEvent(name, title, at(begin), at(end), f"{name}:1", busy=not free)
        for begin, end, title, *free in row.get("away", ())
    ]
    return cover.Person(name, tuple(row["roles"]), row["zone"], ZoneInfo(row["zone"]), "schedule.yml:9", tuple(away))


@pytest.mark.parametrize("row", table("checks.yml"))
def test_what_check_finds(row):
    now = at(row["now"])
    listed = [Pair(at(window), at(backup), "s.yml:1", "s.yml:2", listed=True) for window, backup in row["windows"]]
    pairs = sorted((pair for pair in listed if pair.window <= now + schedule.YEAR), key=lambda pair: pair.window)
    events = [event("teams", *one) for one in row.get("events", ())]
    people = [person(name, one) for name, one in row.get("cover", {}).items()]
    found = [
        *schedule.list_findings(listed, now),
        *(schedule.gaps(pairs, now, "s.yml") if row.get("gaps") else ()),
        *schedule.distances([pair for pair in pairs if pair.window > now], RULES),
        *schedule.collisions(pairs, events, RULES),
        *(cover.roles_nobody_has(people, "s.yml") if people else ()),
        *cover.cover(pairs, people, RULES),
        *cover.clock_changes(pairs, people),
    ]
    said = [[one.severity, one.kind, one.what] for one in found if one.kind in row.get("only", [one.kind])]
    assert said == row["says"]
    assert all(one.where and one.remedy for one in found)


@pytest.mark.parametrize("row", table("reach.yml"))
def test_the_list_counts_first_and_the_rule_goes_on(row):
    listed = [{"window": f"{window}T08:00Z", "backup": f"{backup}T08:00Z"} for window, backup in row["listed"]]
    read = Schedule.model_validate({"windows": RULE, "backup_after": "48h", "listed": listed})
    found = list(islice(read.windows_after(at(row["after"])), len(row["windows"])))
    assert [f"{window:%Y-%m-%dT%H:%M}" for window in found] == [f"{day}T08:00" for day in row["windows"]]
    if "backups" in row:
        assert [f"{read.backup_of(window):%F}" for window in found] == [str(day) for day in row["backups"]]
